"""The history that stage one learns from: unlabelled, without dead sensors, without any record held out for a test.

Nothing here, and nothing that calls it, takes a label: records that validation and test will use arrive as bare
identifiers to strike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.feature_set import FeatureSet
from xfmr.inputs import BRANCH_COLUMNS, branch_values, sensor_keys
from xfmr.normal import SensorKey
from xfmr.training.options import Branch

RecordIds = NDArray[np.int64]


@dataclass(frozen=True)
class History:
    """Values to learn from, ordered by sensor and time whatever the grouping of the archive.

    Args:
        values: What :func:`xfmr.inputs.branch_values` gives, shape (n, ...).
        keys: Each row's sensor.
        record_ids: Each row's record, shape (n,).
    """

    values: NDArray[Any]
    keys: list[SensorKey]
    record_ids: RecordIds

    def digest(self) -> str:
        """Return a short hash of which records these are."""
        return hashlib.blake2b(self.record_ids.tobytes(), digest_size=8).hexdigest()


def load_history(
    features: FeatureSet, branch: Branch, *, image_size: int, struck: RecordIds, max_records: int
) -> History:
    """Read the records of a run that stage one may learn from.

    Args:
        features: The run's features.
        branch: Which features.
        image_size: Side of the image in pixels.
        struck: Records that must not be trained on, under whatever sensor or time a copy of them stands.
        max_records: The most to keep; of more, those with the smallest ids, which are as good as random.

    Raises:
        XfmrError: Where nothing is left.
    """
    chosen = _chosen(features, struck, max_records)
    parts = [_part(table, branch, image_size, chosen) for table in features.tables([*BRANCH_COLUMNS[branch], "flat"])]
    keys = [key for _, part in parts for key in sensor_keys(part)]
    times = np.concatenate(
        [part["data_time"].to_numpy().astype("datetime64[us]").astype(np.int64) for _, part in parts]
    )
    order = np.array(sorted(range(len(keys)), key=lambda i: (keys[i], times[i])), dtype=np.int64)
    ids = np.concatenate([part["record_id"].to_numpy() for _, part in parts])
    values = np.concatenate([values for values, _ in parts])
    return History(values[order], [keys[i] for i in order], ids[order])


def _chosen(features: FeatureSet, struck: RecordIds, max_records: int) -> pa.Array:
    """Return the record ids to learn from."""
    ids = [table.filter(pc.invert(table["flat"]))["record_id"].to_numpy() for table in features.tables(["flat"])]
    usable = np.setdiff1d(np.concatenate(ids), struck)
    if len(usable) < 2:
        raise XfmrError(
            f"{features.store.path()} holds {len(usable)} usable records to learn from (dead sensors and records "
            "held out for validation and test do not count): give a larger archive"
        )
    return pa.array(usable[np.argsort(usable.view(np.uint64))][:max_records])


def _part(table: pa.Table, branch: Branch, image_size: int, chosen: pa.Array) -> tuple[NDArray[Any], pa.Table]:
    kept = table.filter(pc.and_(pc.is_in(table["record_id"], value_set=chosen), pc.invert(table["flat"])))
    return branch_values(branch, kept, image_size=image_size), kept
