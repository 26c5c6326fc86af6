"""From an archive to groups that are finished: what the jobs that read archives have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from xfmr.archive import ArchiveFile, list_archive
from xfmr.cluster import cluster, map_groups
from xfmr.estimate import Estimate, duration, estimate
from xfmr.feature_set import update_plan
from xfmr.featurizer import FeatureRows
from xfmr.ledger import Ledger
from xfmr.plan import Group, numbered, plan_groups, uncounted
from xfmr.progress import progress, say
from xfmr.reading import count_newlines
from xfmr.settings import Settings
from xfmr.storage import Store


def list_files(archives: Mapping[str, str], *, label: str) -> list[ArchiveFile]:
    """List the files of all archives, with a live count."""
    with progress(label=f"{label}: listing", unit="files") as line:
        return [file for fleet, uri in archives.items() for file in list_archive(fleet, uri, found=line.update)]


def plan(
    store: Store, files: list[ArchiveFile], archives: Mapping[str, str], *, key: str, group_bytes: int, label: str
) -> list[Group]:
    """Group what is new, write the manifest, and return the groups that are not finished."""
    store.sweep()
    groups, pending = update_plan(store, files, key=key, group_bytes=group_bytes)
    finished = len(groups) - len(pending)
    say(label, f"{len(files)} files in {len(groups)} groups, {finished} finished before, {len(pending)} to do")
    if parts := uncounted(groups):
        groups = numbered(groups, count_lines(parts, archives, label=label))
        Ledger(store).write_plan(groups, key)
    names = {group.name for group in pending}
    return [group for group in groups if group.name in names]


def show_plan(settings: Settings, archives: Mapping[str, str], rows: FeatureRows, *, key: str, label: str) -> None:
    """Say what is to be done and how long it will take; nothing is written."""
    files = list_files(archives, label=label)
    groups = pending = plan_groups(files, key=key, group_bytes=settings.group_bytes)
    if settings.run:
        groups, pending = update_plan(settings.store, files, key=key, group_bytes=settings.group_bytes, write=False)
    size = sum(file.size for file in files)
    done = len(groups) - len(pending)
    say(label, f"{len(files)} files, {size / 1e9:.3g} GB, in {len(groups)} groups, {done} finished before")
    if pending:
        found = estimate(pending, archives, rows)
        size = sum(group.n_bytes for group in pending)
        out = found.bytes_out / 1e9
        say(label, f"to do: about {found.n_records:,.0f} records; {size / 1e9:.3g} GB in, {out:.3g} GB out")
        for line in times_of(found):
            say(label, line)


def times_of(found: Estimate) -> Iterator[str]:
    """Say how long it will take on cores and on GPUs, by what was measured here."""
    n_cores = os.cpu_count() or 1
    times = (f"{duration(found.on_cores(n))} on {n}" for n in sorted({1, n_cores, 16, 64}))
    each = f"{1e3 * found.on_cores(1) / found.n_records:.2f} ms a record in {found.n_sampled} records of the archive"
    yield f"{', '.join(times)} CPU cores like the {n_cores} here; measured now: {each}"
    if (on_gpu := found.on_gpus(1)) is None:
        yield "with GPUs: not known, there is none here to measure"
    else:
        yield f"{duration(on_gpu[0])} on one GPU like the one here, which {on_gpu[1]} cores keep busy"


def count_lines(parts: list[Group], archives: Mapping[str, str], *, label: str) -> dict[str, int]:
    """Count the line ends of the parts of long files on the cluster, by group."""
    counts: dict[str, int] = {}
    total = sum(group.n_bytes for group in parts)
    with cluster(), progress(label=f"{label}: counting lines", total=total, unit="B") as line:
        for table in map_groups(partial(count_newlines, archives=archives), [group.to_json() for group in parts]):
            counts |= dict(zip(table["group"].to_pylist(), table["newlines"].to_pylist(), strict=True))
            line.update(sum(table["n_bytes"].to_pylist()))
    return counts


def process(groups: list[Group], worker: Any, *, label: str, constructor_args: tuple[Any, ...] = ()) -> None:
    """Process groups on the cluster, with a live line of bytes read and records made."""
    if not groups:
        return
    records = 0
    with cluster(), progress(label=label, total=sum(g.n_bytes for g in groups), unit="B") as line:
        items = [group.to_json() for group in groups]
        for receipts in map_groups(worker, items, constructor_args=constructor_args, share_gpus=True):
            records += sum(receipts["records"].to_pylist())
            line.set_postfix_str(f"{records} records", refresh=False)
            line.update(sum(receipts["n_bytes"].to_pylist()))
