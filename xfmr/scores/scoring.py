"""From scores to pseudo-labels: the run's detector, its thresholds, and the daily profile of its scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.detectors.base import Detector
from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.normal import Rows
from xfmr.normal.daytime import DailyProfile
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.thresholds import METHODS, Thresholds, fit_thresholds, pseudo_labels
from xfmr.settings.stage_two import Method
from xfmr.storage.models import Models


def load_detector(features: FeatureSet) -> Detector:
    """Load a run's current detector.

    Raises:
        XfmrError: If there is none, its file is damaged, or it was made for another recording than the run's.
    """
    return detector_from_bytes(*Models(features.store).read("detector", features.recording))


def thresholds_of(scores: NDArray[Any], method: Method) -> Thresholds:
    """Fit the thresholds of a run's scores.

    Raises:
        XfmrError: If there are too few scores for the method.
    """
    try:
        return fit_thresholds(scores, method)
    except ValueError as error:
        raise XfmrError(f"no thresholds by {method}: {error}; give a larger archive or another method") from error


def thresholds_of_run(scored: pa.Table, learned_from: NDArray[np.int64], method: Method) -> Thresholds:
    """Fit thresholds to a run's scores, whatever share of its records is faulty.

    ``mad`` is fitted to all scores: faults hardly move its upper threshold. The other methods fix the share of normal
    records beyond the threshold. Fitted to scores with 5 % faults, they found a quarter of the new faults
    (percentile) or none (peaks over threshold), on the gearbox recordings and on six fleets of bench.fleets. So they
    are fitted to the out-of-fold scores of the records that the detector learned from.

    Args:
        scored: Columns ``record_id`` and ``score``, n rows.
        learned_from: Ids of the records that the detector learned from.
        method: Name of the method.

    Raises:
        XfmrError: If there are too few scores for the method.
    """
    scores = scored["score"].to_numpy()
    normal = np.isin(scored["record_id"].to_numpy(), learned_from)
    return thresholds_of(scores[normal] if METHODS[method].of_history else scores, method)


def beyond_usual(scored: pa.Table) -> pa.Table:
    """Subtract from each ``score`` the sensor's daily profile, fitted to the scores in this table.

    This forgives load and fans that the history never showed, such as those of a season's evenings, once they have
    come and gone three times; see :class:`xfmr.normal.daytime.DailyProfile`. The table must hold all rows of a
    sensor.
    """
    scores, rows = scored["score"].to_numpy(), Rows.of(scored)
    usual = DailyProfile.fit(scores, rows).apply(rows)
    place = scored.column_names.index("score")
    return scored.set_column(place, scored.schema.field(place), pa.array(scores - usual, pa.float32()))


def with_pseudo_labels(scored: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Add the column ``pseudo_label`` to a table with a ``score``."""
    labels = pseudo_labels(scored["score"].to_numpy(), thresholds)
    return scored.append_column("pseudo_label", pa.array(labels, pa.string()))


def counts_of(scores: NDArray[Any], thresholds: Thresholds) -> str:
    """Return the number of scores of each pseudo-label, such as ``17 anomaly, 120 normal, 3 uncertain``."""
    names, counts = np.unique(pseudo_labels(scores, thresholds), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
