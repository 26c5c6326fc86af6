"""What there is to do in an archive and how long it will take, said without doing it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from jobs.groups import list_files
from xfmr.archive.plan import plan_groups
from xfmr.progress import say
from xfmr.rows.estimate import Estimate, duration, estimate
from xfmr.rows.feature_set import update_plan
from xfmr.rows.featurizer import FeatureRows
from xfmr.settings import Settings


def show_plan(settings: Settings, archives: Mapping[str, str], rows: FeatureRows, *, key: str, label: str) -> None:
    """Say what is to be done and how long it will take; nothing is written."""
    files = list_files(archives, run=settings.run, label=label)
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
