"""Records that are left out of a grown archive's history, because the run's scores call them anomalies.

Cleaning removes the tenth of a history that is least like the rest. If an archive has grown by more faults than that,
they would be learned as normal; the detector that was fitted before recognises them. What it forgave as usual at its
hour is learned, and need not be forgiven again.
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
    """Return the ids of the records that a run's scores call anomalies; none before the first scores.

    The list is made once for an archive as it is and kept until the archive grows. Otherwise each detector's scores
    would ask for another detector.

    Raises:
        XfmrError: If records were added, or a detector was fitted, after the scores were made.
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
            f"{unscored} of {len(present)} records in {features.store.path()} have no score: run jobs.score, so that "
            "it is known which of them to leave out"
        )
    return np.unique(scores.loc[scores["pseudo_label"] == PseudoLabel.ANOMALY, "record_id"].to_numpy(np.int64))
