"""Duplicates: of all records with the same fleet, sensor and time, the one of the smallest path and line stays.

They may stand in two groups, so they are looked for when all groups are there. A hash of every record is compared
first, 8 bytes each; only records whose hash occurs twice are looked at more closely.
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
    """Rewrite the files that hold a row which another row precedes, and return how many rows are left in all."""
    hashes = list(in_threads(lambda name: _hashes(store, name), names))
    rows, n_seen = np.unique(np.concatenate([np.empty(0, np.uint64), *hashes]), return_counts=True)
    repeated = rows[n_seen > 1]
    suspects = [np.flatnonzero(np.isin(found, repeated)) for found in hashes]
    looked_at = [i for i, found in enumerate(suspects) if len(found)]
    dropped = 0
    if looked_at:
        parts = in_threads(lambda i: _described(store, names[i], suspects[i]), looked_at)
        index = pd.concat(parts, ignore_index=True).sort_values([*KEY, "path", "line"])
        later = index[index.duplicated(KEY)]
        for name, found in later.groupby("file")["row"]:
            _rewrite(store, str(name), found.to_numpy())
        dropped = len(later)
    return sum(map(len, hashes)) - dropped


def row_count(store: Store, name: str) -> int:
    """Return the number of rows of a Parquet file."""
    return len(store.read_table(name, ["record_id"]))


def _hashes(store: Store, name: str) -> NDArray[np.uint64]:
    key: pd.DataFrame = store.read_table(name, KEY).to_pandas()
    return np.asarray(pd.util.hash_pandas_object(key, index=False), dtype=np.uint64)


def _described(store: Store, name: str, rows: NDArray[np.int64]) -> pd.DataFrame:
    found: pd.DataFrame = store.read_table(name, [*KEY, "path", "line"]).take(pa.array(rows)).to_pandas()
    return found.assign(file=name, row=rows)


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
