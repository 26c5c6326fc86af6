"""An archive as a list of files, the plan that groups them, and the ledger of the groups that are finished.

The plan is the contract of exactly-once processing. A group's name is a pure function of its files (fleet, path,
size, modification time) and of the feature settings, so a second run can only write the same thing in the same
place; files that appear later form new groups and finished groups keep their names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, astuple, dataclass

import pyarrow as pa

from xfmr.errors import XfmrError
from xfmr.records import is_record_file
from xfmr.storage import Store, absolute_uri

MANIFEST = "manifest.parquet"

# A small archive is cut into at least this many groups, so that every core has work and progress can be seen,
# as long as a group stays above SMALLEST_GROUP bytes: below it a task's fixed cost (28 ms) shows.
FEWEST_GROUPS = 16
SMALLEST_GROUP = 2_000_000


@dataclass(frozen=True, order=True)
class ArchiveFile:
    """One file of an archive; ``path`` is relative to the archive's root, ``size`` in bytes."""

    fleet: str
    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Group:
    """Files that are processed together, and the name under which their output is kept."""

    name: str
    files: tuple[ArchiveFile, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the input in bytes."""
        return sum(file.size for file in self.files)

    def to_json(self) -> str:
        """Write the group as text, to be sent to a worker."""
        return json.dumps({"name": self.name, "files": [astuple(file) for file in self.files]})

    @classmethod
    def from_json(cls, text: str) -> Group:
        """Read what :meth:`to_json` wrote."""
        value = json.loads(text)
        return cls(value["name"], tuple(ArchiveFile(*file) for file in value["files"]))


@dataclass(frozen=True)
class Receipt:
    """What became of a group: every line is a record or a quarantine row."""

    group: str
    lines: int
    records: int
    quarantined: int


def parse_archives(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--archive`` values, ``URI`` or ``NAME=URI``, into a mapping of fleet to absolute URI.

    Raises:
        XfmrError: Where two archives have one name, or one of several has none.
    """
    archives: dict[str, str] = {}
    for argument in arguments:
        name, separator, uri = argument.partition("=")
        fleet, uri = (name, uri) if separator and "/" not in name else ("", argument)
        if not uri.strip():
            raise XfmrError(f"--archive {argument!r}: names no folder or URI")
        if fleet in archives:
            raise XfmrError(f"--archive {argument}: two archives need two names, as in --archive north={uri}")
        archives[fleet] = absolute_uri(uri)
    return archives


def list_archive(fleet: str, uri: str) -> list[ArchiveFile]:
    """List the record files of one archive, sorted by path.

    Raises:
        XfmrError: Where the archive is missing or holds no record file.
    """
    store = Store(uri)
    if not store.exists():
        raise XfmrError(f"archive {uri} does not exist: check the path given to --archive")
    root = store.path()
    files = [
        ArchiveFile(fleet, info.path.removeprefix(root).lstrip("/"), info.size, info.mtime_ns or 0)
        for info in store.files()
        if is_record_file(info.base_name) and "/." not in info.path.removeprefix(root)
    ]
    if not files:
        raise XfmrError(f"archive {uri} holds no .jsonl or .json file (also .gz): check the path given to --archive")
    return files


def plan_groups(
    files: Iterable[ArchiveFile], *, known: Iterable[Group] = (), key: str, group_bytes: int
) -> list[Group]:
    """Cut an archive into groups of about ``group_bytes`` of input each.

    Args:
        files: All files of the archive as they are now.
        known: Groups of an earlier plan; those of the same key whose files are all unchanged are kept as they are.
        key: What the output depends on besides the files; part of each group's name.
        group_bytes: The size from which a group is closed; smaller for an archive that would make few groups.

    Returns:
        Groups in the order of their first file; each file in exactly one.
    """
    present = set(files)
    kept = [group for group in known if present.issuperset(group.files) and group.name == _name(group.files, key)]
    fresh = sorted(present - {file for group in kept for file in group.files})
    balanced = sum(file.size for file in fresh) // FEWEST_GROUPS
    size = min(group_bytes, max(SMALLEST_GROUP, balanced))
    made = [Group(_name(batch, key), batch) for batch in _cut(fresh, size)]
    return sorted(kept + made, key=lambda group: group.files[0])


def _cut(files: Iterable[ArchiveFile], size: int) -> Iterator[tuple[ArchiveFile, ...]]:
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


def _name(files: Iterable[ArchiveFile], key: str) -> str:
    text = json.dumps([key, [astuple(file) for file in files]])
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


@dataclass(frozen=True)
class Ledger:
    """The plan of a set of groups and the receipts of those that are finished.

    Args:
        store: The run.
    """

    store: Store

    def write_plan(self, groups: Sequence[Group]) -> None:
        """Write the manifest: one row a group."""
        rows = [{"group": g.name, "n_bytes": g.n_bytes, "files": [asdict(file) for file in g.files]} for g in groups]
        self.store.write_table(MANIFEST, pa.Table.from_pylist(rows, schema=_MANIFEST_SCHEMA))

    def read_plan(self) -> list[Group]:
        """Read the manifest; before the first plan it is empty."""
        if not self.store.exists(MANIFEST):
            return []
        rows = self.store.read_table(MANIFEST).to_pylist()
        return [Group(row["group"], tuple(ArchiveFile(**file) for file in row["files"])) for row in rows]

    def sign(self, receipt: Receipt) -> None:
        """Record that a group is finished; its outputs must be in place already."""
        self.store.write_json(f"ledger/{receipt.group}.json", asdict(receipt))

    def revoke(self, group: str) -> None:
        """Take a receipt back, so that the group is processed again."""
        self.store.remove(f"ledger/{group}.json")

    def receipts(self) -> dict[str, Receipt]:
        """Return the receipts of the finished groups of the plan, by group."""
        signed = {info.base_name.removesuffix(".json") for info in self.store.files("ledger")}
        names = [group.name for group in self.read_plan() if group.name in signed]
        return {name: Receipt(**self.store.read_json(f"ledger/{name}.json")) for name in names}


_MANIFEST_SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("n_bytes", pa.int64()),
        (
            "files",
            pa.list_(
                pa.struct(
                    [("fleet", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64())]
                )
            ),
        ),
    ]
)
