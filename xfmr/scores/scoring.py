"""Scores and what they mean: the detector that makes them, thresholds, pseudo-labels."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from xfmr.detectors import Detector, detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.published import Models
from xfmr.thresholds import Method, Thresholds, fit_thresholds, pseudo_labels


def load_detector(models: Models) -> Detector:
    """Load a run's current detector.

    Raises:
        XfmrError: Where there is none or its file is damaged.
    """
    return detector_from_bytes(*models.read("detector", "jobs.fit_detector"))


def thresholds_of(scores: NDArray[Any], method: Method) -> Thresholds:
    """Fit the thresholds of a run's scores.

    Raises:
        XfmrError: Where there are too few scores for the method.
    """
    try:
        return fit_thresholds(scores, method)
    except ValueError as error:
        raise XfmrError(f"no thresholds by {method}: {error}; give a larger archive or another method") from error


def with_pseudo_labels(scored: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Add the column ``pseudo_label`` to a table with a ``score``."""
    labels = pseudo_labels(scored["score"].to_numpy(), thresholds)
    return scored.append_column("pseudo_label", pa.array(labels, pa.string()))
