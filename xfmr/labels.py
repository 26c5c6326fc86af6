"""People's labels: tables of them, and the records of a run that they are of."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.archive import ArchiveFile
from xfmr.archive.patterns import PathPattern
from xfmr.archive.units import UnitFrom
from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import DIAGNOSES, KEY, NORMAL, SENSOR_COLUMNS
from xfmr.storage import Store

# Prefix of a further column's name, so that the column can have any name in the labels file.
CONDITION = "condition: "
_NAMED = [*KEY, "from", "to", "label"]
_TIMES = ("data_time", "from", "to")
_DATE_LENGTH = len("2024-03-01")
_DAY = pd.Timedelta(days=1)
# The earlier of these a label gives, the more specific it is.
_SPECIFIC = ("data_time", "sensor_id", "from", "to")


def read_labels(uris: Sequence[str], *, conditions: bool = False) -> pd.DataFrame:
    """Read tables of labels.

    A row labels a record (``sensor_id``, ``data_time``, and ``unit`` and ``fleet`` if the run has any), a whole unit
    (``unit``), or a part of its records (``unit`` with ``sensor_id``, ``data_time``, or ``from`` and ``to``, of which
    one may be empty). A ``to`` that is a date includes that day.

    Args:
        uris: CSV or Parquet files with the column ``label`` and those above.
        conditions: Keep the further columns, such as the load.

    Returns:
        One row a label. Columns ``fleet``, ``unit``, ``sensor_id`` (empty if not given), ``data_time``, ``from`` and
        ``to`` (UTC, NaT if not given) and ``label``, then each further column as text, its name after
        :data:`CONDITION`.

    Raises:
        XfmrError: If a table is missing or unusable; the message names the file and, if known, the line.
    """
    table = pd.concat([_read_table(uri, conditions=conditions) for uri in uris], ignore_index=True)
    further = [name for name in table if name not in _NAMED]
    table = table.fillna(dict.fromkeys(further, "")).drop_duplicates(_NAMED, ignore_index=True)
    twice = table.duplicated(_NAMED[:-1])
    if twice.any():
        label = table[twice].iloc[0]
        raise XfmrError(f"{', '.join(uris)}: {_described(label)} has two different labels: keep one")
    return table


def _read_table(uri: str, *, conditions: bool) -> pd.DataFrame:
    store, name = Store.of_file(uri)
    if not store.exists(name):
        raise XfmrError(f"labels file {uri} does not exist: check the path given to --labels")
    table = _read_frame(store, name, uri)
    required = ("label",) if "unit" in table else ("sensor_id", "data_time", "label")
    missing = [column for column in required if column not in table]
    if missing:
        raise XfmrError(
            f"{uri}: no column {', '.join(missing)}; the header must name sensor_id, data_time, label, or unit, label"
        )
    # A review queue that was filled in also holds the scores of its records, which are no conditions.
    further = [str(name) for name in table if name not in {*_NAMED, *DIAGNOSES.names}] if conditions else []
    if {"score", "pseudo_label"} <= {*table}:  # a review queue, which a person may fill in partly
        table = table[table["label"].notna() & (table["label"] != "")]
    table = table.assign(**{column: "" for column in _NAMED if column not in table})[[*_NAMED, *further]]
    table = table.astype(object).where(table.notna(), "").astype(str)
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
    blank = table.apply(lambda column: column.astype(str).str.strip() == "")
    times = {name: pd.to_datetime(table[name], utc=True, errors="coerce", format="ISO8601") for name in _TIMES}
    for invalid, problem in [
        (blank["sensor_id"] & blank["unit"], "it names no sensor_id and no unit"),
        (times["data_time"].isna() & ~(blank["data_time"] & ~blank["unit"]), "data_time is no ISO 8601 time"),
        (times["from"].isna() & ~blank["from"], "from is no ISO 8601 time"),
        (times["to"].isna() & ~blank["to"], "to is no ISO 8601 time"),
        (~blank["data_time"] & ~(blank["from"] & blank["to"]), "give either data_time or from and to"),
        (blank["label"], "no label"),
        (_is_nearly_normal(table["label"].str.strip()), f"write {NORMAL}, or the fault"),
    ]:
        if invalid.any():
            first = {name: text for name, text in table[invalid].iloc[0].to_dict().items() if text != ""}
            raise XfmrError(f"{uri}, line {first.pop('line')}: {problem}: {first}")
    whole_day = table["to"].str.strip().str.len() == _DATE_LENGTH
    times["to"] = times["to"].where(~whole_day, times["to"] + _DAY - pd.Timedelta(microseconds=1))
    parsed = {name: values.astype("datetime64[us, UTC]") for name, values in times.items()}
    return table.assign(**parsed, label=table["label"].str.strip()).drop(columns="line")


def _is_nearly_normal(labels: pd.Series[str]) -> pd.Series[bool]:
    """Return which labels differ from ``normal`` only in case; as written, they would be fault types."""
    return (labels.str.casefold() == NORMAL) & (labels != NORMAL)


def label_records(labels: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the records that have a label.

    Args:
        labels: Result of :func:`read_labels`.
        records: Columns :data:`xfmr.schema.KEY` and any others, one row a record. If their units are all empty,
            labels are of the sensor and time that they name, whatever unit they name besides.

    Returns:
        Columns of the records, ``of_unit`` (the record's unit, or the label's if the records have none), ``label``
        and the conditions. If several labels are of a record, the most specific one counts: one of a time before one
        of a sensor, of a period, or of a unit.

    Raises:
        XfmrError: If two labels of a record differ and are equally specific.
    """
    pairs = _pairs(labels, records)
    best = pairs[pairs["rank"] == pairs.groupby(KEY)["rank"].transform("max")]
    labelled_twice = best.groupby(KEY)["label"].transform("nunique") > 1
    if labelled_twice.any():
        raise XfmrError(f"{_described(best[labelled_twice].iloc[0])} has two different labels: keep one")
    columns = [*records.columns, "of_unit", "label", *_conditions(labels)]
    return best.drop_duplicates(KEY)[columns].reset_index(drop=True)


def match_summary(labels: pd.DataFrame, records: pd.DataFrame) -> str:
    """Count the labels that are of these records, and describe one that is not, for people.

    Args:
        labels: Result of :func:`read_labels`.
        records: Columns :data:`xfmr.schema.KEY`.
    """
    unmatched = np.setdiff1d(np.arange(len(labels)), _pairs(labels, records)["row"])
    summary = f"{len(labels) - len(unmatched)} of {len(labels)} labels are of its records"
    if not len(unmatched):
        return summary
    return f"{summary}; the others match none, such as {_described(labels.iloc[unmatched[0]])}"


def _pairs(labels: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Pair records with every label that is of them: columns of both, ``row`` of the label and its ``rank``."""
    labels = labels.assign(row=np.arange(len(labels)), rank=_specificity(labels))
    kept = ["label", *_conditions(labels), "row", "rank"]
    is_of_record = labels["data_time"].notna() & (labels["sensor_id"] != "")
    of_record = labels[is_of_record]
    if not _has_units(records):
        on = [name for name in KEY if name != "unit"]
        return records.merge(of_record[[*on, "unit", *kept]].rename(columns={"unit": "of_unit"}), on=on)
    of_unit = labels[~is_of_record][["fleet", "unit", "sensor_id", *_TIMES, *kept]]
    of_unit = of_unit.rename(columns={"sensor_id": "sensor", "data_time": "time"})
    pairs = records.merge(of_unit, on=["fleet", "unit"])
    pairs = pairs[
        ((pairs["sensor"] == "") | (pairs["sensor"] == pairs["sensor_id"]))
        & (pairs["time"].isna() | (pairs["time"] == pairs["data_time"]))
        & (pairs["from"].isna() | (pairs["from"] <= pairs["data_time"]))
        & (pairs["to"].isna() | (pairs["data_time"] <= pairs["to"]))
    ].drop(columns=["sensor", "time", "from", "to"])
    found = [pairs, records.merge(of_record[[*KEY, *kept]], on=KEY)]
    found = [frame for frame in found if len(frame)] or found[:1]
    return pd.concat(found, ignore_index=True).assign(of_unit=lambda pairs: pairs["unit"])


def _has_units(records: pd.DataFrame) -> bool:
    return bool((records["unit"] != "").any())


def _conditions(labels: pd.DataFrame) -> list[str]:
    return [str(name) for name in labels if str(name).startswith(CONDITION)]


def _specificity(labels: pd.DataFrame) -> NDArray[np.int64]:
    given = np.stack([(labels[name].notna() & (labels[name] != "")).to_numpy() for name in _SPECIFIC])
    return 2 ** np.arange(len(_SPECIFIC))[::-1] @ given.astype(np.int64)


def _described(row: pd.Series[Any]) -> str:
    """Describe a record or the extent of a label, such as ``unit 114, sensor 1 at 2024-03-01 08:00:00+00:00``."""
    names = {"fleet": row["fleet"], "unit": row["unit"], "sensor": row["sensor_id"]}
    times = {"at": row["data_time"], "from": row.get("from"), "to": row.get("to")}
    named = ", ".join(f"{word} {name}" for word, name in names.items() if name)
    return " ".join([named, *(f"{word} {time}" for word, time in times.items() if not pd.isna(time))])


def match_records(labels: pd.DataFrame, features: FeatureSet) -> pd.DataFrame:
    """Find the labelled records of a run.

    Returns:
        Columns of :data:`xfmr.schema.IDENTITY` and those that :func:`label_records` adds, sorted by sensor and time.

    Raises:
        XfmrError: If there are none, the labels name several units of one sensor, or :func:`label_records` raises.
    """
    records = pa.concat_tables(features.tables()).to_pandas()
    labelled = label_records(labels, records).sort_values(KEY).reset_index(drop=True)
    if labelled.empty:
        raise XfmrError(f"no label is of a record in this run: {_advice(labels, records)}")
    _check_units(labelled)
    return labelled


def _check_units(labelled: pd.DataFrame) -> None:
    """Raise if the labels name several units of a sensor, which is then several sensors with one id."""
    named = labelled[labelled["of_unit"] != ""]
    n_units = named.groupby(SENSOR_COLUMNS)["of_unit"].transform("nunique")
    if (n_units > 1).any():
        sensor_id = named["sensor_id"].iloc[n_units.argmax()]
        message = f"the labels name {n_units.max()} units of sensor {sensor_id}, and the run has none"
        raise XfmrError(f"{message}: give --unit-from")


def _advice(labels: pd.DataFrame, records: pd.DataFrame) -> str:
    if not _has_units(records) and (labels["data_time"].isna() | (labels["sensor_id"] == "")).any():
        return "the labels name units, and the run has none: make it with --unit-from"
    if _has_units(records) and not (labels["unit"] != "").any():
        return "the run has units, and the labels name none: give them a column unit"
    first = f"such as {_described(labels.iloc[0])} and {_described(records.iloc[0])}"
    return f"compare unit, sensor_id and data_time of labels and archive, {first}"


def label_units(
    files: Iterable[ArchiveFile], units: UnitFrom, pattern: PathPattern, words: Mapping[str, str]
) -> pd.DataFrame:
    """Label units by the names of folders, for people to read and correct; only jobs.labels does so.

    Args:
        files: Files of the archive.
        units: Place of the unit in their paths.
        pattern: Place of the ``label`` in their paths.
        words: The label of each word that may stand there; empty if the words are the labels.

    Returns:
        One row a unit: ``fleet`` if there are any, ``unit`` and ``label``.

    Raises:
        XfmrError: If a path names no label or no unit, a word has no label, or a unit has two.
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for file in files:
        source, match = units.source(file), pattern.match(file.path)
        if not source.unit or match is None:
            raise XfmrError(f"{file.path} names no {'label' if source.unit else 'unit'}: compare it with the pattern")
        word = match["label"]
        if words and word not in words:
            raise XfmrError(f"{file.path}: give the label of {word!r} too, such as --words {word}=normal")
        label, path = found.setdefault((source.fleet, source.unit), (words.get(word, word), file.path))
        if label != words.get(word, word):
            raise XfmrError(f"unit {source.unit} is {label} by {path} and {words.get(word, word)} by {file.path}")
    rows = [(*unit, label) for unit, (label, _) in sorted(found.items())]
    table = pd.DataFrame(rows, columns=["fleet", "unit", "label"])
    return table if (table["fleet"] != "").any() else table.drop(columns="fleet")
