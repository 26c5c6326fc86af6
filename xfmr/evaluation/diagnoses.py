"""Read scored records, join them with people's labels, and compare their fault types."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from xfmr.errors import XfmrError
from xfmr.evaluation.quality import Predictions
from xfmr.labels import label_records
from xfmr.schema import DIAGNOSES, NORMAL, SENSOR_COLUMNS, PseudoLabel, RecordIds
from xfmr.storage import Store


def read_diagnoses(uri: str) -> pd.DataFrame:
    """Read a file that diagnose wrote, Parquet or JSONL.

    Returns:
        The columns of :data:`xfmr.schema.DIAGNOSES` that the file has.

    Raises:
        XfmrError: If the file is missing, or diagnose did not write it.
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
    frame = frame.assign(**{name: "" for name in SENSOR_COLUMNS if name not in frame})
    frame = frame.assign(**{name: frame[name].fillna("").astype(str) for name in SENSOR_COLUMNS})
    return frame[[name for name in DIAGNOSES.names if name in frame]]


def _read_jsonl(data: bytes, uri: str) -> pd.DataFrame:
    try:
        return pd.DataFrame([json.loads(line) for line in data.splitlines()])
    except ValueError as error:
        raise XfmrError(f"{uri} is neither Parquet nor JSONL: {error}") from error


def join_labels(scores: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return the scored records that have a label, with the columns of both tables and ``fault``.

    Raises:
        XfmrError: If no scored record is labelled.
    """
    records = label_records(labels, scores)
    if records.empty:
        raise XfmrError("no scored record is labelled: compare unit, sensor_id and data_time of labels and scores")
    return records.assign(fault=records["label"] != NORMAL)


def predictions_of(records: pd.DataFrame) -> Predictions:
    """Return the predictions in the columns ``score`` and ``pseudo_label``."""
    return Predictions(records["score"].to_numpy(), (records["pseudo_label"] == PseudoLabel.ANOMALY).to_numpy())


def fault_type_quality(records: pd.DataFrame, trained_on: RecordIds) -> dict[str, float | int] | None:
    """Compare fault types with labels, on the records that the classifier was not trained on.

    Args:
        records: Columns ``record_id``, ``label`` and, if there was a classifier, ``fault_type``.
        trained_on: Ids of the records that the classifier was trained on. An id is a hash of the signal.

    Returns:
        ``records``, ``macro_f1`` and ``accuracy``; only ``records`` if it is 0; None without fault types.
    """
    if "fault_type" not in records or records["fault_type"].isna().all():
        return None
    unseen = records[~records["record_id"].isin(trained_on)]
    if unseen.empty:
        return {"records": 0}
    truth, predicted = unseen["label"], unseen["fault_type"]
    macro_f1 = f1_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0)
    return {"records": len(unseen), "macro_f1": float(macro_f1), "accuracy": float((truth == predicted).mean())}
