"""Archive (JSONL) -> RUN/features: parse every line, compute its features, write them group by group.

    python -m jobs.featurize --archive data/archive --run runs/first --sample-rate-hz 8192

Kill it at any moment and run it again: finished groups are skipped.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from jobs.command import run_job, sole_job
from xfmr.archive import ArchiveFile, Group, list_archive, parse_archives
from xfmr.cluster import cluster, map_groups
from xfmr.feature_set import close, update_plan
from xfmr.featurizer import VALUE_COLUMNS, FeatureRows, GroupFeaturizer
from xfmr.progress import progress, say
from xfmr.settings import Settings, save_settings
from xfmr.storage import Store


@sole_job
def featurize(settings: Settings) -> None:
    """Bring RUN/features up to date with the archive."""
    archives = parse_archives(settings.required_archive())
    files = list_files(archives)
    save_settings(settings)
    rows = FeatureRows(settings.sample_rate_hz, settings.record_length, columns_of(settings))
    key = f"features 3, {rows}"
    pending = plan(settings.store, files, key=key, group_bytes=settings.group_bytes, label="featurize")
    process(pending, GroupFeaturizer(settings.store, archives, rows), label="featurize")
    say("featurize", f"{close(settings.store)}; features in {settings.store.path('features')}")


def columns_of(settings: Settings) -> tuple[str, ...]:
    """Return the columns that are made of a record's signal."""
    return tuple(name for name in VALUE_COLUMNS if name != "health" or settings.health)


def list_files(archives: Mapping[str, str]) -> list[ArchiveFile]:
    """List the files of all archives."""
    return [file for fleet, uri in archives.items() for file in list_archive(fleet, uri)]


def plan(store: Store, files: list[ArchiveFile], *, key: str, group_bytes: int, label: str) -> list[Group]:
    """Group what is new, write the manifest, and return the groups that are not finished."""
    store.sweep()
    groups, pending = update_plan(store, files, key=key, group_bytes=group_bytes)
    finished = len(groups) - len(pending)
    say(label, f"{len(files)} files in {len(groups)} groups, {finished} finished before, {len(pending)} to do")
    return pending


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


if __name__ == "__main__":
    sys.exit(run_job(featurize, Settings))
