"""Records that stage one must not learn from. Labels reach stage one only here, and only as record ids."""

from __future__ import annotations

import numpy as np

from jobs.people import labelled_records
from xfmr.faults.split import held_out_ids
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.scores.left_out import left_out_ids
from xfmr.settings import Settings


def struck_ids(settings: Settings) -> RecordIds:
    """Return the ids of the records held out for validation and test, and those of :func:`left_out`.

    Raises:
        XfmrError: If :func:`~jobs.people.labelled_records` or :func:`left_out` raises.
    """
    if not settings.labels:
        return left_out(settings)
    return np.concatenate([held_out_ids(labelled_records(settings)), left_out(settings)])


def left_out(settings: Settings) -> RecordIds:
    """Return the ids of the records that the current scores call anomalies; empty unless the settings ask for it.

    Raises:
        XfmrError: If :func:`~xfmr.scores.left_out.left_out_ids` raises.
    """
    return left_out_ids(FeatureSet(settings.store)) if settings.leave_out_anomalies else np.empty(0, np.int64)
