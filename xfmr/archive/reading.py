"""Reading the files of a group, or its part of a file, line by line."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import pyarrow as pa

from xfmr.archive.listing import ArchiveFile
from xfmr.archive.plan import Group
from xfmr.archive.units import NO_UNITS, Source, UnitFrom
from xfmr.errors import XfmrError
from xfmr.records import START_CHARACTERS, LineRange, ParseOptions, Reason, Record, Reject, read_records
from xfmr.schema import RECORD_LENGTH
from xfmr.storage import Store

_FILES_AHEAD = 8
_SHORT_BYTES = 4 * 2**20

Line = tuple[Source, Record | Reject]


def read_group(
    group: Group, archives: Mapping[str, str], record_length: int = RECORD_LENGTH, unit_from: UnitFrom = NO_UNITS
) -> Iterator[Line]:
    """Read a group's files, or its part of a file, in order; yield each line as a record or a reject.

    A file that is missing or unreadable for lack of permission gives one reject, at line 0. Any other failure of the
    storage may be temporary, so it stops the job; the next run retries the group.

    Args:
        group: The group.
        archives: URI of each fleet's archive.
        record_length: Samples to which signals are zero-padded or cut.
        unit_from: Place of a record's unit.

    Raises:
        XfmrError: If the storage fails.
    """
    options = ParseOptions(record_length, unit_from.field)
    for file, opened in _opened_ahead(group, archives):
        source = unit_from.source(file)
        try:
            with opened.result() as stream:
                for item in read_records(stream, name=file.path, part=group.part, options=options):
                    yield source, item
        except (FileNotFoundError, PermissionError) as error:
            yield source, Reject(Reason.UNREADABLE_FILE, 0, str(error)[:START_CHARACTERS])
        except OSError as error:
            raise _unreadable(Store(archives[file.fleet]), file, error) from error


def _opened_ahead(group: Group, archives: Mapping[str, str]) -> Iterator[tuple[ArchiveFile, Future[BinaryIO]]]:
    """Open files in order, ahead of their use: on an object store, opening one takes two requests."""
    waiting: deque[tuple[ArchiveFile, Future[BinaryIO]]] = deque()
    with ThreadPoolExecutor(_FILES_AHEAD) as pool:
        for file in group.files:
            waiting.append((file, pool.submit(_open, file, Store(archives[file.fleet]), group.part)))
            if len(waiting) > _FILES_AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()


def _open(file: ArchiveFile, store: Store, part: LineRange | None) -> BinaryIO:
    """Open a file; a short one is read at once."""
    if part or file.size > _SHORT_BYTES:
        return store.open_seekable(file.path) if part else store.open(file.path)
    with store.open(file.path) as stream:
        return io.BytesIO(stream.read())


def count_newlines(item: str, archives: Mapping[str, str]) -> pa.Table:
    """Count the line ends in a group that is part of a file, for :func:`xfmr.archive.plan.numbered`.

    Args:
        item: The group, as returned by :meth:`Group.to_json`.
        archives: URI of each fleet's archive.

    Returns:
        One row of ``group``, ``newlines`` and ``n_bytes``.

    Raises:
        XfmrError: If the storage fails. A file that is missing or may not be read counts as having no line ends.
    """
    group, newlines = Group.from_json(item), 0
    for file in group.files:
        store = Store(archives[file.fleet])
        try:
            with store.open_seekable(file.path) as stream:
                newlines = group.part.count_newlines(stream) if group.part else 0
        except (FileNotFoundError, PermissionError):
            continue
        except OSError as error:
            raise _unreadable(store, file, error) from error
    return pa.Table.from_pylist([{"group": group.name, "newlines": newlines, "n_bytes": group.n_bytes}])


def _unreadable(store: Store, file: ArchiveFile, error: OSError) -> XfmrError:
    return XfmrError(
        f"cannot read {file.path} of archive {store.uri}: {error}; run the same command again to go on, or move the "
        "file away"
    )
