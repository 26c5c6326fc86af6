"""Scores of a run: made group by group, published one file a sensor."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.detectors import Detector, detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.feature_set import FeatureSet
from xfmr.published import Models
from xfmr.schema import IDENTITY_COLUMNS, SCORES, path_segment
from xfmr.storage import Store
from xfmr.thresholds import Method, Thresholds, fit_thresholds, pseudo_labels

THRESHOLDS_FILE = "thresholds.json"


def load_detector(models: Models) -> Detector:
    """Load a run's current detector.

    Raises:
        XfmrError: Where there is none or its file is damaged.
    """
    return detector_from_bytes(*models.read("detector", "jobs.fit_detector"))


class GroupScorer:
    """Scores one group of features after another with a detector loaded once.

    Args:
        store: The run.
    """

    def __init__(self, store: Store) -> None:
        self.features = FeatureSet(store)
        self.detector = load_detector(Models(store))

    def __call__(self, group: str) -> pa.Table:
        """Score a group: the identity of each record and its score."""
        table = self.features.read(group, self.detector.columns)
        scores = pa.array(self.detector.score(table), pa.float32())
        return table.select(IDENTITY_COLUMNS).append_column("score", scores)


def thresholds_of(scores: NDArray[Any], method: Method) -> Thresholds:
    """Fit the thresholds of a run's scores.

    Raises:
        XfmrError: Where there are too few scores for the method.
    """
    try:
        return fit_thresholds(scores, method)
    except ValueError as error:
        raise XfmrError(f"no thresholds by {method}: {error}; give a larger archive or another method") from error


def with_pseudo_labels(scored: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Add the column ``pseudo_label`` to a table with a ``score``."""
    labels = pseudo_labels(scored["score"].to_numpy(), thresholds)
    return scored.append_column("pseudo_label", pa.array(labels, pa.string()))


def sensor_folder(fleet: str, sensor_id: str) -> str:
    """Name a sensor's folder, its fleet above it where it has one."""
    sensor = f"sensor_id={path_segment(sensor_id)}"
    return f"fleet={path_segment(fleet)}/{sensor}" if fleet else sensor


def publish_scores(store: Store, scores: pa.Table) -> int:
    """Write ``scores/[fleet=<fleet>/]sensor_id=<id>/scores.parquet`` for every sensor, rows in order of time.

    Args:
        store: The run.
        scores: Rows of :data:`xfmr.schema.SCORES` in any order.

    Returns:
        The number of sensors.
    """
    frame = scores.to_pandas().sort_values(["fleet", "sensor_id", "data_time"])
    written = set()
    for (fleet, sensor_id), rows in frame.groupby(["fleet", "sensor_id"], sort=True):
        name = f"scores/{sensor_folder(str(fleet), str(sensor_id))}/scores.parquet"
        columns = [field for field in SCORES if field.name not in ("fleet", "sensor_id")]
        store.write_table(name, pa.Table.from_pandas(rows, schema=pa.schema(columns), preserve_index=False))
        written.add(store.path(name))
    for info in store.files("scores"):
        if info.path not in written:
            store.filesystem.delete_file(info.path)
    return len(written)


def read_thresholds(store: Store) -> Thresholds:
    """Read the thresholds of a run's scores.

    Raises:
        XfmrError: Where there are none, or they are of another detector than the current one.
    """
    if not store.exists(THRESHOLDS_FILE):
        raise XfmrError(f"{store.path()} has no scores: run jobs.score on it first")
    saved = store.read_json(THRESHOLDS_FILE)
    if saved["detector"] != Models(store).current_key("detector"):
        raise XfmrError(f"the scores in {store.path()} are of an earlier detector: run jobs.score on it first")
    return Thresholds(saved["lower"], saved["upper"], saved["method"])


def read_scores(store: Store) -> pd.DataFrame:
    """Read all published scores of a run: columns of :data:`xfmr.schema.SCORES`.

    Raises:
        XfmrError: Where there are none.
    """
    read_thresholds(store)
    root = store.path()
    parts = []
    for info in store.files("scores"):
        if info.base_name == "scores.parquet":
            name = info.path.removeprefix(root).lstrip("/")
            identity = dict(unquote(part).split("=", 1) for part in name.split("/")[1:-1])
            parts.append(store.read_table(name).to_pandas().assign(**{"fleet": "", **identity}))
    if not parts:
        raise XfmrError(f"{store.path('scores')} is empty: remove {store.path(THRESHOLDS_FILE)} and run jobs.score")
    return pd.DataFrame(pd.concat(parts, ignore_index=True)[SCORES.names])
