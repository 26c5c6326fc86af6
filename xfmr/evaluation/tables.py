"""What evaluate prints: a row a detector, a row a sensor, a row a condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from xfmr.evaluation.assessment import Assessment
from xfmr.evaluation.quality import Quality

MAX_ROWS = 40


def overall_table(assessments: Mapping[str, Assessment], leads: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay the results over all records out: a row a detector.

    Args:
        assessments: By detector, ours first.
        leads: What :func:`xfmr.evaluation.assessment.leads` gives of them.
    """
    ours = next(iter(assessments))
    rows = [
        {
            "detector": name,
            "AUC": _figure(judged.overall.auc),
            "95 %": _interval(judged.overall.intervals.get("auc")),
            "avg. precision": _figure(judged.overall.average_precision),
            **_at_threshold(judged.overall),
            f"AUC of {ours} minus its": _lead(leads.get(name)),
        }
        for name, judged in assessments.items()
    ]
    return _text(rows)


def group_table(assessments: Mapping[str, Assessment], grouping: str) -> str:
    """Lay the results of each group out: the AUC of every detector, then what ours does at its threshold.

    Of many groups those are shown that most need a look: the lowest AUC, then the most false alarms.

    Args:
        assessments: By detector, ours first.
        grouping: Name of the grouping, such as ``sensor_id``.
    """
    ours = next(iter(assessments))
    groups = assessments[ours].groups[grouping]
    shown = set(sorted(groups, key=lambda name: _urgency(groups[name]))[:MAX_ROWS])
    rows = [
        {
            grouping: name,
            "records": judged.records,
            "faults": judged.faults,
            **{f"AUC {who}": _figure(found.groups[grouping][name].auc) for who, found in assessments.items()},
            f"95 % {ours}": _interval(judged.intervals.get("auc")),
            **_at_threshold(judged),
        }
        for name, judged in groups.items()
        if name in shown
    ]
    left_out = f"\n(the {MAX_ROWS} worst of {len(groups)}; all are in evaluation.json)"
    return _text(rows) + (left_out if len(groups) > MAX_ROWS else "")


def _urgency(judged: Quality) -> tuple[float, float]:
    return (2.0 if judged.auc is None else judged.auc, -(judged.false_alarm_rate or 0.0))


def _at_threshold(judged: Quality) -> dict[str, str]:
    return {
        "precision": _figure(judged.precision),
        "recall": _figure(judged.recall),
        "macro F1": _figure(judged.macro_f1),
        "false alarms": _figure(judged.false_alarm_rate),
    }


def _lead(lead: Mapping[str, Any] | None) -> str:
    if lead is None:
        return ""
    low, high = lead["interval"] or (None, None)
    return f"{lead['auc']:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if low is not None else "")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(found: tuple[float, float] | None) -> str:
    return "-" if found is None else f"{found[0]:.3f} to {found[1]:.3f}"


def _text(rows: list[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).to_string(index=False)
