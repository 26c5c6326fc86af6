"""What stage one learns from, as a run's settings ask for it. No label is read but for whose records to strike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from xfmr.featurizing.feature_set import FeatureSet
from xfmr.folds import FoldedHistory
from xfmr.history import CleanHistory, RecordIds, load_bank_history, load_clean_history
from xfmr.inputs.views import View
from xfmr.labels import held_out_ids, read_labels
from xfmr.normal.harmonics import hum_views
from xfmr.settings import Settings


@dataclass(frozen=True)
class StageOne:
    """A cleaned history for networks.

    Args:
        history: Prepared for the branch and cut into folds.
        set_aside: The records that are unlike the rest of their sensor, with their ``distance``.
    """

    history: FoldedHistory
    set_aside: pd.DataFrame


def branch_history(settings: Settings) -> StageOne:
    """Load what networks may learn from: all but held-out records and those unlike their sensor's rest."""
    clean = load_clean_history(
        FeatureSet(settings.store),
        view_of(settings),
        struck=struck_ids(settings),
        max_records=settings.pretrain.max_records,
    )
    return StageOne(FoldedHistory.of(clean.inputs, clean.history, settings.n_folds), clean.set_aside)


def view_of(settings: Settings) -> View:
    """Say what the networks look at."""
    return View(settings.branch, settings.image_size, settings.image_scale)


def bank_history(settings: Settings) -> CleanHistory:
    """Load what a bank may hold."""
    return load_bank_history(
        FeatureSet(settings.store),
        hum_views(mains_hz=settings.bank.mains_hz, sample_rate_hz=settings.sample_rate_hz),
        struck=struck_ids(settings),
        max_records=settings.pretrain.max_records,
    )


def struck_ids(settings: Settings) -> RecordIds:
    """Name the records that validation and test hold out, which stage one must not see."""
    if not settings.labels:
        return np.empty(0, np.int64)
    return held_out_ids(read_labels(settings.labels), FeatureSet(settings.store))
