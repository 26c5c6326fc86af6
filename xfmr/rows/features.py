"""Rows of features: what featurize writes of each record."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.features import FEATURE_COLUMNS, feature_columns
from xfmr.features.device import compute_batches
from xfmr.records import record_id
from xfmr.rows.writer import Batch
from xfmr.schema import IDENTITY, Recording, fixed_size_column, vector

VALUE_COLUMNS = ("signal", *FEATURE_COLUMNS)
"""The columns of a row that are made from its signal."""


def features_schema(record_length: int, columns: Collection[str] = VALUE_COLUMNS) -> pa.Schema:
    """Return the schema of ``RUN/features/<group>.parquet``, one row a record.

    ``signal`` is zero-padded or cut to ``record_length``; ``n_samples`` is the true length. Planes are row-major, a
    byte a pixel: Parquet would store a list of uint8 as 32-bit integers, which takes four times as long to write.

    Args:
        record_length: Samples of a record.
        columns: The :data:`VALUE_COLUMNS` in it.
    """
    fields = {"signal": vector(record_length)}
    for name, column in FEATURE_COLUMNS.items():
        size = prod(column.shape(record_length))
        fields[name] = pa.binary(size) if column.planes else vector(size)
    return pa.schema(
        [
            *IDENTITY,
            pa.field("path", pa.string(), nullable=False),
            pa.field("line", pa.int64(), nullable=False),
            pa.field("n_samples", pa.int64(), nullable=False),
            pa.field("flat", pa.bool_(), nullable=False),
            *(pa.field(name, kind, nullable=False) for name, kind in fields.items() if name in columns),
        ]
    )


@dataclass(frozen=True)
class FeatureRows:
    """Makes rows of features.

    Args:
        recording: Sampling rate, and the length to which signals are padded or cut, at least 4096.
        columns: The :data:`VALUE_COLUMNS` to compute.
    """

    recording: Recording
    columns: Collection[str] = VALUE_COLUMNS

    @property
    def record_length(self) -> int:
        """Samples of a record."""
        return self.recording.record_length

    @property
    def key(self) -> str:
        """Name of a set of such rows, by all that they depend on; the number rises when they are computed otherwise.

        Written as the first versions wrote it, so that their groups keep their names.
        """
        rate_hz, length = self.recording.sample_rate_hz, self.record_length
        return f"features 4, FeatureRows(sample_rate_hz={rate_hz}, n_samples={length}, columns={self.columns})"

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        return features_schema(self.record_length, self.columns)

    def tables(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Compute the rows of each batch; on a GPU while the next batch is read."""
        waiting: deque[Batch] = deque()

        def signals() -> Iterator[NDArray[np.float32]]:
            for batch in batches:
                waiting.append(batch)
                yield batch.signals

        for columns in compute_batches(signals(), self._computed):
            yield self._table(waiting.popleft(), columns)

    def _computed(self, signals: Any) -> dict[str, Any]:
        names = [name for name in FEATURE_COLUMNS if name in self.columns]
        return feature_columns(signals, sample_rate_hz=self.recording.sample_rate_hz, columns=names)

    def _table(self, batch: Batch, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
        records = batch.records
        described: dict[str, list[Any]] = {
            "fleet": [source.fleet for source, _ in records],
            "unit": [source.unit or record.unit for source, record in records],
            "sensor_id": [record.sensor_id for _, record in records],
            "data_time": [record.data_time for _, record in records],
            "record_id": [record_id(record.signal) for _, record in records],
            "path": [source.path for source, _ in records],
            "line": [record.line for _, record in records],
            "n_samples": [record.n_samples for _, record in records],
            "flat": [bool(np.ptp(record.signal[: record.n_samples]) == 0) for _, record in records],
        }
        schema = self.schema
        arrays = {name: pa.array(values, schema.field(name).type) for name, values in described.items()}
        arrays |= {name: fixed_size_column(values) for name, values in {**columns, "signal": batch.signals}.items()}
        return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)
