"""Records of the same sensor and time: copies, of which one is kept, and conflicts, which are quarantined.

Of all records with the same fleet, unit, sensor and time the one with the smallest path and line is kept. Another
with the same signal is a duplicate; one with another signal is a conflict. They may be in two groups, so they are
looked for after all groups are finished. First the hashes of all records are compared, 8 bytes each; only records
whose hash occurs twice are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfmr.rows.files import ROW_GROUP_RECORDS, write_rows
from xfmr.schema import KEY, QUARANTINE
from xfmr.storage import Store
from xfmr.storage.threads import in_threads

CONFLICT = "conflicting_signal"
"""Reason in the quarantine: another record of the same sensor and time has another signal."""


class Repeated(NamedTuple):
    """The records that repeat the sensor and time of another.

    Args:
        records: One row a record that is not the kept one of its sensor and time: :data:`xfmr.schema.KEY`, ``path``,
            ``line``, ``file`` and ``row`` (its place), ``conflict`` (True if its signal is not the kept one's), and
            the kept record's ``kept_path`` and ``kept_line``.
        n_rows: Number of rows of each file without these records.
    """

    records: pd.DataFrame
    n_rows: dict[str, int]

    @property
    def conflicts(self) -> pd.DataFrame:
        """The records whose signal is not the kept one's."""
        return self.records[self.records["conflict"]]


def find_repeated(store: Store, names: Sequence[str]) -> Repeated:
    """Find the records in some files of rows that repeat the sensor and time of another."""
    hashes = list(in_threads(lambda name: _hashes(store, name), names))
    distinct, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *hashes]), return_counts=True)
    suspects = [np.flatnonzero(np.isin(own, distinct[counts > 1])) for own in hashes]
    suspected = [i for i, rows in enumerate(suspects) if len(rows)]
    tables = in_threads(lambda i: _described(store, names[i], suspects[i]), suspected)
    columns = [*KEY, "path", "line", "record_id", "file", "row"]
    index = pd.concat([pd.DataFrame(columns=columns), *tables]) if suspected else pd.DataFrame(columns=columns)
    index = index.sort_values([*KEY, "path", "line"])
    first = index.drop_duplicates(KEY).rename(
        columns={"record_id": "kept_id", "path": "kept_path", "line": "kept_line"}
    )
    repeated = index[index.duplicated(KEY)].merge(first.drop(columns=["file", "row"]), on=KEY)
    repeated = repeated.assign(conflict=repeated["record_id"] != repeated["kept_id"])
    dropped = repeated["file"].value_counts()
    n_rows = {name: len(own) - int(dropped.get(name, 0)) for name, own in zip(names, hashes, strict=True)}
    return Repeated(repeated, n_rows)


def drop_repeated(store: Store, repeated: Repeated) -> None:
    """Rewrite the files that hold repeated records without them."""
    for name, rows in repeated.records.groupby("file")["row"]:
        _rewrite(store, str(name), rows.to_numpy(np.int64))


def with_conflicts(quarantined: pa.Table, conflicts: pd.DataFrame) -> pa.Table:
    """Add conflicts to the quarantine of their group; those that are in it already are not added again."""
    known = set(zip(quarantined["path"].to_pylist(), quarantined["line"].to_pylist(), strict=True))
    rows = [
        {
            "fleet": row.fleet,
            "unit": row.unit,
            "path": row.path,
            "line": row.line,
            "reason": CONFLICT,
            "start": f"{row.sensor_id} at {row.data_time}: kept is {row.kept_path}, line {row.kept_line}",
        }
        for row in conflicts.itertuples()
        if (row.path, row.line) not in known
    ]
    return pa.concat_tables([quarantined, pa.Table.from_pylist(rows, schema=QUARANTINE)])


def row_count(store: Store, name: str) -> int:
    """Return the number of rows of a Parquet file."""
    return len(store.read_table(name, ["record_id"]))


def _hashes(store: Store, name: str) -> NDArray[np.uint64]:
    key: pd.DataFrame = store.read_table(name, KEY).to_pandas()
    return np.asarray(pd.util.hash_pandas_object(key, index=False), dtype=np.uint64)


def _described(store: Store, name: str, rows: NDArray[np.int64]) -> pd.DataFrame:
    columns = [*KEY, "path", "line", "record_id"]
    described: pd.DataFrame = store.read_table(name, columns).take(pa.array(rows)).to_pandas()
    return described.assign(file=name, row=rows)


def _rewrite(store: Store, name: str, dropped: NDArray[np.int64]) -> None:
    with store.open_seekable(name) as source:
        file = pq.ParquetFile(source)
        write_rows(store, name, _others(file, dropped), file.schema_arrow)


def _others(file: pq.ParquetFile, dropped: NDArray[np.int64]) -> Iterator[pa.Table]:
    begin = 0
    for batch in file.iter_batches(ROW_GROUP_RECORDS):
        keep = ~np.isin(np.arange(begin, begin + len(batch)), dropped)
        begin += len(batch)
        if keep.any():
            yield pa.Table.from_batches([batch]).filter(pa.array(keep))
