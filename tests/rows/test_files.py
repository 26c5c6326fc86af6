"""Files of rows: the same bytes however the rows come, and no more of them in memory than need be."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from xfmr.rows.files import ROW_GROUP_RECORDS, encode_rows, write_rows
from xfmr.schema import fixed_size_column
from xfmr.storage import Store


def encoded(*tables: pa.Table, schema: pa.Schema) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    encode_rows(tables, schema, sink)
    return sink.getvalue()


def test_rows_are_encoded_alike_however_they_come() -> None:
    """The rows of a group as its batches are made, and those of a rewritten group as they were read."""
    n = ROW_GROUP_RECORDS + 2
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "line": np.arange(n),
            "log_spectrum": fixed_size_column(rng.standard_normal((n, 451)).astype(np.float32)),
            "stft": fixed_size_column(rng.integers(0, 256, (n, 129, 63), dtype=np.uint8)),
        }
    )
    written = encoded(table[:ROW_GROUP_RECORDS], table[ROW_GROUP_RECORDS:], schema=table.schema)
    read = pq.read_table(pa.BufferReader(written))
    assert read.equals(table)
    for rows in (table, read, pa.concat_tables([table[:5], table]).filter(pc.field("line") >= 0)[5:]):
        assert encoded(rows, schema=table.schema).equals(written)
    groups = pq.read_metadata(pa.BufferReader(written))
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [ROW_GROUP_RECORDS, 2]


def test_rows_are_written_as_they_are_made(tmp_path: Path) -> None:
    """While the last is made, the others are on disk and not in memory."""
    store, schema = Store(str(tmp_path)), pa.schema([pa.field("x", pa.binary(2**20))])

    def tables() -> Iterator[pa.Table]:
        before = pa.total_allocated_bytes()
        for i in range(50):
            assert pa.total_allocated_bytes() - before < 20 * 2**20
            values = np.random.default_rng(i).integers(0, 256, (4, 2**20), dtype=np.uint8)
            yield pa.table([fixed_size_column(values)], schema=schema)
        (staged,) = tmp_path.iterdir()
        assert staged.stat().st_size > 190 * 2**20

    write_rows(store, "a.parquet", tables(), schema)
    assert pq.read_metadata(tmp_path / "a.parquet").num_rows == 200


def test_rows_that_fail_leave_nothing(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("x", pa.int64())])

    def tables() -> Iterator[pa.Table]:
        yield pa.table([[1]], schema=schema)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(Store(str(tmp_path)), "a.parquet", tables(), schema)
    assert list(tmp_path.iterdir()) == []
