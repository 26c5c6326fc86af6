"""People's labels of a run's records, as several jobs read them: how many match is always said."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xfmr.labels import match_records, match_summary, read_labels
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.settings import Settings


def labelled_records(settings: Settings) -> pd.DataFrame:
    """Return the run's labelled records, see :func:`xfmr.labels.match_records`, and say how many labels are of them.

    Raises:
        XfmrError: If a table of labels cannot be used, or no label is of a record.
    """
    labels = read_labels(settings.labels)
    labelled = match_records(labels, FeatureSet(settings.store))
    say("labels", match_summary(labels, labelled))
    return labelled


def labelled_ids(settings: Settings) -> RecordIds:
    """Return the ids of the run's labelled records; empty if the settings name no labels.

    Raises:
        XfmrError: For the reasons that :func:`labelled_records` gives.
    """
    if not settings.labels:
        return np.empty(0, np.int64)
    return np.unique(labelled_records(settings)["record_id"].to_numpy(np.int64))
