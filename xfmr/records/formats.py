"""Formats of record files: their endings, and how each is read. All are JSON, one record a line or one document."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO, cast

Unpack = Callable[[BinaryIO], AbstractContextManager[BinaryIO]]
"""Opens a compressed stream; closing what it returns leaves the stream open."""

UNPACK_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)
"""Errors that reading from an unpacked stream raises if the file is damaged."""


@dataclass(frozen=True)
class Format:
    """How a file holds its records.

    Args:
        lines: True for one record a line, False for one JSON document.
        unpack: Unpacks a compressed file; None for a plain one.
    """

    lines: bool
    unpack: Unpack | None = None

    @property
    def is_packed(self) -> bool:
        """True if the file is compressed."""
        return self.unpack is not None

    @property
    def can_be_cut(self) -> bool:
        """True if the file can be read from any byte on: plain lines."""
        return self.lines and not self.is_packed


def _gunzip(stream: BinaryIO) -> AbstractContextManager[BinaryIO]:
    return cast(AbstractContextManager[BinaryIO], gzip.GzipFile(fileobj=stream, mode="rb"))


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".jsonl": Format(lines=True),
        ".json": Format(lines=False),
        ".jsonl.gz": Format(lines=True, unpack=_gunzip),
        ".json.gz": Format(lines=False, unpack=_gunzip),
    }
)
"""The format of each ending, in lower case."""


def is_record_file(name: str) -> bool:
    """Return True if a file's name has one of the endings of :data:`FORMATS`, in any case."""
    return name.lower().endswith(tuple(FORMATS))


def endings_in_words() -> str:
    """Return the endings for a message, such as ``.jsonl or .json file (also .gz)``."""
    plain = [ending for ending, form in FORMATS.items() if not form.is_packed]
    packed = sorted({f".{ending.rpartition('.')[2]}" for ending, form in FORMATS.items() if form.is_packed})
    return f"{' or '.join(plain)} file (also {', '.join(packed)})"


def format_of(name: str) -> Format:
    """Return the format of a file by its name.

    Raises:
        ValueError: If it is not the name of a record file.
    """
    form = _find(name)
    if form is None:
        raise ValueError(f"{name}: a record file ends in one of {', '.join(FORMATS)}")
    return form


def can_be_cut(name: str) -> bool:
    """Return True if a file can be read from any byte on; False also for a name that is no record file's."""
    form = _find(name)
    return form is not None and form.can_be_cut


def is_packed(name: str) -> bool:
    """Return True if a file is compressed; False also for a name that is no record file's."""
    form = _find(name)
    return form is not None and form.is_packed


def _find(name: str) -> Format | None:
    return next((form for ending, form in FORMATS.items() if name.lower().endswith(ending)), None)
