"""Archive (JSONL) -> RUN/features: parse every line, compute its features, write them group by group.

    python -m jobs.featurize --archive data/archive --run runs/first --sample-rate-hz 8192
    python -m jobs.featurize --archive data/archive --plan

Kill it at any moment and run it again: finished groups are skipped. Other feature settings make a second set of
features; other jobs read the first one until the second is complete. With --plan it prints the remaining work and
writes nothing.
"""

from __future__ import annotations

import sys
from functools import partial

from jobs.command import run_job, sole_job
from jobs.groups import list_files, plan, process
from jobs.preview import show_plan
from xfmr.archive import parse_archives
from xfmr.errors import XfmrError
from xfmr.progress import say
from xfmr.rows.features import VALUE_COLUMNS, FeatureRows
from xfmr.rows.row_set import RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.schema import Recording
from xfmr.settings import FeaturizeSettings, Settings, feature_settings, save_settings


def main(settings: FeaturizeSettings) -> None:
    """Make the features, or show the plan."""
    if settings.plan:
        show_plan(settings, rows_of(settings), key=set_key(settings), label="featurize")
    elif not settings.run:
        raise XfmrError("--run is required")
    else:
        featurize(settings)


@sole_job
def featurize(settings: Settings) -> None:
    """Bring RUN/features up to date with the archive."""
    rows, archives, features = RowSet(settings.store), parse_archives(settings.required_archive()), rows_of(settings)
    files = list_files(archives, settings.units, run=settings.run, label="featurize")
    save_settings(settings, new_features=True)
    pending = plan(rows, files, archives, key=set_key(settings), group_bytes=settings.group_bytes, label="featurize")
    make_rows = partial(FeatureRows, features.recording, features.columns)
    process(pending, GroupWriter, label="featurize", constructor_args=(rows, archives, make_rows, settings.units))
    only_set = isinstance(settings, FeaturizeSettings) and settings.drop_other_features
    made_with = feature_settings(settings)
    counts = rows.close(made_with=made_with, only_set=only_set, unit_from=settings.unit_from)
    say("featurize", f"{counts}; features in {settings.store.path('features')}")


def rows_of(settings: Settings) -> FeatureRows:
    """Return the rows of features that the settings ask for."""
    columns = tuple(name for name in VALUE_COLUMNS if name != "health" or settings.health)
    return FeatureRows(Recording(settings.sample_rate_hz, settings.record_length), columns)


def set_key(settings: Settings) -> str:
    """Return the name of the set of features that the settings ask for, by all that its rows depend on."""
    return f"{rows_of(settings).key}, {settings.units}"


if __name__ == "__main__":
    sys.exit(run_job(main, FeaturizeSettings))
