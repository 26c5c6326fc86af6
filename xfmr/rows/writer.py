"""The exactly-once writer: a group of archive files becomes its rows, its quarantine and, last, its receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xfmr.archive.ledger import Ledger, Receipt
from xfmr.archive.plan import Group
from xfmr.archive.reading import Line, read_group
from xfmr.archive.units import NO_UNITS, Source, UnitFrom
from xfmr.records import Record
from xfmr.rows.files import ROW_GROUP_RECORDS, write_rows
from xfmr.rows.row_set import RowSet
from xfmr.schema import QUARANTINE

# Records that are computed together and written as one row group. Their rows take 9 MB; intermediate arrays are
# chunked on a CPU, and take about 4 MB a record on a GPU.
BATCH_RECORDS = ROW_GROUP_RECORDS

_REJECTS_AT_A_TIME = 4096


class Batch(NamedTuple):
    """Records, each with its source, and their signals as one array (n, record_length)."""

    records: list[tuple[Source, Record]]
    signals: NDArray[np.float32]

    @classmethod
    def of(cls, records: list[tuple[Source, Record]]) -> Batch:
        """Stack the signals of records."""
        return cls(records, np.stack([record.signal for _, record in records]))


class RowMaker(Protocol):
    """Turns batches of records into rows of one schema."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of the rows; ``path`` and ``line`` among them."""

    @property
    def record_length(self) -> int:
        """Samples of a record."""

    def tables(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Make one row of each record: a table for each batch, all in the order given."""


class GroupWriter:
    """Writes one group after another.

    Args:
        rows: The set that the groups belong to.
        archives: URI of each fleet's archive.
        make_maker: Makes the row maker, once in each process, since it may load models.
        unit_from: Place of a record's unit.
    """

    def __init__(
        self,
        rows: RowSet,
        archives: Mapping[str, str],
        make_maker: Callable[[], RowMaker],
        unit_from: UnitFrom = NO_UNITS,
    ) -> None:
        self.rows = rows
        self.archives = archives
        self.unit_from = unit_from
        self.maker = make_maker()

    def __call__(self, item: str) -> pa.Table:
        """Write a group, given as :meth:`~xfmr.archive.plan.Group.to_json` text, and return its receipt as a row."""
        group, ledger = Group.from_json(item), Ledger(self.rows.store)
        try:
            receipt = self._written(group)
            ledger.sign(receipt)
        except _SignedMeanwhileError:
            receipt = ledger.receipt(group.name)
        return pa.Table.from_pylist([{**asdict(receipt), "n_bytes": group.n_bytes}])

    def _written(self, group: Group) -> Receipt:
        """Write a group's rows and quarantine."""
        store = self.rows.store
        with (
            store.writing(self.rows.quarantine_file(group.name)) as sink,
            pq.ParquetWriter(sink, QUARANTINE, compression="zstd") as quarantine,
        ):
            lines = read_group(group, self.archives, self.maker.record_length, self.unit_from)
            sorter = _LineSorter(lines, quarantine)
            tables = self._unless_signed(group, self.maker.tables(sorter.batches()))
            write_rows(store, self.rows.file(group.name), tables, self.maker.schema)
        return Receipt(group.name, sorter.n_records + sorter.n_rejects, sorter.n_records, sorter.n_rejects)

    def _unless_signed(self, group: Group, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """Yield tables, and raise before they are put in place if another worker has signed the group meanwhile.

        That happens if the driver of this worker was killed. The set may be closed by now, and the group's rows
        without duplicates.
        """
        yield from tables
        if Ledger(self.rows.store).is_signed(group.name):
            raise _SignedMeanwhileError


class _SignedMeanwhileError(Exception):
    """Another worker has signed the group."""


@dataclass
class _LineSorter:
    """Sorts the lines of a group into records, yielded in batches, and rejects, written away; and counts both."""

    lines: Iterator[Line]
    quarantine: pq.ParquetWriter
    n_records: int = 0
    n_rejects: int = 0

    def batches(self) -> Iterator[Batch]:
        records = self._records()
        while batch := list(islice(records, BATCH_RECORDS)):
            self.n_records += len(batch)
            yield Batch.of(batch)

    def _records(self) -> Iterator[tuple[Source, Record]]:
        rejects: list[dict[str, Any]] = []
        for source, item in self.lines:
            if isinstance(item, Record):
                yield source, item
                continue
            rejects.append({**source._asdict(), **asdict(item)})
            if len(rejects) == _REJECTS_AT_A_TIME:
                self._write(rejects)
        if rejects:
            self._write(rejects)

    def _write(self, rejects: list[dict[str, Any]]) -> None:
        self.quarantine.write_table(pa.Table.from_pylist(rejects, schema=QUARANTINE))
        self.n_rejects += len(rejects)
        rejects.clear()
