"""Files of rows, written batch by batch: at most one batch is in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xfmr.storage import Store

ROW_GROUP_RECORDS = 128
"""Most rows in a row group."""


def write_rows(store: Store, name: str, tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    """Write a file of rows; it appears only after all rows are written, and not at all if one cannot be made.

    Args:
        store: The store of the file.
        name: The file's name.
        tables: Rows in order, each table in row groups of its own; an empty table adds none.
        schema: Of all tables.
    """
    with store.writing(name) as sink:
        encode_rows(tables, schema, sink)


def encode_rows(tables: Iterable[pa.Table], schema: pa.Schema, sink: Any) -> None:
    """Write rows as Parquet, each table in row groups of its own; the same rows always give the same bytes.

    Time to write a row (ms) and its size (kB), measured on real records on one core; a row takes 76 kB in memory:

    - Float columns, 39 kB: plain 0.05, 39; zstd 0.09, 36; byte stream split and zstd 0.10, 33. lz4 gains nothing, a
      dictionary costs 0.3 ms.
    - Planes, 37 kB, as bytes: plain 0.01, 37; zstd 0.06, 29; lz4 0.02, 37. As lists of uint8, which Parquet stores as
      32-bit integers: zstd 0.61, 43; byte stream split and zstd 0.26, 30; delta packing 0.35, 35.

    A whole row: 0.16, 58 at zstd level 1; 0.12, 69 at level -5; 0.27, 58 at level 3; 0.36, 58 with planes as lists.
    Row groups of 32 rows take up to a tenth longer; those of 512 save 4 % of the bytes, those of 1024 no more. No
    statistics are written for vectors, since no reader uses them.

    Args:
        tables: Rows in order; an empty table adds none.
        schema: Of all tables.
        sink: An open file or Arrow stream.
    """
    vectors = {field.name for field in schema if pa.types.is_fixed_size_list(field.type)}
    scalars = [field.name for field in schema if not pa.types.is_nested(field.type)]
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in vectors},
        "write_statistics": [name for name in scalars if not pa.types.is_fixed_size_binary(schema.field(name).type)],
    }
    with pq.ParquetWriter(sink, schema, **options) as out:
        for table in tables:
            out.write_table(table, row_group_size=ROW_GROUP_RECORDS)
