"""Split of the labelled records into training, validation and test.

A record's part depends on a hash of fleet, unit and time alone. So all sensors of a moment are in the same part, and
a record's part does not change when labels are added. Held-out records are excluded from all training, stage one
included, together with every copy of their signals.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.schema import RecordIds

Part = Literal["train", "validation", "test"]
_HELD_OUT_PERCENT: dict[Part, int] = {"test": 15, "validation": 15}


def part_of(fleet: str, unit: str, data_time: pd.Timestamp) -> Part:
    """Return the part that the labelled records of a moment belong to."""
    text = f"{fleet}\0{unit}\0{data_time.isoformat()}"
    percent = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") % 100
    edge = 0
    for part, share in _HELD_OUT_PERCENT.items():
        edge += share
        if percent < edge:
            return part
    return "train"


def split(labelled: pd.DataFrame) -> pd.Series[str]:
    """Return the part of each labelled record.

    A record is held out too if a copy of its signal is, from another sensor or time.

    Args:
        labelled: Result of :func:`xfmr.labels.match_records`.
    """
    moments = zip(labelled["fleet"], labelled["of_unit"], labelled["data_time"], strict=True)
    parts = pd.Series([part_of(*moment) for moment in moments], labelled.index, dtype=str)
    for held_out in ("validation", "test"):
        copies = labelled["record_id"].isin(labelled["record_id"][parts == held_out])
        parts[copies] = held_out
    return parts


def held_out_ids(labelled: pd.DataFrame) -> RecordIds:
    """Return the ids of the records held out for validation and test, without their labels.

    These ids are all that stage one gets from a labels file.

    Args:
        labelled: Result of :func:`xfmr.labels.match_records`.
    """
    ids: RecordIds = np.unique(labelled["record_id"][split(labelled) != "train"].to_numpy(dtype=np.int64))
    return ids


def without_contradictions(labelled: pd.DataFrame) -> pd.DataFrame:
    """Leave out the records whose signal has another label in another place: another sensor or time.

    Args:
        labelled: Result of :func:`xfmr.labels.match_records`.
    """
    kinds = labelled.groupby("record_id")["label"].transform("nunique")
    return labelled[kinds == 1].reset_index(drop=True)


def check_disjoint(training: NDArray[np.int64], held_out: NDArray[np.int64]) -> None:
    """Raise if a training set holds held-out records.

    Args:
        training: Ids of the training records.
        held_out: Ids of the held-out records.

    Raises:
        XfmrError: If they have a record in common.
    """
    leaked = np.intersect1d(training, held_out)
    if len(leaked):
        raise XfmrError(
            f"{len(leaked)} records held out for validation or test were trained on: run jobs.pretrain and "
            "jobs.fit_detector again with the same --labels"
        )
