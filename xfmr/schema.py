"""Arrow schemas: the one place where the columns that pass between jobs are written.

A transformer's sensor is named by ``fleet`` and ``sensor_id`` together; ``fleet`` is empty in a run of one archive.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

ZERONE_SIZE = 1200
LOG_SPECTRUM_SIZE = 451
HEALTH_SIZE = 5
CWT_SHAPE = (128, 224)
STFT_SHAPE = (129, 63)

TIME = pa.timestamp("us", tz="UTC")

_IDENTITY = [
    pa.field("fleet", pa.string(), nullable=False),
    pa.field("sensor_id", pa.string(), nullable=False),
    pa.field("data_time", TIME, nullable=False),
    pa.field("record_id", pa.int64(), nullable=False),
]

IDENTITY_COLUMNS = [field.name for field in _IDENTITY]
SENSOR_COLUMNS = ["fleet", "sensor_id"]


def path_segment(identity: str) -> str:
    """Write a fleet's or sensor's name as one part of a path: letters and digits as they are, the rest %-encoded."""
    return "".join(c if c.isalnum() or c in "-_." else quote(c, safe="") for c in identity)


def _vector(kind: pa.DataType, size: int) -> pa.DataType:
    return pa.list_(pa.field("item", kind, nullable=False), size)


def features_schema(n_samples: int) -> pa.Schema:
    """Return the schema of ``RUN/features/<group>.parquet``, one row a record.

    ``signal`` is zero-padded or cut to ``n_samples``; the column ``n_samples`` keeps the true length. ``cwt`` and
    ``stft`` are row-major planes of :data:`CWT_SHAPE` and :data:`STFT_SHAPE`, min-max scaled to 0..255.
    """
    return pa.schema(
        [
            *_IDENTITY,
            pa.field("path", pa.string(), nullable=False),
            pa.field("line", pa.int64(), nullable=False),
            pa.field("n_samples", pa.int64(), nullable=False),
            pa.field("flat", pa.bool_(), nullable=False),
            pa.field("signal", _vector(pa.float32(), n_samples), nullable=False),
            pa.field("zerone", _vector(pa.float32(), ZERONE_SIZE), nullable=False),
            pa.field("log_spectrum", _vector(pa.float32(), LOG_SPECTRUM_SIZE), nullable=False),
            pa.field("health", _vector(pa.float32(), HEALTH_SIZE), nullable=False),
            pa.field("cwt", _vector(pa.uint8(), CWT_SHAPE[0] * CWT_SHAPE[1]), nullable=False),
            pa.field("stft", _vector(pa.uint8(), STFT_SHAPE[0] * STFT_SHAPE[1]), nullable=False),
        ]
    )


QUARANTINE = pa.schema(
    [
        ("fleet", pa.string()),
        ("path", pa.string()),
        ("line", pa.int64()),
        ("reason", pa.string()),
        ("start", pa.string()),
    ]
)

SCORES = pa.schema([*_IDENTITY, pa.field("score", pa.float32()), pa.field("pseudo_label", pa.string())])

DIAGNOSES = pa.schema([*SCORES, pa.field("fault_type", pa.string()), pa.field("confidence", pa.float32())])


def fixed_size_column(values: NDArray[Any]) -> pa.FixedSizeListArray:
    """Turn an array (n, ...) into a column of n flattened fixed-size lists without copying the values."""
    width = int(np.prod(values.shape[1:]))
    item = pa.field("item", pa.from_numpy_dtype(values.dtype), nullable=False)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, type=pa.list_(item, width))


def to_numpy(table: pa.Table, column: str, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Return a fixed-size-list column as an array (n, *shape), by default (n, list size)."""
    chunks = [np.asarray(chunk.flatten()) for chunk in table[column].chunks]
    flat = np.concatenate(chunks) if chunks else np.empty(0)
    width = table.schema.field(column).type.list_size
    return flat.reshape(-1, *(shape or (width,)))
