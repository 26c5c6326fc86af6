"""The history of a run, as its settings ask for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from xfmr.cluster import has_more_nodes, map_groups
from xfmr.history.clean import CleanHistory, ReadGroup, load_bank_history, load_clean_history
from xfmr.history.folds import FoldedHistory
from xfmr.progress import progress
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.settings import Settings
from xfmr.storage.models import key_of
from xfmr.storage.threads import in_threads
from xfmr.views.hum import hum_views
from xfmr.views.views import View

# On one node Ray's workers are no faster: 200,000 records took two cores 18 s, and starting them 5 s more.
_THREADS = 4


@dataclass(frozen=True)
class StageOne:
    """A cleaned history for networks.

    Args:
        history: Prepared for the branch and cut into folds.
        set_aside: The records that are unlike the rest of their sensor, with their ``distance``.
    """

    history: FoldedHistory
    set_aside: pd.DataFrame


def branch_history(settings: Settings, struck: RecordIds) -> StageOne:
    """Load what networks may learn from: all but held-out records and those unlike their sensor's rest."""
    features = FeatureSet(settings.store)
    clean = load_clean_history(
        features,
        view_of(settings),
        struck=struck,
        max_records=settings.pretrain.max_records,
        each=each_group,
    )
    digest = key_of(features.signals, clean.digest(), settings.n_folds)
    return StageOne(FoldedHistory.of(clean.inputs, clean.history, settings.n_folds, digest=digest), clean.set_aside)


def view_of(settings: Settings) -> View:
    """Say what the networks look at."""
    return View(settings.branch, settings.image_size, settings.image_scale)


def bank_history(settings: Settings, struck: RecordIds) -> CleanHistory:
    """Load what a bank may hold."""
    return load_bank_history(
        FeatureSet(settings.store),
        hum_views(mains_hz=settings.bank.mains_hz, sample_rate_hz=settings.sample_rate_hz),
        struck=struck,
        max_records=settings.pretrain.max_records,
        each=each_group,
    )


def each_group(read: ReadGroup, groups: Sequence[str]) -> Iterator[pa.Table]:
    """Read the groups of a history, by all nodes where there are more than this one, with a live line of them."""
    with progress(label="history", total=len(groups), unit="groups") as line:
        for table in map_groups(read, groups) if has_more_nodes() else in_threads(read, groups, at_a_time=_THREADS):
            line.update()
            yield table
