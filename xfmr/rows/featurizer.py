"""One group of archive files -> its rows of features and of quarantine, written whole, and the receipt."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfmr.archive import ArchiveFile
from xfmr.archive.ledger import Ledger, Receipt
from xfmr.archive.plan import Group
from xfmr.archive.reading import Line, read_group
from xfmr.features import FEATURE_COLUMNS, N_SAMPLES, feature_columns
from xfmr.features.device import compute_batches
from xfmr.records import Record, record_id
from xfmr.rows.feature_set import feature_file, quarantine_file
from xfmr.rows.row_files import ROW_GROUP_RECORDS, write_rows
from xfmr.schema import QUARANTINE, features_schema, fixed_size_column
from xfmr.storage import Store

# Records computed, and written as a row group, together: the rows take 9 MB, what is computed on the way is chunked
# on a CPU and about 4 MB a record on a GPU.
BATCH_RECORDS = ROW_GROUP_RECORDS

_REJECTS_AT_A_TIME = 4096

VALUE_COLUMNS = ("signal", *FEATURE_COLUMNS)
"""The columns of a row that are made of its signal."""


class Batch(NamedTuple):
    """Records, each with the file it was read from, and their signals in one array (n, n_samples)."""

    records: list[tuple[ArchiveFile, Record]]
    signals: NDArray[np.float32]


class RowMaker(Protocol):
    """Turns batches of records into rows of one schema."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows; ``path`` and ``line`` among them."""

    @property
    def n_samples(self) -> int:
        """Length of a signal."""

    def tables(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Make one row of each record: a table for each batch, all in the order given."""


@dataclass(frozen=True)
class FeatureRows:
    """Rows of features.

    Args:
        sample_rate_hz: Sampling rate in Hz.
        n_samples: Length to which signals are padded or cut, at least 4096.
        columns: Which of :data:`VALUE_COLUMNS` to compute.
    """

    sample_rate_hz: float
    n_samples: int = N_SAMPLES
    columns: Collection[str] = VALUE_COLUMNS

    @property
    def schema(self) -> pa.Schema:
        """:func:`xfmr.schema.features_schema` without the value columns left out."""
        left_out = set(VALUE_COLUMNS) - set(self.columns)
        return pa.schema([field for field in features_schema(self.n_samples) if field.name not in left_out])

    def tables(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Compute the rows of each batch, on the GPU where there is one while the next batch is read."""
        waiting: deque[Batch] = deque()

        def signals() -> Iterator[NDArray[np.float32]]:
            for batch in batches:
                waiting.append(batch)
                yield batch.signals

        for columns in compute_batches(signals(), self._computed):
            yield self._table(waiting.popleft(), columns)

    def _computed(self, signals: Any) -> dict[str, Any]:
        names = [name for name in FEATURE_COLUMNS if name in self.columns]
        return feature_columns(signals, sample_rate_hz=self.sample_rate_hz, columns=names)

    def _table(self, batch: Batch, columns: Mapping[str, NDArray[Any]]) -> pa.Table:
        records = batch.records
        described: dict[str, list[Any]] = {
            "fleet": [file.fleet for file, _ in records],
            "sensor_id": [record.sensor_id for _, record in records],
            "data_time": [record.data_time for _, record in records],
            "record_id": [record_id(record.signal) for _, record in records],
            "path": [file.path for file, _ in records],
            "line": [record.line for _, record in records],
            "n_samples": [record.n_samples for _, record in records],
            "flat": [bool(np.ptp(record.signal[: record.n_samples]) == 0) for _, record in records],
        }
        schema = self.schema
        arrays = {name: pa.array(values, schema.field(name).type) for name, values in described.items()}
        arrays |= {name: fixed_size_column(values) for name, values in {**columns, "signal": batch.signals}.items()}
        return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


class _SignalBlocks:
    """Rows for the signals of one batch after another, so that those of a batch are one array."""

    def __init__(self, n_samples: int) -> None:
        self._shape = (BATCH_RECORDS, n_samples)
        self.start()

    def start(self) -> None:
        """Begin a new batch; the array of the one before belongs to it."""
        self._block = np.zeros(self._shape, np.float32)
        self.n_taken = 0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self

    def __next__(self) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self._block[self.n_taken]
        self.n_taken += 1
        return row

    @property
    def signals(self) -> NDArray[np.float32]:
        """The rows taken for this batch."""
        taken: NDArray[np.float32] = self._block[: self.n_taken]
        return taken


@dataclass
class _Sorted:
    """Lines of a group, sorted into records to compute and rejects to write away, and counted."""

    lines: Iterator[Line]
    blocks: _SignalBlocks
    quarantine: pq.ParquetWriter
    n_records: int = 0
    n_rejects: int = 0

    def batches(self) -> Iterator[Batch]:
        records = self._records()
        while batch := list(islice(records, BATCH_RECORDS)):
            self.n_records += len(batch)
            yield Batch(batch, self.blocks.signals)
            self.blocks.start()

    def _records(self) -> Iterator[tuple[ArchiveFile, Record]]:
        rejects: list[dict[str, Any]] = []
        for file, item in self.lines:
            if isinstance(item, Record):
                yield file, item
                continue
            rejects.append({"fleet": file.fleet, "path": file.path, **asdict(item)})
            if len(rejects) == _REJECTS_AT_A_TIME:
                self._write(rejects)
        if rejects:
            self._write(rejects)

    def _write(self, rejects: list[dict[str, Any]]) -> None:
        self.quarantine.write_table(pa.Table.from_pylist(rejects, schema=QUARANTINE))
        self.n_rejects += len(rejects)
        rejects.clear()


@dataclass(frozen=True)
class GroupFeaturizer:
    """Turns a group's files into its rows and its quarantine, and signs the ledger last.

    Args:
        store: The run.
        archives: URI of each fleet's archive.
        rows: What a row is.
    """

    store: Store
    archives: Mapping[str, str]
    rows: RowMaker

    def __call__(self, item: str) -> pa.Table:
        """Process one group given as :meth:`Group.to_json` wrote it; the answer is the receipt as a row."""
        group, ledger = Group.from_json(item), Ledger(self.store)
        try:
            receipt = self._made(group)
            ledger.sign(receipt)
        except _SignedMeanwhileError:
            receipt = ledger.receipt(group.name)
        return pa.Table.from_pylist([{**asdict(receipt), "n_bytes": group.n_bytes}])

    def _made(self, group: Group) -> Receipt:
        """Write a group's rows and quarantine."""
        blocks = _SignalBlocks(self.rows.n_samples)
        with (
            self.store.writing(quarantine_file(group.name)) as sink,
            pq.ParquetWriter(sink, QUARANTINE, compression="zstd") as quarantine,
        ):
            lines = _Sorted(read_group(group, self.archives, rows=blocks), blocks, quarantine)
            tables = self._unless_signed(group, self.rows.tables(lines.batches()))
            write_rows(self.store, feature_file(group.name), tables, self.rows.schema)
        return Receipt(group.name, lines.n_records + lines.n_rejects, lines.n_records, lines.n_rejects)

    def _unless_signed(self, group: Group, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Yield tables, and stop before they are put in place where another worker has done the group meanwhile.

        This one's driver was killed then. The set may be closed, and its rows of this group without duplicates.
        """
        yield from tables
        if Ledger(self.store).is_signed(group.name):
            raise _SignedMeanwhileError


class _SignedMeanwhileError(Exception):
    """Another worker has done the group."""
