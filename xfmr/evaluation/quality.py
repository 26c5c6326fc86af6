"""Detection metrics of scores against labels, with bootstrap confidence intervals.

All metrics follow from the numbers of faults and normal records at each distinct score. Let p_k and q_k be these
numbers at the k-th lowest score, P and Q their sums. With equal scores counted half,

    AUC = sum_k p_k (q_1 + .. + q_{k-1} + q_k / 2) / (P Q),
    average precision = sum_k (p_k / P) (p_k + p_{k+1} + ..) / (p_k + q_k + p_{k+1} + q_{k+1} + ..).

The bootstrap draws moments (all sensors of a unit at one time) with replacement. A draw only changes how often each
record counts. So p and q of all draws are one sparse product, (scores x moments) @ (moments x draws), and the rest is
array arithmetic over draws. In draw 0 every moment counts once; it gives the metrics of the records themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

METRICS = ("auc", "average_precision", "precision", "recall", "macro_f1", "false_alarm_rate")

# Fewer moments do not show how much they vary, and their interval would be too narrow.
MIN_MOMENTS = 5
CONFIDENCE = 0.95
# Elements of one working array, so that a dozen of them stay in the processor's cache.
_CHUNK = 250_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """A detector's scores and decisions for n records.

    Args:
        score: Finite, higher is more abnormal, shape (n,).
        anomaly: True if the score reaches the upper threshold, shape (n,).
    """

    score: NDArray[Any]
    anomaly: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """Return the predictions for the records at these positions."""
        return Predictions(self.score[rows], self.anomaly[rows])


@dataclass(frozen=True)
class Quality:
    """How well scores separate faults from normal records. A metric is None if it is undefined.

    Args:
        records: Number of records.
        faults: Number of faults among them.
        samples: Number of moments (all sensors of a unit at one time) that they come from.
        auc: Area under the ROC curve: the probability that a fault scores above a normal record.
        average_precision: Area under the precision-recall curve.
        precision: Share of faults among the records at or above the upper threshold.
        recall: Share of the faults that are at or above it.
        macro_f1: Mean of the F1 of faults and the F1 of normal records at that threshold; of one if the other is
            undefined.
        false_alarm_rate: Share of the normal records that are at or above it.
        intervals: 95 % bootstrap interval of each metric that has one, by the metric's name.
    """

    records: int
    faults: int
    samples: int
    auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    macro_f1: float | None
    false_alarm_rate: float | None
    intervals: dict[str, tuple[float, float]]


def quality_of(
    fault: NDArray[np.bool_], predictions: Predictions, moment: NDArray[np.int64], draws: NDArray[np.uint16]
) -> Quality:
    """Return the quality of predictions.

    Args:
        fault: True for faults, shape (n,).
        predictions: Scores and decisions for the n records.
        moment: Moment of each record, an index into the columns of ``draws``, shape (n,).
        draws: Result of :func:`bootstrap_draws`.
    """
    metrics = metrics_by_draw(fault, predictions, moment, draws)
    points = {name: _finite_or_none(values[0]) for name, values in metrics.items()}
    return Quality(
        records=len(fault),
        faults=int(fault.sum()),
        samples=len(np.unique(moment)),
        **points,
        intervals={name: bounds for name, values in metrics.items() if (bounds := interval(values[1:]))},
    )


def bootstrap_draws(n_moments: int, resamples: int, *, seed: int) -> NDArray[np.uint16]:
    """Draw moments with replacement.

    Returns:
        How often each moment is drawn, shape (1 + resamples, n_moments); in row 0 each is drawn once.
    """
    rng = np.random.default_rng(seed)
    draws = np.ones((1 + resamples, n_moments), np.uint16)
    for row in draws[1:]:
        row[:] = np.bincount(rng.integers(n_moments, size=n_moments), minlength=n_moments)
    return draws


def metrics_by_draw(
    fault: NDArray[np.bool_], predictions: Predictions, moment: NDArray[np.int64], draws: NDArray[np.uint16]
) -> dict[str, Floats]:
    """Return each of :data:`METRICS` for every draw, NaN if undefined.

    The arguments are those of :func:`quality_of`. With fewer than :data:`MIN_MOMENTS` moments only draw 0 is used.
    """
    used, moment = np.unique(moment, return_inverse=True)
    draws = draws[: None if len(used) >= MIN_MOMENTS else 1, used]
    if not len(fault):
        return {name: np.full(len(draws), np.nan) for name in METRICS}
    levels, level = np.unique(predictions.score, return_inverse=True)
    shape = (len(levels), len(used))
    faults_at, normals_at = (
        csr_array((np.ones(rows.sum()), (level[rows], moment[rows])), shape=shape) for rows in (fault, ~fault)
    )
    counts = _confusion_counts(fault, predictions.anomaly, moment)
    step = max(1, _CHUNK // max(shape))
    chunks = []
    for start in range(0, len(draws), step):
        weights = draws[start : start + step].T.astype(np.float64)
        ranking = _ranking_metrics(faults_at @ weights, normals_at @ weights)
        chunks.append(ranking | _decision_metrics(*(counts @ weights)))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in METRICS}


def _confusion_counts(fault: NDArray[np.bool_], anomaly: NDArray[np.bool_], moment: NDArray[np.int64]) -> Floats:
    """Count true positives, false positives, false negatives and true negatives of each moment: (4, moments)."""
    outcomes = (fault & anomaly, ~fault & anomaly, fault & ~anomaly, ~fault & ~anomaly)
    counts = [np.bincount(moment[rows], minlength=moment.max() + 1) for rows in outcomes]
    return np.stack(counts).astype(np.float64)


@np.errstate(divide="ignore", invalid="ignore")
def _ranking_metrics(faults: Floats, normals: Floats) -> dict[str, Floats]:
    """Return the metrics that depend only on the order of the scores.

    Args:
        faults: Number of faults at each distinct score, lowest first, shape (scores, draws).
        normals: Number of normal records there, same shape.
    """
    total_faults, total_normals = faults.sum(axis=0), normals.sum(axis=0)
    normals_up_to = np.cumsum(normals, axis=0)
    pairs_in_order = np.einsum("kr,kr->r", faults, normals_up_to - normals / 2)
    faults_from = total_faults - np.cumsum(faults, axis=0) + faults
    precision = faults_from / (faults_from + total_normals - normals_up_to + normals)
    # 0/0 if a draw has no record at or above a score.
    precision_sum = np.einsum("kr,kr->r", faults, np.nan_to_num(precision))
    both = (total_faults > 0) & (total_normals > 0)
    return {
        "auc": pairs_in_order / (total_faults * total_normals),
        "average_precision": np.where(both, precision_sum / total_faults, np.nan),
    }


@np.errstate(invalid="ignore")
def _decision_metrics(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    """Return the metrics at the threshold from the true and false positives and negatives of each draw."""
    f1 = np.stack([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
    return {
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "macro_f1": np.nan_to_num(f1).sum(axis=0) / np.isfinite(f1).sum(axis=0),
        "false_alarm_rate": fp / (fp + tn),
    }


def interval(drawn: Floats) -> tuple[float, float] | None:
    """Return the percentile interval of a metric, or None if half of the draws or more leave it undefined.

    Args:
        drawn: The metric of each draw, NaN if undefined, shape (draws,).
    """
    defined = drawn[np.isfinite(drawn)]
    if 2 * len(defined) <= len(drawn):
        return None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _finite_or_none(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
