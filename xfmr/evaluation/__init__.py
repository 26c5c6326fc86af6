"""Compare detectors with people's labels: ours and plain baselines, on the same records and the same draws.

:class:`Truth` holds the labelled records: which are faults, which belong to the same moment, their groups (sensor,
hour, load, ...) and the bootstrap's draws. :func:`assess` compares a detector's predictions with it. All detectors
share records, groups and draws, so the difference of two AUCs has a confidence interval of its own.
"""

from xfmr.evaluation.assessment import Assessment, Curves, assess, auc_differences, group_curves
from xfmr.evaluation.baselines import Baselines
from xfmr.evaluation.curves import Curve, curve
from xfmr.evaluation.diagnoses import fault_type_quality, join_labels, predictions_of, read_diagnoses
from xfmr.evaluation.quality import Predictions, Quality, quality_of
from xfmr.evaluation.result import Result
from xfmr.evaluation.tables import group_table, overall_table
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation, unit_correlation

__all__ = [
    "Assessment",
    "Baselines",
    "Curve",
    "Curves",
    "Predictions",
    "Quality",
    "Result",
    "Truth",
    "UnitCorrelation",
    "assess",
    "auc_differences",
    "curve",
    "fault_type_quality",
    "group_curves",
    "group_table",
    "join_labels",
    "overall_table",
    "predictions_of",
    "quality_of",
    "read_diagnoses",
    "unit_correlation",
]
