"""A sample of an archive: lines from all over it, with the time to read and to parse them."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from xfmr.archive.listing import ArchiveFile
from xfmr.archive.plan import Group
from xfmr.archive.units import Source
from xfmr.errors import XfmrError
from xfmr.records import MAX_DOCUMENT_BYTES, ParseOptions, Record, Reject, format_of, read_records
from xfmr.rows.writer import BATCH_RECORDS, Batch
from xfmr.storage import Store

T = TypeVar("T")

_PLACES = 16
_FILES_A_PLACE = 4
_PIECE_BYTES = 8 * 2**20
_MOST_RECORDS = 4 * BATCH_RECORDS


@dataclass
class Sample:
    """Lines from all over some groups.

    Attributes:
        batches: The usable lines, as records.
        lines: Number of lines in plain files (key False) and in compressed ones (key True).
        n_bytes: Bytes of these lines as stored, by the same keys.
        n_usable: Number of lines that are records.
        read_s: Wall time to read the bytes, in seconds.
        parse_s: CPU time to parse the lines, in seconds.
    """

    batches: list[Batch] = field(default_factory=list)
    lines: Counter[bool] = field(default_factory=Counter)
    n_bytes: Counter[bool] = field(default_factory=Counter)
    n_usable: int = 0
    read_s: float = 0
    parse_s: float = 0

    @property
    def n_records(self) -> int:
        """Number of records in the batches."""
        return sum(len(batch.records) for batch in self.batches)

    def lines_in(self, group: Group) -> float:
        """Estimate the lines of a group from files of its kind or, if the sample has none, of the other kind."""
        is_packed = format_of(group.files[0].path).is_packed
        kind = is_packed if self.lines[is_packed] else not is_packed
        return group.n_bytes * self.lines[kind] / max(1, self.n_bytes[kind])

    def add(self, file: ArchiveFile, items: Sequence[Record | Reject], n_bytes: int) -> None:
        """Add the lines in some bytes of a file."""
        is_packed = format_of(file.path).is_packed
        self.lines[is_packed] += len(items)
        self.n_bytes[is_packed] += n_bytes
        usable = [(Source(file.fleet, "", file.path), item) for item in items if isinstance(item, Record)]
        self.n_usable += len(usable)
        if kept := usable[: min(BATCH_RECORDS, _MOST_RECORDS - self.n_records)]:
            self.batches.append(Batch.of(kept))


def read_sample(groups: Sequence[Group], archives: Mapping[str, str], *, record_length: int) -> Sample:
    """Read a few files, or the beginnings of long ones, from all over some groups.

    Args:
        groups: At least one.
        archives: URI of each fleet's archive.
        record_length: Samples to which signals are padded or cut.

    Raises:
        XfmrError: If a file cannot be read, or no usable record is found.
    """
    sample = Sample()
    for group in groups[:: -(-len(groups) // _PLACES)]:
        for file in group.files[:_FILES_A_PLACE]:
            data, read_s = clock_time(partial(_piece, Store(archives[file.fleet]), file, group))
            items, parse_s = cpu_time(partial(_items, file, data, record_length))
            sample.add(file, items, len(data))
            sample.read_s, sample.parse_s = sample.read_s + read_s, sample.parse_s + parse_s
    if not sample.batches:
        n_lines = sample.lines.total()
        raise XfmrError(f"no usable record among {n_lines} lines looked at: check the path given to --archive")
    return sample


def clock_time(step: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a step, and its wall time in seconds."""
    began = time.perf_counter()
    return step(), time.perf_counter() - began


def cpu_time(step: Callable[[], T]) -> tuple[T, float]:
    """Return the result of a step, and this process's CPU time for it in seconds, on all cores."""
    began = time.process_time()
    return step(), time.process_time() - began


def _piece(store: Store, file: ArchiveFile, group: Group) -> bytes:
    """Read a piece of a file from the beginning of the group; of plain lines only whole ones, if there is any."""
    form = format_of(file.path)
    try:
        with store.open_seekable(file.path) as stream:
            stream.seek(group.part.begin if group.part else 0)
            data = stream.read(_PIECE_BYTES if form.lines else MAX_DOCUMENT_BYTES)
    except OSError as error:
        raise XfmrError(f"cannot read {file.path} of archive {store.uri}: {error}") from error
    if not form.can_be_cut or len(data) == file.size:
        return data
    begin = data.find(b"\n") + 1 if group.part and group.part.start else 0
    return data[begin : data.rfind(b"\n") + 1] or data


def _items(file: ArchiveFile, data: bytes, record_length: int) -> list[Record | Reject]:
    items = list(read_records(io.BytesIO(data), name=file.path, options=ParseOptions(record_length)))
    # The beginning of a compressed file ends in the middle of a line.
    return items[:-1] if len(data) < file.size and format_of(file.path).is_packed else items
