"""ROC and precision-recall curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Curve:
    """ROC and precision-recall curve as one list of points, from the highest threshold to the lowest.

    Args:
        threshold: Distinct scores, falling.
        recall: Share of the faults at or above each threshold.
        false_alarm_rate: Share of the normal records at or above it.
        precision: Share of faults among the records at or above it.
    """

    threshold: list[float]
    recall: list[float]
    false_alarm_rate: list[float]
    precision: list[float]


def curve(fault: NDArray[np.bool_], score: NDArray[Any], *, step: float = 0.01) -> Curve | None:
    """Return the curve through the distinct scores, or None unless there are both faults and normal records.

    Args:
        fault: True for faults, shape (n,), n > 0.
        score: Finite, higher is more abnormal, shape (n,).
        step: Resolution of the curve. Between the first and the last point, only those are kept at which recall or
            false alarm rate reaches another multiple of it. At most 2 / step + 2 points remain.
    """
    if fault.all() or not fault.any():
        return None
    levels, level = np.unique(score, return_inverse=True)
    faults, normals = (np.bincount(level[rows], minlength=len(levels))[::-1].cumsum() for rows in (fault, ~fault))
    recall, false_alarm_rate = faults / faults[-1], normals / normals[-1]
    moves = np.diff(np.floor(recall / step) + np.floor(false_alarm_rate / step)) > 0
    kept = np.flatnonzero(np.concatenate([[True], moves]) | (np.arange(len(levels)) == len(levels) - 1))
    points = (levels[::-1], recall, false_alarm_rate, faults / (faults + normals))
    return Curve(*(values[kept].tolist() for values in points))
