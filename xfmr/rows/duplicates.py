"""Duplicates: of all records with the same fleet, sensor and time, the one with the smallest path and line is kept.

Duplicates may be in two groups, so they are removed after all groups are finished. First the hashes of all records
are compared, 8 bytes each; only records whose hash occurs twice are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfmr.rows.files import ROW_GROUP_RECORDS, write_rows
from xfmr.schema import KEY
from xfmr.storage import Store
from xfmr.storage.threads import in_threads


def drop_duplicates(store: Store, names: Sequence[str]) -> int:
    """Rewrite the files that hold duplicates without them, and return the number of rows left in all files."""
    hashes = list(in_threads(lambda name: _hashes(store, name), names))
    distinct, counts = np.unique(np.concatenate([np.empty(0, np.uint64), *hashes]), return_counts=True)
    repeated = distinct[counts > 1]
    suspects = [np.flatnonzero(np.isin(own, repeated)) for own in hashes]
    suspected = [i for i, rows in enumerate(suspects) if len(rows)]
    dropped = 0
    if suspected:
        tables = in_threads(lambda i: _described(store, names[i], suspects[i]), suspected)
        index = pd.concat(tables, ignore_index=True).sort_values([*KEY, "path", "line"])
        later = index[index.duplicated(KEY)]
        for name, rows in later.groupby("file")["row"]:
            _rewrite(store, str(name), rows.to_numpy())
        dropped = len(later)
    return sum(map(len, hashes)) - dropped


def row_count(store: Store, name: str) -> int:
    """Return the number of rows of a Parquet file."""
    return len(store.read_table(name, ["record_id"]))


def _hashes(store: Store, name: str) -> NDArray[np.uint64]:
    key: pd.DataFrame = store.read_table(name, KEY).to_pandas()
    return np.asarray(pd.util.hash_pandas_object(key, index=False), dtype=np.uint64)


def _described(store: Store, name: str, rows: NDArray[np.int64]) -> pd.DataFrame:
    described: pd.DataFrame = store.read_table(name, [*KEY, "path", "line"]).take(pa.array(rows)).to_pandas()
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
