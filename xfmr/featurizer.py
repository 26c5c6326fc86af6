"""One group of archive files -> its rows of features and of quarantine, written whole, and the receipt."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfmr import features
from xfmr.archive import ArchiveFile, Group, Ledger, Receipt
from xfmr.errors import XfmrError
from xfmr.feature_set import feature_file, quarantine_file
from xfmr.records import START_CHARACTERS, Reason, Record, Reject, read_records, record_id
from xfmr.schema import QUARANTINE, features_schema, fixed_size_column
from xfmr.storage import Store

# Records whose features are computed together: their planes and intermediates stay below about 100 MB.
BATCH_RECORDS = 128

# What is computed of a batch of signals (n, 8192) at a sampling rate in Hz, by the name of its column.
VALUE_COLUMNS: Mapping[str, Callable[[NDArray[np.float32], float], NDArray[Any]]] = {
    "signal": lambda signals, rate: signals,
    "zerone": lambda signals, rate: features.zerone(signals, sample_rate_hz=rate),
    "log_spectrum": lambda signals, rate: features.log_spectrum(signals, sample_rate_hz=rate),
    "health": lambda signals, rate: features.health_indices(signals, sample_rate_hz=rate),
    "cwt": lambda signals, rate: features.quantise(features.cwt_plane(signals)),
    "stft": lambda signals, rate: features.quantise(features.stft_plane(signals)),
}

Line = tuple[ArchiveFile, Record | Reject]


def read_group(group: Group, archives: Mapping[str, str]) -> Iterator[Line]:
    """Read a group's files in order, each line as a record or the reason it is none.

    A file that is gone or may not be read is one reject of line 0. Any other failure of the storage may pass, so it
    stops the job: the next run tries the group again.

    Args:
        group: The files.
        archives: URI of each fleet's archive.

    Raises:
        XfmrError: Where the storage fails.
    """
    for file in group.files:
        try:
            with Store(archives[file.fleet]).open(file.path) as stream:
                for item in read_records(stream, name=file.path):
                    yield file, item
        except (FileNotFoundError, PermissionError) as error:
            yield file, Reject(Reason.UNREADABLE_FILE, 0, str(error)[:START_CHARACTERS])
        except OSError as error:
            raise XfmrError(
                f"cannot read {file.path} of archive {archives[file.fleet]}: {error}; run the same command again to "
                "go on, or move the file away"
            ) from error


class RowMaker(Protocol):
    """Turns a batch of records, each with the file it was read from, into rows of one schema."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows; ``path`` and ``line`` among them."""

    def __call__(self, records: Sequence[tuple[ArchiveFile, Record]]) -> pa.Table:
        """Make one row of each record, in the order given; there is at least one, and signals have one length."""


@dataclass(frozen=True)
class FeatureRows:
    """Rows of features.

    Args:
        sample_rate_hz: Sampling rate in Hz.
        columns: Which of :data:`VALUE_COLUMNS` to compute.
    """

    sample_rate_hz: float
    columns: Collection[str] = tuple(VALUE_COLUMNS)

    @property
    def schema(self) -> pa.Schema:
        """:func:`xfmr.schema.features_schema` without the value columns left out."""
        left_out = VALUE_COLUMNS.keys() - set(self.columns)
        return pa.schema([field for field in features_schema(features.N_SAMPLES) if field.name not in left_out])

    def __call__(self, records: Sequence[tuple[ArchiveFile, Record]]) -> pa.Table:
        """Compute the row of each record."""
        signals = np.stack([record.signal for _, record in records])
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
        for name in self.columns:
            arrays[name] = fixed_size_column(VALUE_COLUMNS[name](signals, self.sample_rate_hz))
        return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


@dataclass
class _Sorted:
    """Lines of a group, sorted into records to compute and rejects to keep, and counted."""

    lines: Iterator[Line]
    rejects: list[dict[str, Any]] = field(default_factory=list)
    n_records: int = 0

    def batches(self) -> Iterator[list[tuple[ArchiveFile, Record]]]:
        records = self._records()
        while batch := list(islice(records, BATCH_RECORDS)):
            self.n_records += len(batch)
            yield batch

    def _records(self) -> Iterator[tuple[ArchiveFile, Record]]:
        for file, item in self.lines:
            if isinstance(item, Record):
                yield file, item
            else:
                self.rejects.append({"fleet": file.fleet, "path": file.path, **asdict(item)})


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
        group = Group.from_json(item)
        lines = _Sorted(read_group(group, self.archives))
        self.store.write(feature_file(group.name), self._rows(lines))
        self.store.write_table(quarantine_file(group.name), pa.Table.from_pylist(lines.rejects, schema=QUARANTINE))
        n_rejects = len(lines.rejects)
        receipt = Receipt(group.name, lines.n_records + n_rejects, lines.n_records, n_rejects)
        Ledger(self.store).sign(receipt)
        return pa.Table.from_pylist([{**asdict(receipt), "n_bytes": group.n_bytes}])

    def _rows(self, lines: _Sorted) -> pa.Buffer:
        sink = pa.BufferOutputStream()
        # Float columns hardly repeat a value: a dictionary of them would only cost time.
        dictionary = ["fleet", "sensor_id", "path"]
        with pq.ParquetWriter(sink, self.rows.schema, compression="zstd", use_dictionary=dictionary) as out:
            for batch in lines.batches():
                out.write_table(self.rows(batch))
        return sink.getvalue()
