"""Records that a run's own scores call anomalies, left out of what is learned of a grown archive.

A history is cleaned of the tenth of its records that are least like the rest. Where an archive has grown by more
faults than that, they would be learned as normal; the detector that was fitted before knows them better. And what it
found to come and go with the hour is learned, and need not be found again.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.scores.sets import current_key, read_scores
from xfmr.storage.models import key_of

_FILE = "models/left_out.parquet"


def left_out_ids(features: FeatureSet) -> RecordIds:
    """Name the records of a run that its scores call anomalies; before the first scores there are none.

    They are named once for an archive as it is, when first asked for, and stay the same until it grows: else each
    detector's scores would ask for another detector.

    Raises:
        XfmrError: Where records have been added since the scores were made, or a detector was fitted since.
    """
    store, archive = features.store, key_of(features.groups)
    if store.exists(_FILE):
        named = store.read_table(_FILE)
        if (named.schema.metadata or {}).get(b"archive") == archive.encode():
            return np.asarray(named["record_id"].to_numpy(), np.int64)
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
    return np.unique(scores.loc[scores["pseudo_label"] == "anomaly", "record_id"].to_numpy(np.int64))
