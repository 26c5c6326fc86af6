"""Scores and what they mean: the detector that makes them, thresholds, pseudo-labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.detectors import Detector, detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.normal.daytime import DailyProfile
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.thresholds import Thresholds, fit_thresholds, pseudo_labels
from xfmr.settings.options import Method
from xfmr.storage.models import Models
from xfmr.views.inputs import record_times, sensor_keys


def load_detector(features: FeatureSet) -> Detector:
    """Load a run's current detector.

    Raises:
        XfmrError: Where there is none, its file is damaged, or it is for other features than the run now has.
    """
    models = Models(features.store)
    key = models.required_key("detector")
    models.check_signals("detector", key, features.signals)
    return detector_from_bytes(*models.open("detector", key))


def thresholds_of(scores: NDArray[Any], method: Method) -> Thresholds:
    """Fit the thresholds of a run's scores.

    Raises:
        XfmrError: Where there are too few scores for the method.
    """
    try:
        return fit_thresholds(scores, method)
    except ValueError as error:
        raise XfmrError(f"no thresholds by {method}: {error}; give a larger archive or another method") from error


def thresholds_of_run(scored: pa.Table, learned_from: NDArray[np.int64], method: Method) -> Thresholds:
    """Fit thresholds to a run's scores, whatever share of them is of faults.

    The upper one of ``mad`` hardly moves with them, so that it is of all scores. The other methods say how many of
    the normal records may lie beyond, and with a twentieth of faults among them they found a quarter of the new ones
    (percentile) or none (peaks over threshold) on the gearbox recordings and on six fleets of bench.fleets. So these
    are of what the detector takes for normal, each record as it was scored when held out.

    Args:
        scored: Columns ``record_id`` and ``score``, n rows.
        learned_from: Ids of the records that the detector learned from.
        method: How.

    Raises:
        XfmrError: Where there are too few scores for the method.
    """
    scores = scored["score"].to_numpy()
    normal = np.isin(scored["record_id"].to_numpy(), learned_from)
    return thresholds_of(scores if method == "mad" else scores[normal], method)


def beyond_usual(scored: pa.Table) -> pa.Table:
    """Subtract from each ``score`` what its sensor scores at that hour of the day, day after day, among these rows.

    What the history never showed, such as the load and the fans of a season's evenings, is found out so when it has
    come and gone three times; see :class:`xfmr.normal.daytime.DailyProfile`. The rows of a sensor must be together in
    one table.
    """
    scores, keys, times = scored["score"].to_numpy(), sensor_keys(scored), record_times(scored)
    usual = DailyProfile.fit(scores, keys, times).apply(keys, times)
    place = scored.column_names.index("score")
    return scored.set_column(place, scored.schema.field(place), pa.array(scores - usual, pa.float32()))


def with_pseudo_labels(scored: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Add the column ``pseudo_label`` to a table with a ``score``."""
    labels = pseudo_labels(scored["score"].to_numpy(), thresholds)
    return scored.append_column("pseudo_label", pa.array(labels, pa.string()))


def counts_of(scores: NDArray[Any], thresholds: Thresholds) -> str:
    """Say how many scores fall under each pseudo-label, such as ``17 anomaly, 120 normal, 3 uncertain``."""
    names, counts = np.unique(pseudo_labels(scores, thresholds), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
