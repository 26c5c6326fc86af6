"""The plan of a set of outputs: which bytes of an archive are processed together, and under which name.

The plan is the contract of exactly-once processing. A group's name is a pure function of its files (fleet, path,
size, modification time), of its byte range if it is part of a file, and of the feature settings. So a second run can
only write the same content in the same place. Files that appear later form new groups; finished groups keep their
names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from xfmr.archive.listing import ArchiveFile
from xfmr.records import LineRange, can_be_cut, is_packed

# A small archive is cut into at least this many groups, so that every core has work and progress is visible, as long
# as a group stays above SMALLEST_GROUP bytes: in smaller groups, a task's fixed cost (28 ms) becomes noticeable.
FEWEST_GROUPS = 16
SMALLEST_GROUP = 2_000_000

# Unpacked size of compressed signal text, relative to its packed size: 2.0 to 3.2, depending on level and digits.
_UNPACKED = 2.3


@dataclass(frozen=True)
class Group:
    """Files that are processed together, or part of a file, and the name of the output.

    Args:
        name: Name of the group and its outputs.
        files: Several whole files, or the one file that the group is part of.
        part: Byte range in the one file; None if the files are whole.
    """

    name: str
    files: tuple[ArchiveFile, ...]
    part: LineRange | None = None

    @property
    def n_bytes(self) -> int:
        """Size of the input in bytes."""
        return self.part.stop - self.part.start if self.part else sum(file.size for file in self.files)

    @property
    def n_text_bytes(self) -> int:
        """Estimated bytes of text to parse. The largest groups should be started first."""
        packed = sum(file.size for file in self.files if is_packed(file.path))
        return round(self.n_bytes + (_UNPACKED - 1) * packed)

    def to_json(self) -> str:
        """Return the group as text, to be sent to a worker."""
        return json.dumps([self.name, self.files, self.part])

    @classmethod
    def from_json(cls, text: str) -> Group:
        """Parse the text that :meth:`to_json` returned."""
        name, files, part = json.loads(text)
        return cls(name, tuple(ArchiveFile(*file) for file in files), LineRange(*part) if part else None)


def plan_groups(
    files: Iterable[ArchiveFile], *, known: Iterable[Group] = (), key: str, group_bytes: int
) -> list[Group]:
    """Cut an archive into groups of about ``group_bytes`` of input each.

    A file of lines that is longer than a group is cut into ranges of equal size, each a group of its own.

    Args:
        files: All files of the archive as they are now.
        known: Groups of an earlier plan; those of the same key whose files are all unchanged are kept as they are.
        key: What the output depends on besides the files; part of each group's name.
        group_bytes: Size at which a group is closed; reduced for an archive that would make few groups.

    Returns:
        Groups in the order of their first file; each byte of each file is in exactly one.
    """
    present = set(files)
    kept = [group for group in known if present.issuperset(group.files) and group == _named(group, key)]
    fresh = sorted(present.difference(file for group in kept for file in group.files))
    balanced = sum(file.size for file in fresh) // FEWEST_GROUPS
    size = min(group_bytes, max(SMALLEST_GROUP, balanced))
    largest = max(size, SMALLEST_GROUP)
    cut = {file for file in fresh if file.size > largest and can_be_cut(file.path)}
    whole = [Group("", batch) for batch in _batches((file for file in fresh if file not in cut), size)]
    parts = [Group("", (file,), part) for file in cut for part in _ranges(file.size, largest)]
    return sorted(kept + [_named(group, key) for group in whole + parts], key=_place)


def _batches(files: Iterable[ArchiveFile], size: int) -> Iterator[tuple[ArchiveFile, ...]]:
    batch: list[ArchiveFile] = []
    n_bytes = 0
    for file in files:
        batch.append(file)
        n_bytes += file.size
        if n_bytes >= size:
            yield tuple(batch)
            batch, n_bytes = [], 0
    if batch:
        yield tuple(batch)


def _ranges(n_bytes: int, largest: int) -> Iterator[LineRange]:
    n_ranges = -(-n_bytes // largest)
    edges = [n_bytes * i // n_ranges for i in range(n_ranges + 1)]
    return (LineRange(start, stop) for start, stop in pairwise(edges))


def _place(group: Group) -> tuple[ArchiveFile, int]:
    return group.files[0], group.part.start if group.part else 0


def _named(group: Group, key: str) -> Group:
    # The number of lines before a part is left out: it follows from the file, and a new plan does not know it yet.
    text = json.dumps([key, group.files, group.part and [group.part.start, group.part.stop]])
    return replace(group, name=hashlib.blake2b(text.encode(), digest_size=10).hexdigest())


def uncounted(groups: Iterable[Group]) -> list[Group]:
    """Return the groups whose number of preceding lines is unknown, each with all parts of its file."""
    lacking = {group.files[0] for group in groups if group.part and group.part.lines_before is None}
    return [group for group in groups if group.part and group.files[0] in lacking]


def numbered(groups: Sequence[Group], newlines: dict[str, int]) -> list[Group]:
    """Return the plan with the number of preceding lines set in each part of a file.

    Args:
        groups: The plan, all parts of a file in order.
        newlines: Result of :meth:`LineRange.count_newlines` for each group of :func:`uncounted`, by its name.
    """
    plan, before, file = [], 0, None
    for group in groups:
        if group.part and group.name in newlines:
            before = before if group.files[0] == file else 0
            file = group.files[0]
            group = replace(group, part=group.part._replace(lines_before=before))
            before += newlines[group.name]
        plan.append(group)
    return plan


MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("set", pa.string()),
        pa.field("group", pa.string()),
        pa.field("n_bytes", pa.int64()),
        *(pa.field(name, pa.int64()) for name in LineRange._fields),
        pa.field(
            "files",
            pa.list_(
                pa.struct(
                    [("fleet", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64())]
                )
            ),
        ),
    ]
)
"""One row per group; ``start``, ``stop`` and ``lines_before`` are null if its files are whole."""


def to_table(groups: Sequence[Group], *, set_name: str) -> pa.Table:
    """Return a plan as a table of :data:`MANIFEST_SCHEMA`."""
    if not groups:
        return MANIFEST_SCHEMA.empty_table()
    struct = MANIFEST_SCHEMA.field("files").type.value_type
    fields = zip(*(file for group in groups for file in group.files), strict=True)
    files = pa.StructArray.from_arrays([pa.array(values) for values in fields], fields=list(struct))
    starts, stops, before = zip(*(group.part or (None, None, None) for group in groups), strict=True)
    columns: list[Any] = [
        [set_name] * len(groups),
        [group.name for group in groups],
        [group.n_bytes for group in groups],
        starts,
        stops,
        before,
        pa.ListArray.from_arrays(np.cumsum([0, *(len(group.files) for group in groups)]), files),
    ]
    return pa.table(columns, schema=MANIFEST_SCHEMA)


def from_table(table: pa.Table) -> list[Group]:
    """Return the plan in a table that :func:`to_table` made."""
    lists = table["files"].combine_chunks()
    fields = [field.to_pylist() for field in lists.flatten().flatten()]
    files = [ArchiveFile(*values) for values in zip(*fields, strict=True)]
    ends = np.cumsum(lists.value_lengths().to_numpy(zero_copy_only=False)).tolist()
    parts = zip(*(table[name].to_pylist() for name in LineRange._fields), strict=True)
    return [
        Group(name, tuple(files[begin:end]), None if part[0] is None else LineRange(*part))
        for name, begin, end, part in zip(table["group"].to_pylist(), [0, *ends[:-1]], ends, parts, strict=False)
    ]
