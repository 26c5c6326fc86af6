"""Archive (JSONL) -> RUN/features: parse every line, compute its features, write them group by group.

    python -m jobs.featurize --archive data/archive --run runs/first --sample-rate-hz 8192
    python -m jobs.featurize --archive data/archive --plan

Kill it at any moment and run it again: finished groups are skipped. Other settings of the features make another set
of them beside the first, which stays the one that other jobs read until the new one is whole. With --plan it says
what there is to do and does nothing.
"""

from __future__ import annotations

import sys

from jobs.command import run_job, sole_job
from jobs.groups import list_files, plan, process
from jobs.preview import show_plan
from xfmr.archive import parse_archives
from xfmr.errors import XfmrError
from xfmr.progress import say
from xfmr.rows.feature_set import close
from xfmr.rows.featurizer import VALUE_COLUMNS, FeatureRows, GroupFeaturizer
from xfmr.settings import FeaturizeSettings, Settings, feature_settings, save_settings


def main(settings: FeaturizeSettings) -> None:
    """Do the work, or say how much there is."""
    if settings.plan:
        archives, rows = parse_archives(settings.required_archive()), rows_of(settings)
        show_plan(settings, archives, rows, key=key_of_rows(rows), label="featurize")
    elif not settings.run:
        raise XfmrError("--run is required")
    else:
        featurize(settings)


@sole_job
def featurize(settings: Settings) -> None:
    """Bring RUN/features up to date with the archive."""
    store, archives, rows = settings.store, parse_archives(settings.required_archive()), rows_of(settings)
    files = list_files(archives, run=settings.run, label="featurize")
    save_settings(settings, new_features=True)
    key = key_of_rows(rows)
    pending = plan(store, files, archives, key=key, group_bytes=settings.group_bytes, label="featurize")
    process(pending, GroupFeaturizer(store, archives, rows), label="featurize")
    only_set = isinstance(settings, FeaturizeSettings) and settings.drop_other_features
    counts = close(store, made_with=feature_settings(settings), only_set=only_set)
    say("featurize", f"{counts}; features in {store.path('features')}")


def rows_of(settings: Settings) -> FeatureRows:
    """Return what a row of features is."""
    columns = tuple(name for name in VALUE_COLUMNS if name != "health" or settings.health)
    return FeatureRows(settings.sample_rate_hz, settings.record_length, columns)


def key_of_rows(rows: FeatureRows) -> str:
    """Name a set of features by what its rows are; the number rises when they are computed otherwise."""
    return f"features 3, {rows}"


if __name__ == "__main__":
    sys.exit(run_job(main, FeaturizeSettings))
