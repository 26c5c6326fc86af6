"""Who may train on what: labelled records for training, validation and test.

A record's part follows from a hash of fleet, unit and time alone: all sensors of one moment fall in the same part,
and a part does not change when labels are added. What is held out is struck from every training set, stage one's
included, together with every copy of the same signal.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.labels import match_records
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds

Part = Literal["train", "validation", "test"]
_HELD_OUT_PERCENT: dict[Part, int] = {"test": 15, "validation": 15}


def part_of(fleet: str, unit: str, data_time: pd.Timestamp) -> Part:
    """Tell which part the labelled records of one sample belong to."""
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

    A training record whose signal is also held out, under another name or time, is held out with it.

    Args:
        labelled: What :func:`match_records` gives.
    """
    samples = zip(labelled["fleet"], labelled["unit"], labelled["data_time"], strict=True)
    parts = pd.Series([part_of(*sample) for sample in samples], labelled.index, dtype=str)
    for held_out in ("validation", "test"):
        copies = labelled["record_id"].isin(labelled["record_id"][parts == held_out])
        parts[copies] = held_out
    return parts


def held_out_ids(labels: pd.DataFrame, features: FeatureSet) -> RecordIds:
    """Return the ids of the records held out for validation and test, and no word of what they are labelled.

    This is all that stage one ever learns of a labels file.
    """
    labelled = match_records(labels, features)
    ids: RecordIds = np.unique(labelled["record_id"][split(labelled) != "train"].to_numpy(dtype=np.int64))
    return ids


def without_contradictions(labelled: pd.DataFrame) -> pd.DataFrame:
    """Leave out the records whose signal also stands elsewhere, under another name or time, with another label.

    Args:
        labelled: What :func:`match_records` gives.
    """
    kinds = labelled.groupby("record_id")["label"].transform("nunique")
    return labelled[kinds == 1].reset_index(drop=True)


def check_disjoint(training: NDArray[np.int64], held_out: NDArray[np.int64]) -> None:
    """Refuse a training set that holds a held-out record.

    Raises:
        XfmrError: With the number of records that leaked.
    """
    leaked = np.intersect1d(training, held_out)
    if len(leaked):
        raise XfmrError(
            f"{len(leaked)} records held out for validation or test were trained on: run jobs.pretrain and "
            "jobs.fit_detector again with the same --labels"
        )
