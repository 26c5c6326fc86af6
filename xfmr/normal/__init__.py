"""The normal state of each sensor: its statistics, its daily profile, and the cleaning of its history."""

from xfmr.normal.rows import Rows, SensorKey, as_sensors
from xfmr.normal.standardise import (
    CLIP,
    MAD_TO_SIGMA,
    MIN_HISTORY,
    MIN_MEDIAN,
    Standardiser,
    level_free,
    robust_statistics,
)

__all__ = [
    "CLIP",
    "MAD_TO_SIGMA",
    "MIN_HISTORY",
    "MIN_MEDIAN",
    "Rows",
    "SensorKey",
    "Standardiser",
    "as_sensors",
    "level_free",
    "robust_statistics",
]
