"""People's labels: the table, and the records of a run that it names."""

from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa

from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import DIAGNOSES, KEY, NORMAL, RecordIds
from xfmr.storage import Store

# Prefix of a further column's name, so that the column can have any name in the labels file.
CONDITION = "condition: "
_NAMED = [*KEY, "unit", "label"]


def read_labels(uri: str, *, conditions: bool = False) -> pd.DataFrame:
    """Read a table of labels.

    Args:
        uri: CSV or Parquet file with the columns ``sensor_id``, ``data_time`` and ``label``; with several fleets also
            ``fleet``; optionally ``unit``, the transformer that the sensor is on.
        conditions: Keep the further columns, such as the load.

    Returns:
        Columns ``fleet``, ``sensor_id``, ``data_time`` (UTC), ``unit`` (empty if not given) and ``label``, then
        each further column as text, its name after :data:`CONDITION`; one row per record.

    Raises:
        XfmrError: If the table is missing or unusable; the message names the file and, if known, the line.
    """
    store, name = Store.of_file(uri)
    if not store.exists(name):
        raise XfmrError(f"labels file {uri} does not exist: check the path given to --labels")
    table = _read_frame(store, name, uri)
    missing = [column for column in ("sensor_id", "data_time", "label") if column not in table]
    if missing:
        raise XfmrError(f"{uri}: no column {', '.join(missing)}; the header must name sensor_id, data_time, label")
    absent = {column: "" for column in ("fleet", "unit") if column not in table}
    # A review queue that was filled in also holds the scores of its records, which are no conditions.
    further = [str(name) for name in table if name not in {*_NAMED, *DIAGNOSES.names}] if conditions else []
    if {"score", "pseudo_label"} <= {*table}:  # a review queue, which a person may fill in partly
        table = table[table["label"].notna() & (table["label"] != "")]
    table = table.assign(**absent)[[*_NAMED, *further]].astype(object)
    table = table.where(table.notna(), "").astype(str)
    return _validated(table.rename(columns={name: CONDITION + name for name in further}), uri)


def _read_frame(store: Store, name: str, uri: str) -> pd.DataFrame:
    try:
        if name.lower().endswith(".parquet"):
            return pd.DataFrame(store.read_table(name).to_pandas())
        text = BytesIO(store.read(name))
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):  # rows longer than the header
            return pd.read_csv(text, dtype=str, keep_default_na=False, skip_blank_lines=False, index_col=False)
    except (ValueError, UnicodeDecodeError, pd.errors.ParserWarning) as error:
        raise XfmrError(f"{uri} is not a table: {' '.join(str(error).split())}") from error


def _validated(table: pd.DataFrame, uri: str) -> pd.DataFrame:
    """Parse the times, drop blank lines, and raise on a row that cannot be used."""
    table = table.assign(line=np.arange(2, len(table) + 2))[(table != "").any(axis=1)]  # line 1 is the header
    times = pd.to_datetime(table["data_time"], utc=True, errors="coerce", format="ISO8601")
    for invalid, problem in [
        (table["sensor_id"].str.strip() == "", "no sensor_id"),
        (times.isna(), "data_time is no ISO 8601 time"),
        (table["label"].str.strip() == "", "no label"),
        (_is_nearly_normal(table["label"].str.strip()), f"write {NORMAL}, or the fault"),
    ]:
        if invalid.any():
            first = table[invalid].iloc[0].to_dict()
            raise XfmrError(f"{uri}, line {first.pop('line')}: {problem}: {first}")
    table = table.assign(data_time=times.astype("datetime64[us, UTC]"), label=table["label"].str.strip())
    table = table.drop(columns="line").drop_duplicates(_NAMED)
    twice = table.duplicated(KEY)
    if twice.any():
        row = table[twice].iloc[0]
        raise XfmrError(f"{uri}: {row['sensor_id']} at {row['data_time']} has two different labels: keep one")
    return table.reset_index(drop=True)


def _is_nearly_normal(labels: pd.Series[str]) -> pd.Series[bool]:
    """Return which labels differ from ``normal`` only in case; as written, they would be fault types."""
    return (labels.str.casefold() == NORMAL) & (labels != NORMAL)


def match_summary(labels: pd.DataFrame, records: pd.DataFrame) -> str:
    """Return how many labels belong to these records, such as ``48 of 50 labels are of its records``."""
    n = labels[KEY].merge(records[KEY].drop_duplicates(), on=KEY).shape[0]
    return f"{n} of {len(labels)} labels are of its records"


def labelled_ids(uri: str | None, features: FeatureSet) -> RecordIds:
    """Return the ids of a run's labelled records; empty without a table of labels.

    Raises:
        XfmrError: If :func:`read_labels` or :func:`match_records` raises.
    """
    if uri is None:
        return np.empty(0, np.int64)
    ids: RecordIds = np.unique(match_records(read_labels(uri), features)["record_id"].to_numpy(np.int64))
    return ids


def match_records(labels: pd.DataFrame, features: FeatureSet) -> pd.DataFrame:
    """Find the labelled records of a run.

    Returns:
        The labels of records in the run, with the column ``record_id``, sorted by sensor and time.

    Raises:
        XfmrError: If there are none.
    """
    records = pa.concat_tables(features.tables()).to_pandas()
    labelled = labels.merge(records, on=KEY, how="inner").sort_values(KEY).reset_index(drop=True)
    if labelled.empty:
        raise XfmrError("no label is of a record in this run: compare sensor_id and data_time of labels and archive")
    return labelled
