"""Detectors: what tells an abnormal record from the history, without labels. A higher score is more abnormal."""

from xfmr.detectors.base import Detector
from xfmr.detectors.stored import detector_from_bytes

__all__ = ["Detector", "detector_from_bytes"]
