"""What is judged: scored records, read from a run or a file, joined with people's labels."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from xfmr.errors import XfmrError
from xfmr.schema import DIAGNOSES, KEY, NORMAL, SENSOR_COLUMNS
from xfmr.storage import Store


def read_diagnoses(uri: str) -> pd.DataFrame:
    """Read a file that diagnose wrote, Parquet or JSONL.

    Returns:
        Those columns of :data:`xfmr.schema.DIAGNOSES` that the file has.

    Raises:
        XfmrError: Where it is missing or is no such file.
    """
    store, name = Store.of_file(uri)
    if not store.exists(name):
        raise XfmrError(f"scores file {uri} does not exist: check the path given to --scores")
    if name.lower().endswith(".parquet"):
        frame = pd.DataFrame(store.read_table(name).to_pandas())
    else:
        frame = _read_jsonl(store.read(name), uri)
    required = ("sensor_id", "data_time", "record_id", "score", "pseudo_label")
    missing = [column for column in required if column not in frame]
    if missing:
        raise XfmrError(f"{uri}: no column {', '.join(missing)}; give a file that jobs.diagnose wrote")
    times = pd.to_datetime(frame["data_time"], utc=True, errors="coerce", format="ISO8601")
    scores, ids = (pd.to_numeric(frame[name], errors="coerce") for name in ("score", "record_id"))
    for name, values in (("data_time", times), ("score", scores), ("record_id", ids)):
        unusable = values.isna() | values.isin([np.inf, -np.inf])
        if unusable.any():
            raise XfmrError(
                f"{uri}: {unusable.sum()} rows without a usable {name}; give a file that jobs.diagnose wrote"
            )
    frame = frame.assign(data_time=times.astype("datetime64[us, UTC]"), score=scores, record_id=ids)
    frame = frame if "fleet" in frame else frame.assign(fleet="")
    frame = frame.assign(**{name: frame[name].fillna("").astype(str) for name in SENSOR_COLUMNS})
    return frame[[name for name in DIAGNOSES.names if name in frame]]


def _read_jsonl(data: bytes, uri: str) -> pd.DataFrame:
    try:
        return pd.DataFrame([json.loads(line) for line in data.splitlines()])
    except ValueError as error:
        raise XfmrError(f"{uri} is neither Parquet nor JSONL: {error}") from error


def judge_against(scores: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Join scores and labels on sensor and time; adds the labels' other columns and ``fault``.

    Raises:
        XfmrError: Where no scored record is labelled.
    """
    judged = scores.merge(labels, on=KEY, how="inner")
    if judged.empty:
        raise XfmrError("no scored record is labelled: compare sensor_id and data_time of --labels and the scores")
    return judged.assign(fault=judged["label"] != NORMAL)


def fault_type_quality(judged: pd.DataFrame, trained_on: NDArray[np.int64]) -> dict[str, float | int] | None:
    """Judge the fault types of the records whose signal the classifier was not trained on."""
    if "fault_type" not in judged or judged["fault_type"].isna().all():
        return None
    unseen = judged[~judged["record_id"].isin(trained_on)]
    if unseen.empty:
        return {"records": 0}
    truth, named = unseen["label"], unseen["fault_type"]
    macro_f1 = f1_score(truth, named, labels=sorted(set(truth)), average="macro", zero_division=0)
    return {"records": len(unseen), "macro_f1": float(macro_f1), "accuracy": float((truth == named).mean())}
