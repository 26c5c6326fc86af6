"""The history of a run, loaded according to its settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from xfmr.cluster import has_more_nodes, map_groups
from xfmr.history.clean import History, load_bank_history
from xfmr.history.folds import FoldedHistory, load_folded_history
from xfmr.history.reading import ReadGroup
from xfmr.progress import progress
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.settings import Settings
from xfmr.storage.threads import in_threads
from xfmr.views.hum import HumView
from xfmr.views.views import View

# On one node Ray's workers are no faster than threads: reading 200,000 records took two cores 18 s, and starting the
# workers 5 s more.
_THREADS = 4


def branch_history(settings: Settings, struck: RecordIds) -> FoldedHistory:
    """Load the records that the branch's networks may learn from.

    Args:
        settings: Settings of the run.
        struck: Ids of records that must not be learned from.

    Raises:
        XfmrError: If no record is left.
    """
    return load_folded_history(
        FeatureSet(settings.store),
        view_of(settings),
        settings.n_folds,
        struck=struck,
        max_records=settings.max_records,
        each=each_group,
    )


def view_of(settings: Settings) -> View:
    """Return the networks' view of a record."""
    return View(settings.branch, settings.image_size, settings.image_scale)


def bank_history(settings: Settings, views: Sequence[HumView], struck: RecordIds) -> History:
    """Load the records that a bank with these views may hold; ``struck`` and errors as in :func:`branch_history`."""
    return load_bank_history(
        FeatureSet(settings.store), views, struck=struck, max_records=settings.max_records, each=each_group
    )


def each_group(read: ReadGroup, groups: Sequence[str]) -> Iterator[pa.Table]:
    """Read the groups of a history with a live line: on the cluster if it has more nodes than this one."""
    with progress(label="history", total=len(groups), unit="groups") as line:
        for table in map_groups(read, groups) if has_more_nodes() else in_threads(read, groups, at_a_time=_THREADS):
            line.update()
            yield table
