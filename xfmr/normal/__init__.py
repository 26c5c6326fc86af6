"""What is normal for each sensor: its statistics, its usual hours, and a history cleaned of what is not."""

from xfmr.normal.standardise import (
    CLIP,
    MAD_TO_SIGMA,
    MIN_HISTORY,
    MIN_MEDIAN,
    SensorKey,
    Standardiser,
    as_sensors,
    level_free,
    robust_statistics,
    rows_by_key,
    statistics_rows,
)

__all__ = [
    "CLIP",
    "MAD_TO_SIGMA",
    "MIN_HISTORY",
    "MIN_MEDIAN",
    "SensorKey",
    "Standardiser",
    "as_sensors",
    "level_free",
    "robust_statistics",
    "rows_by_key",
    "statistics_rows",
]
