"""Records that stage one must not see: the only place where labels meet it, and all that passes are bare ids."""

from __future__ import annotations

import numpy as np

from xfmr.faults.split import held_out_ids
from xfmr.labels import read_labels
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.scores.left_out import left_out_ids
from xfmr.settings import Settings


def struck_ids(settings: Settings) -> RecordIds:
    """Return the ids of the records held out for validation and test, and those of :func:`left_out`.

    Raises:
        XfmrError: As :func:`~xfmr.labels.read_labels` and :func:`left_out` do.
    """
    if not settings.labels:
        return left_out(settings)
    held_out = held_out_ids(read_labels(settings.labels), FeatureSet(settings.store))
    return np.concatenate([held_out, left_out(settings)])


def left_out(settings: Settings) -> RecordIds:
    """Return the ids of the records that the scores so far call anomalies, if the settings leave them out.

    Raises:
        XfmrError: As :func:`~xfmr.scores.left_out.left_out_ids` does.
    """
    return left_out_ids(FeatureSet(settings.store)) if settings.leave_out_anomalies else np.empty(0, np.int64)
