"""Scores against people's labels, beside what plain detectors reach on the same features and the same history.

A :class:`Truth` is made once of the labelled records: which are faults, which were recorded together, how they fall
into groups (sensor, hour, load, ...), and the bootstrap's draws. Every detector is then judged on it by
:func:`assess`, so that all of them meet the same records, groups and draws, and the difference of two has an interval
of its own.
"""

from xfmr.evaluation.assessment import Assessment, Curves, assess, group_curves, leads
from xfmr.evaluation.baselines import Baselines
from xfmr.evaluation.curves import Curve, curve
from xfmr.evaluation.diagnoses import fault_type_quality, judge_against, read_diagnoses
from xfmr.evaluation.quality import Quality, Verdicts, judge
from xfmr.evaluation.result import Result
from xfmr.evaluation.tables import group_table, overall_table
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation, unit_correlation

__all__ = [
    "Assessment",
    "Baselines",
    "Curve",
    "Curves",
    "Quality",
    "Result",
    "Truth",
    "UnitCorrelation",
    "Verdicts",
    "assess",
    "curve",
    "fault_type_quality",
    "group_curves",
    "group_table",
    "judge",
    "judge_against",
    "leads",
    "overall_table",
    "read_diagnoses",
    "unit_correlation",
]
