"""Units: where an archive says which transformer a record is of.

Sensor ids repeat in every unit, so the unit is part of a record's identity. It stands in the path of the file, which
a pattern tells, or in a field of the record. Nothing else is ever read from a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from xfmr.archive.listing import ArchiveFile
from xfmr.archive.patterns import PathPattern
from xfmr.errors import XfmrError
from xfmr.records import is_identity

_FIELD, _NONE = "field:", "none"
_SHOWN = 3


class Source(NamedTuple):
    """The file of a record, and the fleet and the unit that its path names; ``unit`` is empty if it names none."""

    fleet: str
    unit: str
    path: str


@dataclass(frozen=True)
class UnitFrom:
    """The place of a record's unit.

    Args:
        text: A pattern over the end of the path, such as ``{unit}_*``, ``{unit}--*/*`` or ``{fleet}/{unit}/*``, in
            which ``*`` is any text within a name and ``{unit}`` as little of it as fits; or ``field:NAME`` for a
            field of the record. ``none`` if the archive has no units.

    Raises:
        ValueError: If the text is neither, in a line for people.
    """

    text: str = _NONE

    def __post_init__(self) -> None:
        if self.text.startswith(_FIELD) and not self.text.removeprefix(_FIELD).strip():
            raise ValueError("names no field: write field:NAME")
        _ = self._pattern

    @property
    def field(self) -> str | None:
        """Name of the field of the record that holds the unit; None if the path names it."""
        return self.text.removeprefix(_FIELD) if self.text.startswith(_FIELD) else None

    def source(self, file: ArchiveFile) -> Source:
        """Return the fleet, the unit and the path of a file.

        Raises:
            XfmrError: If the pattern does not match its path, naming both.
        """
        if self._pattern is None:
            return Source(file.fleet, "", file.path)
        names = self._pattern.match(file.path)
        if names is None:
            raise XfmrError(f"--unit-from {self.text!r} does not match {file.path}")
        for name, value in names.items():
            if not is_identity(value):
                problem = f"gives {value!r} as {name} of {file.path}, which cannot be a name"
                raise XfmrError(f"--unit-from {self.text!r} {problem}")
        return Source(names.get("fleet", file.fleet), names["unit"], file.path)

    def check(self, files: Sequence[ArchiveFile]) -> None:
        """Raise if the pattern does not fit a listing.

        Raises:
            XfmrError: If it matches no file, or not all of them, with the first one.
        """
        if self._pattern is None:
            return
        others = [file.path for file in files if self._pattern.match(file.path) is None]
        if len(others) == len(files):
            raise XfmrError(f"--unit-from {self.text!r} matches none of {len(files)} files, such as {files[0].path}")
        if others:
            shown = ", ".join(others[:_SHOWN])
            raise XfmrError(f"--unit-from {self.text!r} does not match {len(others)} of {len(files)} files: {shown}")
        for file in files:
            self.source(file)

    @cached_property
    def _pattern(self) -> PathPattern | None:
        """The pattern; None if the path names no unit."""
        if self.text == _NONE or self.field is not None:
            return None
        try:
            return PathPattern(self.text, ("unit", "fleet"))
        except ValueError as error:
            raise ValueError(f"{error}: write a pattern such as {{unit}}_*, or field:NAME") from error


NO_UNITS = UnitFrom()
"""An archive that names no units."""
