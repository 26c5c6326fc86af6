"""Steps that featurize and diagnose share: list an archive, plan its groups, process them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from xfmr.archive import ArchiveFile, check_apart, list_archive
from xfmr.archive.ledger import Ledger
from xfmr.archive.plan import Group, numbered, uncounted
from xfmr.archive.reading import count_newlines
from xfmr.archive.units import UnitFrom
from xfmr.cluster import cluster, map_groups
from xfmr.progress import progress, say
from xfmr.rows.row_set import RowSet


def list_files(archives: Mapping[str, str], units: UnitFrom, *, run: str, label: str) -> list[ArchiveFile]:
    """List the files of all archives with a live count.

    Raises:
        XfmrError: If an archive holds the run or cannot be listed, or a path does not name the unit that it should.
    """
    check_apart(archives, run)
    with progress(label=f"{label}: listing", unit="files") as line:
        files = [file for fleet, uri in archives.items() for file in list_archive(fleet, uri, found=line.update)]
    units.check(files)
    return files


def plan(
    rows: RowSet, files: list[ArchiveFile], archives: Mapping[str, str], *, key: str, group_bytes: int, label: str
) -> list[Group]:
    """Plan the groups of an archive, write the manifest, and return the groups that are not finished."""
    rows.sweep()
    groups, pending = rows.update_plan(files, key=key, group_bytes=group_bytes)
    finished = len(groups) - len(pending)
    say(label, f"{len(files)} files in {len(groups)} groups, {finished} finished before, {len(pending)} to do")
    if ranges := uncounted(groups):
        groups = numbered(groups, count_lines(ranges, archives, label=label))
        Ledger(rows.store).write_plan(groups, key)
    names = {group.name for group in pending}
    return [group for group in groups if group.name in names]


def count_lines(ranges: list[Group], archives: Mapping[str, str], *, label: str) -> dict[str, int]:
    """Count the line ends in each range of the long files on the cluster, by group."""
    counts: dict[str, int] = {}
    total = sum(group.n_bytes for group in ranges)
    with cluster(), progress(label=f"{label}: counting lines", total=total, unit="B") as line:
        for table in map_groups(partial(count_newlines, archives=archives), [group.to_json() for group in ranges]):
            counts |= dict(zip(table["group"].to_pylist(), table["newlines"].to_pylist(), strict=True))
            line.update(sum(table["n_bytes"].to_pylist()))
    return counts


def process(groups: list[Group], worker: Any, *, label: str, constructor_args: tuple[Any, ...] = ()) -> None:
    """Process groups on the cluster, with a live line of bytes read and records kept.

    Args:
        groups: The groups.
        worker: Called with a group as JSON, returns the receipt as a row; a class is instantiated once per process.
        label: The job's name.
        constructor_args: Arguments of the class.
    """
    if not groups:
        return
    records = 0
    with cluster(), progress(label=label, total=sum(g.n_bytes for g in groups), unit="B") as line:
        longest_first = sorted(groups, key=lambda group: -group.n_text_bytes)  # a long one must not start last
        items = [group.to_json() for group in longest_first]
        for receipts in map_groups(worker, items, constructor_args=constructor_args, share_gpus=True):
            records += sum(receipts["records"].to_pylist())
            line.set_postfix_str(f"{records} records", refresh=False)
            line.update(sum(receipts["n_bytes"].to_pylist()))
