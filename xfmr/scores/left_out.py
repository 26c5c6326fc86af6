"""Records left out of a grown archive's history, because the run's scores call them anomalies.

Cleaning removes the tenth of a history that is least like the rest. If an archive has grown by more faults than that,
stage one would learn them as normal; the detector that was fitted before recognises them. A record whose score is
usual at its hour stays in the history; the next detector need not forgive it again.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import PseudoLabel, RecordIds
from xfmr.scores.sets import current_key, read_scores
from xfmr.storage.models import key_of

_FILE = "models/left_out.parquet"


def left_out_ids(features: FeatureSet) -> RecordIds:
    """Return the ids of the records that a run's scores call anomalies; empty before the first scores.

    The list is stored and reused until the archive grows. Otherwise the scores of each new detector would change the
    list, and so require another detector.

    Raises:
        XfmrError: If records were added, or a detector was fitted, since the run was scored.
    """
    store, archive = features.store, key_of(features.groups)
    if store.exists(_FILE):
        listed = store.read_table(_FILE)
        if (listed.schema.metadata or {}).get(b"archive") == archive.encode():
            return np.asarray(listed["record_id"].to_numpy(), np.int64)
    ids = _anomalies(features)
    store.write_table(_FILE, pa.table({"record_id": ids}).replace_schema_metadata({"archive": archive}))
    return ids


def _anomalies(features: FeatureSet) -> RecordIds:
    if current_key(features.store) is None:
        return np.empty(0, np.int64)
    scores = read_scores(features.store)
    present = np.concatenate([table["record_id"].to_numpy() for table in features.tables()])
    unscored = int((~np.isin(present, scores["record_id"])).sum())
    if unscored:
        raise XfmrError(
            f"{unscored} of {len(present)} records in {features.store.path()} have no score: run jobs.score to find "
            "out which of them to leave out"
        )
    return np.unique(scores.loc[scores["pseudo_label"] == PseudoLabel.ANOMALY, "record_id"].to_numpy(np.int64))
