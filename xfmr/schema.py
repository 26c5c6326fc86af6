"""The columns that pass between jobs, and the words in them.

A sensor is identified by ``fleet``, ``unit`` and ``sensor_id`` together. ``fleet`` is empty in a run of one archive,
``unit`` in a run whose archive names no units.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

TIME = pa.timestamp("us", tz="UTC")

IDENTITY = [
    pa.field("fleet", pa.string(), nullable=False),
    pa.field("unit", pa.string(), nullable=False),
    pa.field("sensor_id", pa.string(), nullable=False),
    pa.field("data_time", TIME, nullable=False),
    pa.field("record_id", pa.int64(), nullable=False),
]

IDENTITY_COLUMNS = [field.name for field in IDENTITY]
SENSOR_COLUMNS = ["fleet", "unit", "sensor_id"]
KEY = [*SENSOR_COLUMNS, "data_time"]
"""Columns that name a record: one sensor, one time."""

NORMAL = "normal"
"""The label of a healthy record; any other is a fault type."""

RecordIds = NDArray[np.int64]


@dataclass(frozen=True)
class Recording:
    """How an archive's records were recorded; features of different recordings are not comparable.

    Args:
        sample_rate_hz: Sampling rate in Hz.
        record_length: Samples of a record; shorter ones are padded with zeros, longer ones cut.
    """

    sample_rate_hz: float
    record_length: int


RECORD_LENGTH = 8192
"""Samples of a record, unless the settings say otherwise: one second at 8192 Hz."""


class PseudoLabel(StrEnum):
    """The verdict of a score on a record."""

    NORMAL = "normal"
    UNCERTAIN = "uncertain"
    ANOMALY = "anomaly"


def path_segment(identity: str) -> str:
    """Return a fleet's or sensor's name as one part of a path: letters and digits as they are, the rest %-encoded."""
    return "".join(c if c.isalnum() or c in "-_." else quote(c, safe="") for c in identity)


def vector(size: int) -> pa.DataType:
    """Return the type of a column of float32 vectors."""
    return pa.list_(pa.field("item", pa.float32(), nullable=False), size)


QUARANTINE = pa.schema(
    [
        ("fleet", pa.string()),
        ("unit", pa.string()),
        ("path", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("start", pa.string()),
    ]
)

SCORES = pa.schema([*IDENTITY, pa.field("score", pa.float32()), pa.field("pseudo_label", pa.string())])

DIAGNOSES = pa.schema([*SCORES, pa.field("fault_type", pa.string()), pa.field("confidence", pa.float32())])


def fixed_size_column(values: NDArray[Any]) -> pa.Array:
    """Turn an array (n, ...) into a column of n rows without copying the values.

    Args:
        values: float32, whose rows become fixed-size lists, or uint8, whose rows become bytes.
    """
    width = int(np.prod(values.shape[1:]))
    flat = np.ascontiguousarray(values).reshape(-1)
    if values.dtype == np.uint8:
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(values), [None, pa.py_buffer(flat)])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=vector(width))


def to_numpy(table: pa.Table, column: str, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Return a column that :func:`fixed_size_column` made as an array (n, *shape), by default (n, width)."""
    kind = table.schema.field(column).type
    if pa.types.is_fixed_size_binary(kind):
        width, parts = kind.byte_width, [np.empty(0, np.uint8), *map(_bytes_of, table[column].chunks)]
    else:
        parts = [np.empty(0, np.float32), *(np.asarray(chunk.flatten()) for chunk in table[column].chunks)]
        width = kind.list_size
    return np.concatenate(parts).reshape(len(table), *(shape or (width,)))


def _bytes_of(chunk: pa.FixedSizeBinaryArray) -> NDArray[np.uint8]:
    width = chunk.type.byte_width
    return np.frombuffer(chunk.buffers()[1], np.uint8, count=len(chunk) * width, offset=chunk.offset * width)
