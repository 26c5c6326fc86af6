"""The result of evaluate, as JSON for ``evaluation.json`` and as text for the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xfmr.evaluation.assessment import Assessment, Curves, auc_differences
from xfmr.evaluation.quality import Quality
from xfmr.evaluation.tables import group_table, overall_table
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation


@dataclass(frozen=True)
class Result:
    """Assessments of all detectors against the same truth.

    Args:
        truth: The labelled records.
        assessments: Assessment of each detector by its name, ours first.
        group_curves: Curves of our detector by grouping and group.
        metadata: Further entries of the file: ``scores``, ``labels``, ``in_history`` and ``fault_types``.
    """

    truth: Truth
    assessments: Mapping[str, Assessment]
    group_curves: Mapping[str, Curves]
    metadata: Mapping[str, Any]

    @property
    def curves(self) -> Curves:
        """Curve of each detector; empty unless there are both faults and normal records."""
        return {name: assessment.curve for name, assessment in self.assessments.items() if assessment.curve}

    @property
    def overall(self) -> dict[str, Quality]:
        """Quality of each detector over all records."""
        return {name: assessment.overall for name, assessment in self.assessments.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the contents of ``evaluation.json``."""
        return {
            **self.metadata,
            "seed": self.truth.seed,
            "resamples": self.truth.resamples,
            "detectors": {name: _as_json(assessment) for name, assessment in self.assessments.items()},
            "leads": auc_differences(self.assessments),
            "group_curves": {
                grouping: {name: asdict(curve) for name, curve in curves.items()}
                for grouping, curves in self.group_curves.items()
            },
        }

    def text(self) -> str:
        """Return the tables, and notes that help to read them."""
        tables = [overall_table(self.assessments, auc_differences(self.assessments))]
        tables += [group_table(self.assessments, grouping) for grouping in self.truth.groups]
        return "\n\n".join([*tables, "\n".join(self._notes())])

    def _notes(self) -> list[str]:
        ours = next(iter(self.assessments.values()))
        notes = [
            f"95 % intervals: bootstrap of {ours.overall.samples} samples (all sensors of a unit at one time), "
            f"{self.truth.resamples} times",
            _unit_note(ours.units),
        ]
        if len(self.assessments) == 1:
            notes.append("no baselines: the features of these records are not in the run (diagnose keeps them)")
        if skipped := self.truth.skipped_conditions:
            notes.append(f"no conditions, having too many values: {', '.join(skipped)}")
        if in_history := self.metadata.get("in_history"):
            notes.append(f"{in_history} of these records were in the history the detector learned from")
        if fault_types := self.metadata.get("fault_types"):
            notes.append(_fault_type_note(fault_types))
        return notes


def _unit_note(units: UnitCorrelation) -> str:
    head = f"rank correlation of unit score and fault share, {units.units} units: "
    if units.spearman is None:
        return f"{head}undefined, {units.undefined}"
    return f"{head}{units.spearman:.3f}, p = {units.p_value:.2g}"


def _fault_type_note(quality: Mapping[str, float]) -> str:
    if not quality["records"]:
        return "fault types: the classifier was trained on all of these records"
    metrics = f"macro F1 {quality['macro_f1']:.3f}, accuracy {quality['accuracy']:.3f}"
    return f"fault types of {quality['records']} records not trained on: {metrics}"


def _as_json(assessment: Assessment) -> dict[str, Any]:
    return {
        "overall": asdict(assessment.overall),
        "groups": {
            grouping: {name: asdict(quality) for name, quality in groups.items()}
            for grouping, groups in assessment.groups.items()
        },
        "units": asdict(assessment.units),
        "curve": asdict(assessment.curve) if assessment.curve else None,
    }
