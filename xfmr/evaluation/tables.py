"""The tables that evaluate prints: one row per detector, and one row per group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from xfmr.evaluation.assessment import Assessment
from xfmr.evaluation.quality import Quality

MAX_ROWS = 40


def overall_table(assessments: Mapping[str, Assessment], auc_differences: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of metrics over all records, one row per detector.

    Args:
        assessments: Assessment of each detector, ours first.
        auc_differences: Result of :func:`xfmr.evaluation.assessment.auc_differences` for them.
    """
    ours = next(iter(assessments))
    rows = [
        {
            "detector": name,
            "AUC": _format_metric(assessment.overall.auc),
            "95 %": _format_interval(assessment.overall.intervals.get("auc")),
            "avg. precision": _format_metric(assessment.overall.average_precision),
            **_threshold_columns(assessment.overall),
            f"AUC of {ours} minus its": _format_difference(auc_differences.get(name)),
        }
        for name, assessment in assessments.items()
    ]
    return _format_table(rows)


def group_table(assessments: Mapping[str, Assessment], grouping: str) -> str:
    """Return the table of metrics by group: the AUC of every detector, then our metrics at the threshold.

    At most :data:`MAX_ROWS` groups are shown: those with the lowest AUC, and at equal AUC those with the most false
    alarms.

    Args:
        assessments: Assessment of each detector, ours first.
        grouping: Name of the grouping, such as ``sensor_id``.
    """
    ours = next(iter(assessments))
    groups = assessments[ours].groups[grouping]
    shown = set(sorted(groups, key=lambda name: _rank(groups[name]))[:MAX_ROWS])
    rows = [
        {
            grouping: name,
            "records": quality.records,
            "faults": quality.faults,
            **{
                f"AUC {detector}": _format_metric(assessment.groups[grouping][name].auc)
                for detector, assessment in assessments.items()
            },
            f"95 % {ours}": _format_interval(quality.intervals.get("auc")),
            **_threshold_columns(quality),
        }
        for name, quality in groups.items()
        if name in shown
    ]
    omitted = f"\n(the {MAX_ROWS} worst of {len(groups)}; all are in evaluation.json)"
    return _format_table(rows) + (omitted if len(groups) > MAX_ROWS else "")


def _rank(quality: Quality) -> tuple[float, float]:
    """Return a sort key that puts the worst group first; groups without an AUC come last."""
    return (2.0 if quality.auc is None else quality.auc, -(quality.false_alarm_rate or 0.0))


def _threshold_columns(quality: Quality) -> dict[str, str]:
    return {
        "precision": _format_metric(quality.precision),
        "recall": _format_metric(quality.recall),
        "macro F1": _format_metric(quality.macro_f1),
        "false alarms": _format_metric(quality.false_alarm_rate),
    }


def _format_difference(difference: Mapping[str, Any] | None) -> str:
    if difference is None:
        return ""
    low, high = difference["interval"] or (None, None)
    return f"{difference['auc']:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low is not None else "")


def _format_metric(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _format_interval(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _format_table(rows: list[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_string(index=False)
