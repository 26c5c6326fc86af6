"""All that evaluate found, as it stands in ``evaluation.json`` and on the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xfmr.evaluation.assessment import Assessment, Curves, leads
from xfmr.evaluation.quality import Quality
from xfmr.evaluation.tables import group_table, overall_table
from xfmr.evaluation.truth import Truth
from xfmr.evaluation.units import UnitCorrelation


@dataclass(frozen=True)
class Result:
    """All detectors, judged on the same truth.

    Args:
        truth: The labelled records.
        detectors: By name, ours first.
        group_curves: Our curves by grouping and group.
        facts: What else stands in the file: ``scores``, ``labels``, ``in_history`` and ``fault_types``.
    """

    truth: Truth
    detectors: Mapping[str, Assessment]
    group_curves: Mapping[str, Curves]
    facts: Mapping[str, Any]

    @property
    def curves(self) -> Curves:
        """The curve of each detector; none where there are faults or normal records alone."""
        return {name: found.curve for name, found in self.detectors.items() if found.curve}

    @property
    def in_use(self) -> dict[str, Quality]:
        """What each detector reaches over all records at the threshold in use."""
        return {name: found.overall for name, found in self.detectors.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the contents of ``evaluation.json``."""
        return {
            **self.facts,
            "seed": self.truth.seed,
            "resamples": self.truth.resamples,
            "detectors": {name: _as_json(found) for name, found in self.detectors.items()},
            "leads": leads(self.detectors),
            "group_curves": {
                grouping: {name: asdict(curve) for name, curve in curves.items()}
                for grouping, curves in self.group_curves.items()
            },
        }

    def text(self) -> str:
        """Return the tables and what must be said of them."""
        tables = [overall_table(self.detectors, leads(self.detectors))]
        tables += [group_table(self.detectors, grouping) for grouping in self.truth.groups]
        return "\n\n".join([*tables, "\n".join(self._notes())])

    def _notes(self) -> list[str]:
        ours = next(iter(self.detectors.values()))
        notes = [
            f"95 % intervals: bootstrap of {ours.overall.samples} samples (all sensors of a unit at one time), "
            f"{self.truth.resamples} times",
            _unit_note(ours.units),
        ]
        if len(self.detectors) == 1:
            notes.append("no baselines: the features of these records are not in the run (diagnose keeps them)")
        if self.truth.left_aside:
            notes.append(f"no conditions, having too many values: {', '.join(self.truth.left_aside)}")
        if self.facts.get("in_history"):
            notes.append(f"{self.facts['in_history']} of these records were in the history the detector learned from")
        if self.facts.get("fault_types"):
            notes.append(_fault_type_note(self.facts["fault_types"]))
        return notes


def _unit_note(units: UnitCorrelation) -> str:
    head = f"rank correlation of unit score and fault share, {units.units} units: "
    if units.spearman is None:
        return f"{head}undefined, {units.undefined}"
    return f"{head}{units.spearman:.3f}, p = {units.p_value:.2g}"


def _fault_type_note(found: Mapping[str, float]) -> str:
    if not found["records"]:
        return "fault types: the classifier was trained on all of these records"
    figures = f"macro F1 {found['macro_f1']:.3f}, accuracy {found['accuracy']:.3f}"
    return f"fault types of {found['records']} records not trained on: {figures}"


def _as_json(found: Assessment) -> dict[str, Any]:
    return {
        "overall": asdict(found.overall),
        "groups": {
            grouping: {name: asdict(judged) for name, judged in groups.items()}
            for grouping, groups in found.groups.items()
        },
        "units": asdict(found.units),
        "curve": asdict(found.curve) if found.curve else None,
    }
