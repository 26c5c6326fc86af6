"""Assess a detector against the truth, overall, by group, as curves and by unit; compare the AUCs of several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfmr.evaluation.curves import Curve, curve
from xfmr.evaluation.quality import Predictions, Quality, interval, metrics_by_draw
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation, unit_correlation

Curves = dict[str, Curve]

# Coarser than for the overall curve: groups are smaller, and a fleet has thousands of sensors.
_GROUP_STEP = 0.05


@dataclass(frozen=True)
class Assessment:
    """How well one detector agrees with the truth.

    Args:
        overall: Quality over all records.
        groups: Quality by grouping and group.
        curve: Curve over all records; None unless there are both faults and normal records.
        units: Rank correlation of unit score and unit fault share.
        aucs: AUC of each draw, for :func:`auc_differences`.
    """

    overall: Quality
    groups: dict[str, dict[str, Quality]]
    curve: Curve | None
    units: UnitCorrelation
    aucs: NDArray[np.float64]


def assess(truth: Truth, predictions: Predictions) -> Assessment:
    """Assess a detector's predictions for the records of the truth."""
    return Assessment(
        overall=truth.quality(predictions),
        groups={
            grouping: {name: truth.quality(predictions, rows) for name, rows in groups.items()}
            for grouping, groups in truth.groups.items()
        },
        curve=curve(truth.fault, predictions.score),
        units=unit_correlation(truth.records.assign(score=predictions.score), seed=truth.seed),
        aucs=metrics_by_draw(truth.fault, predictions, truth.moment, truth.draws)["auc"],
    )


def group_curves(truth: Truth, predictions: Predictions) -> dict[str, Curves]:
    """Return the curve of every group that has both faults and normal records, by grouping and group."""
    return {
        grouping: {
            name: group_curve
            for name, rows in groups.items()
            if (group_curve := curve(truth.fault[rows], predictions.score[rows], step=_GROUP_STEP))
        }
        for grouping, groups in truth.groups.items()
    }


def auc_differences(assessments: Mapping[str, Assessment]) -> dict[str, dict[str, Any]]:
    """Return the first detector's AUC minus that of each other detector, with its 95 % confidence interval.

    The differences are paired: both AUCs come from the same draws. This makes the interval narrower than the two
    separate intervals suggest.
    """
    ours, *others = assessments
    return {
        name: {"auc": float(difference[0]), "interval": interval(difference[1:])}
        for name in others
        if np.isfinite((difference := assessments[ours].aucs - assessments[name].aucs)[0])
    }
