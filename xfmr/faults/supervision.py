"""Supervision: people's labels and pseudo-labels, and the part of each record."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.faults.split import Part, check_disjoint, split, without_contradictions
from xfmr.schema import KEY, NORMAL, PseudoLabel
from xfmr.settings.stage_three import FinetuneSettings

SOME_FAULT = -1


@dataclass(frozen=True)
class Supervision:
    """Labelled and pseudo-labelled records, one row each.

    Args:
        rows: Columns of :data:`xfmr.schema.KEY`, ``record_id``, ``class`` (index, or -1 for some fault), ``weight``,
            ``pseudo`` (True if the label is a pseudo-label) and ``part`` (``train``, ``validation`` or ``test``).
        classes: Names of the classes, ``normal`` among them.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]

    def part(self, name: Part) -> pd.DataFrame:
        """Return the rows of one part."""
        return self.rows[self.rows["part"] == name].reset_index(drop=True)

    @property
    def n_people(self) -> int:
        """Number of rows that a person labelled."""
        return int((~self.rows["pseudo"]).sum())

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Ids of the records of validation and test."""
        return self.rows.loc[self.rows["part"] != "train", "record_id"].to_numpy(dtype=np.int64)

    def digest(self) -> str:
        """Return a short hash of rows and classes."""
        hashes = pd.util.hash_pandas_object(self.rows, index=False).to_numpy()
        return hashlib.blake2b(hashes.tobytes() + repr(self.classes).encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        """Count the rows of each part and class."""
        names = self.rows["class"].map(lambda i: "some fault" if i == SOME_FAULT else self.classes[i])
        counts = {part: Counter(names[self.rows["part"] == part]) for part in ("train", "validation", "test")}
        return "; ".join(f"{p}: " + ", ".join(f"{c[name]} {name}" for name in sorted(c)) for p, c in counts.items())


def supervise(labelled: pd.DataFrame, scores: pd.DataFrame, settings: FinetuneSettings) -> Supervision:
    """Combine people's labels and pseudo-labels.

    Args:
        labelled: Result of :func:`xfmr.labels.match_records`; signals with two labels are left out.
        scores: The run's scores. The surest at each end give pseudo-labels, unless a person labelled the signal.
        settings: Weight and number of pseudo-labels.

    Raises:
        XfmrError: If people's labels give no fault type to learn, or no record to validate with.
    """
    unlabelled = scores[~scores["record_id"].isin(labelled["record_id"])]
    labelled = without_contradictions(labelled)
    parts = split(labelled)
    classes = tuple(sorted({NORMAL, *labelled["label"]}))
    if set(labelled["label"][parts == "train"]) <= {NORMAL} or not (parts == "validation").any():
        raise XfmrError(
            f"{len(labelled)} labelled records are too few to learn from: training needs a fault type besides "
            "normal, and some records must fall into validation; label more"
        )
    people = labelled.assign(**{"class": labelled["label"].map(classes.index)}, weight=1.0, pseudo=False, part=parts)
    pseudo = _surest(unlabelled, settings.max_pseudo_labels // 2)
    known = np.where(pseudo["pseudo_label"] == PseudoLabel.NORMAL, classes.index(NORMAL), SOME_FAULT)
    pseudo = pseudo.assign(**{"class": known}, weight=settings.pseudo_weight, pseudo=True, part="train")
    rows = pd.concat([people, pseudo])[[*KEY, "record_id", "class", "weight", "pseudo", "part"]]
    rows = rows.reset_index(drop=True)
    supervision = Supervision(rows, classes)
    check_disjoint(supervision.part("train")["record_id"].to_numpy(), supervision.held_out)
    return supervision


def _surest(scores: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return the surest pseudo-labels: those of the lowest normal and the highest anomalous scores."""
    ordered = scores.sort_values(["score", "record_id"])
    normal = ordered[ordered["pseudo_label"] == PseudoLabel.NORMAL]
    anomaly = ordered[ordered["pseudo_label"] == PseudoLabel.ANOMALY]
    return pd.concat([normal.head(most), anomaly[::-1].head(most)])
