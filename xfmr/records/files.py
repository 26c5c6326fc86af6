"""Reading a file of records, plain or compressed, to records and rejects in order."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from xfmr.records.fields import KEYS, SIGNAL_KEY
from xfmr.records.formats import UNPACK_ERRORS, Unpack, format_of
from xfmr.records.lines import decode_json, parse_element, parse_line, start_of
from xfmr.records.ranges import LineRange
from xfmr.records.record import ParseOptions, Reason, Record, Reject, UnusableError

MAX_LINE_BYTES = 64 * 2**20
_DEFAULT = ParseOptions()
# A document is in memory both as text and as decoded records; of a file of lines only one line is.
MAX_DOCUMENT_BYTES = 256 * 2**20

# On an object store every buffer is one request, so it must be worth the wait.
_BUFFER_BYTES = 2**22


def read_records(
    stream: BinaryIO,
    *,
    name: str,
    part: LineRange | None = None,
    options: ParseOptions = _DEFAULT,
    max_line_bytes: int = MAX_LINE_BYTES,
    max_document_bytes: int = MAX_DOCUMENT_BYTES,
) -> Iterator[Record | Reject]:
    """Read a file's records in order: line by line, or a JSON document as a whole.

    Blank lines are skipped, so an empty ``.jsonl`` file has no records; an empty ``.json`` file is invalid. If a
    compressed file is damaged, the records before the damage are followed by one last reject with
    :attr:`Reason.UNREADABLE_FILE`. An OSError of the storage is raised, since the caller may retry.

    Args:
        stream: Open for reading, still compressed if the file is; it is left open.
        name: The file's name, whose ending is its :class:`~xfmr.records.formats.Format`.
        part: The lines to read of a file that can be cut; ``stream`` must then be seekable.
        options: How the records are to be read.
        max_line_bytes: Longest line, its line end included; no more is held in memory.
        max_document_bytes: Longest JSON document, uncompressed.

    Raises:
        ValueError: If the name is not that of a record file; raised with the first result.
    """
    form = format_of(name)
    if part is not None:
        stream.seek(part.begin)
    with _opened(stream, form.unpack) as source:
        if form.lines:
            yield from _read_lines(source, options, max_line_bytes, part)
        else:
            yield from _read_document(source, options, max_document_bytes)


@contextmanager
def _opened(stream: BinaryIO, unpack: Unpack | None) -> Iterator[BinaryIO]:
    if unpack is not None:
        with unpack(stream) as unpacked:
            yield unpacked
        return
    # pyarrow's files, unlike Python's, have no readline.
    buffered = io.BufferedReader(cast(io.RawIOBase, stream), _BUFFER_BYTES)
    try:
        yield buffered
    finally:
        # If left attached, it would close the caller's stream; it cannot be detached from a closed one.
        if not stream.closed:
            buffered.detach()


def _read_lines(
    source: BinaryIO, options: ParseOptions, max_line_bytes: int, part: LineRange | None
) -> Iterator[Record | Reject]:
    number, at, stop = (part.lines_before or 0, part.begin, part.stop) if part else (0, 0, sys.maxsize)
    if part and part.start:  # the line of the byte before started in an earlier part
        number, at = number + 1, _skip_rest(source, at, stop)
    try:
        while at < stop and (line := source.readline(max_line_bytes + 1)):
            number, at = number + 1, at + len(line)
            if len(line) > max_line_bytes:
                yield Reject(Reason.LINE_TOO_LONG, number, start_of(line))
                at = at if line.endswith(b"\n") else _skip_rest(source, at, stop)
            elif not _is_blank(line):
                yield parse_line(line, line_number=number, options=options)
    except UNPACK_ERRORS:
        yield Reject(Reason.UNREADABLE_FILE, number + 1, "")


def _skip_rest(source: BinaryIO, at: int, stop: int) -> int:
    """Read to the end of a line, or until no line can start before ``stop``, and return the new position."""
    while at < stop and (piece := source.readline(_BUFFER_BYTES)):
        at += len(piece)
        if piece.endswith(b"\n"):
            break
    return at


def _is_blank(line: bytes) -> bool:
    bare = line.removeprefix(codecs.BOM_UTF8)
    return not bare or bare.isspace()


def _read_document(source: BinaryIO, options: ParseOptions, max_bytes: int) -> Iterator[Record | Reject]:
    text = b""
    try:
        text = source.read(max_bytes + 1)
        if len(text) > max_bytes:
            raise UnusableError(Reason.DOCUMENT_TOO_LONG)
        elements = _elements(decode_json(text))
    except UNPACK_ERRORS:
        yield Reject(Reason.UNREADABLE_FILE, 1, "")
    except UnusableError as error:
        yield Reject(error.reason, 1, start_of(text))
    else:
        del text  # as large as the decoded records
        for position, element in enumerate(elements, start=1):
            yield parse_element(element, position=position, options=options)


def _elements(document: object) -> list[object]:
    """Return the records of a ``.json`` file: its list, the one list of records in its object, or itself."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict) and SIGNAL_KEY not in document:
        tables = [value for value in document.values() if isinstance(value, list) and any(map(_has_field, value))]
        if len(tables) == 1:
            return tables[0]
    return [document]


def _has_field(element: object) -> bool:
    return isinstance(element, dict) and not KEYS.isdisjoint(element)
