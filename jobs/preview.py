"""The plan of an archive and the expected duration, without doing the work."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jobs.groups import list_files
from xfmr.archive import parse_archives
from xfmr.archive.plan import plan_groups
from xfmr.progress import say
from xfmr.rows.estimate import Estimate, duration, estimate
from xfmr.rows.features import FeatureRows
from xfmr.rows.row_set import RowSet
from xfmr.settings import Settings


def show_plan(settings: Settings, rows: FeatureRows, *, key: str, label: str) -> None:
    """Print the remaining work and its expected duration; write nothing."""
    archives, size = parse_archives(settings.required_archive()), settings.group_bytes
    files = list_files(archives, settings.units, run=settings.run, label=label)
    groups = pending = plan_groups(files, key=key, group_bytes=size)
    if settings.run:
        groups, pending = RowSet(settings.store).update_plan(files, key=key, group_bytes=size, write=False)
    n_bytes = sum(file.size for file in files)
    finished = len(groups) - len(pending)
    say(label, f"{len(files)} files, {n_bytes / 1e9:.3g} GB, in {len(groups)} groups, {finished} finished before")
    if pending:
        estimated = estimate(pending, archives, rows)
        n_bytes = sum(group.n_bytes for group in pending)
        out = estimated.bytes_out / 1e9
        say(label, f"to do: about {estimated.n_records:,.0f} records; {n_bytes / 1e9:.3g} GB in, {out:.3g} GB out")
        for line in times_of(estimated):
            say(label, line)


def times_of(estimated: Estimate) -> Iterator[str]:
    """Yield the expected duration on CPU cores and on GPUs, as measured on this machine."""
    n_cores, n_records = os.cpu_count() or 1, estimated.n_records
    times = (f"{duration(estimated.on_cores(n))} on {n}" for n in sorted({1, n_cores, 16, 64}))
    each_ms = 1e3 * estimated.on_cores(1) / n_records
    each = f"{each_ms:.2f} ms a record in {estimated.n_sampled} records of the archive"
    yield f"{', '.join(times)} CPU cores like the {n_cores} here; measured now: {each}"
    if (on_gpu := estimated.on_gpus(1)) is None:
        yield "with GPUs: not known, this machine has none to measure"
    else:
        yield f"{duration(on_gpu[0])} on one GPU like the one here, which {on_gpu[1]} cores keep busy"
