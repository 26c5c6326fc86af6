"""A detector judged on the truth: over all records, by group, as curves, and by unit; and two beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfmr.evaluation.curves import Curve, curve
from xfmr.evaluation.quality import Quality, Verdicts, drawn_figures, interval
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation, unit_correlation

Curves = dict[str, Curve]

# A group has less records than the whole, and a fleet has thousands of sensors.
_GROUP_STEP = 0.05


@dataclass(frozen=True)
class Assessment:
    """A detector judged on the truth.

    Args:
        overall: Over all records.
        groups: By grouping and group.
        curve: Over all records; None where there are faults or normal records alone.
        units: Rank correlation of unit score and unit fault share.
        aucs: AUC of each draw, for :func:`leads`.
    """

    overall: Quality
    groups: dict[str, dict[str, Quality]]
    curve: Curve | None
    units: UnitCorrelation
    aucs: NDArray[np.float64]


def assess(truth: Truth, verdicts: Verdicts) -> Assessment:
    """Judge what a detector says of the records of the truth."""
    return Assessment(
        overall=truth.quality(verdicts),
        groups={
            grouping: {name: truth.quality(verdicts, rows) for name, rows in groups.items()}
            for grouping, groups in truth.groups.items()
        },
        curve=curve(truth.fault, verdicts.score),
        units=unit_correlation(truth.records.assign(score=verdicts.score), seed=truth.seed),
        aucs=drawn_figures(truth.fault, verdicts, truth.sample, truth.draws)["auc"],
    )


def group_curves(truth: Truth, verdicts: Verdicts) -> dict[str, Curves]:
    """Return the curve of every group that has both faults and normal records, by grouping and group."""
    return {
        grouping: {
            name: found
            for name, rows in groups.items()
            if (found := curve(truth.fault[rows], verdicts.score[rows], step=_GROUP_STEP))
        }
        for grouping, groups in truth.groups.items()
    }


def leads(assessments: Mapping[str, Assessment]) -> dict[str, dict[str, Any]]:
    """Return by how much the first detector's AUC is above each other one's, with its 95 % interval.

    Both are judged on the same draws, which makes this interval narrower, and truer, than a comparison of the two
    intervals would be.
    """
    ours, *others = assessments
    return {
        name: {"auc": float(lead[0]), "interval": interval(lead[1:])}
        for name in others
        if np.isfinite((lead := assessments[ours].aucs - assessments[name].aucs)[0])
    }
