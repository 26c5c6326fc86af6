r"""How well scores tell faults from normal records, and how sure that is.

All figures follow from how many faults and normal records stand at each distinct score. Let p_k and q_k be these
numbers at the k-th lowest score, P and Q their sums. Then, equal scores counting half,

    AUC = sum_k p_k (q_1 + .. + q_{k-1} + q_k / 2) / (P Q),
    average precision = sum_k (p_k / P) (p_k + p_{k+1} + ..) / (p_k + q_k + p_{k+1} + q_{k+1} + ..).

The bootstrap draws samples (all sensors of a unit at one time) with replacement. A draw only changes how often each
record counts, so p and q of all draws are one sparse product, (scores x samples) @ (samples x draws), and everything
after it is array arithmetic over draws; the records' own figures are the draw in which every sample counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

METRICS = ("auc", "average_precision", "precision", "recall", "macro_f1", "false_alarm_rate")

# Fewer samples than this do not show how much they vary, and an interval drawn from them would look too sure.
MIN_SAMPLES = 5
CONFIDENCE = 0.95
# Elements of one working array, so that a dozen of them stay in the processor's cache.
_CHUNK = 250_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdicts:
    """What a detector says of records.

    Args:
        score: Finite, higher is more abnormal, shape (n,).
        anomaly: Whether the score reaches the upper threshold, shape (n,).
    """

    score: NDArray[Any]
    anomaly: NDArray[np.bool_]

    def of(self, rows: NDArray[np.int64]) -> Verdicts:
        """Return what is said of some of the records."""
        return Verdicts(self.score[rows], self.anomaly[rows])


@dataclass(frozen=True)
class Quality:
    """How well scores tell faults from normal records; None where that is not defined.

    Args:
        records: Records judged.
        faults: Faults among them.
        samples: Samples (a unit at one time) that they come from.
        auc: Area under the ROC curve: the chance that a fault scores above a normal record.
        average_precision: Area under the precision-recall curve.
        precision: Share of faults among the records at or above the upper threshold.
        recall: Share of the faults that are at or above it.
        macro_f1: Mean F1 of faults and normal records at that threshold, of those that occur.
        false_alarm_rate: Share of the normal records that are at or above it.
        intervals: 95 % bootstrap interval of each of these figures that has one, by its name.
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


def judge(
    fault: NDArray[np.bool_], verdicts: Verdicts, sample: NDArray[np.int64], draws: NDArray[np.uint16]
) -> Quality:
    """Judge scores and decisions.

    Args:
        fault: The truth, shape (n,).
        verdicts: What is judged, of n records.
        sample: Which sample each record is of, an index into the columns of ``draws``, shape (n,).
        draws: What :func:`bootstrap_draws` gives.
    """
    figures = drawn_figures(fault, verdicts, sample, draws)
    points = {name: _number(values[0]) for name, values in figures.items()}
    return Quality(
        records=len(fault),
        faults=int(fault.sum()),
        samples=len(np.unique(sample)),
        **points,
        intervals={name: found for name, values in figures.items() if (found := interval(values[1:]))},
    )


def bootstrap_draws(samples: int, resamples: int, *, seed: int) -> NDArray[np.uint16]:
    """Draw samples with replacement.

    Returns:
        How often each sample is drawn, shape (1 + resamples, samples); in row 0 each stands once.
    """
    rng = np.random.default_rng(seed)
    draws = np.ones((1 + resamples, samples), np.uint16)
    for row in draws[1:]:
        row[:] = np.bincount(rng.integers(samples, size=samples), minlength=samples)
    return draws


def drawn_figures(
    fault: NDArray[np.bool_], verdicts: Verdicts, sample: NDArray[np.int64], draws: NDArray[np.uint16]
) -> dict[str, Floats]:
    """Return each of :data:`METRICS` for every draw, NaN where it is not defined; only row 0 of too few samples."""
    used, sample = np.unique(sample, return_inverse=True)
    draws = draws[: None if len(used) >= MIN_SAMPLES else 1, used]
    if not len(fault):
        return {name: np.full(len(draws), np.nan) for name in METRICS}
    levels, level = np.unique(verdicts.score, return_inverse=True)
    shape = (len(levels), len(used))
    faults_at, normals_at = (
        csr_array((np.ones(of.sum()), (level[of], sample[of])), shape=shape) for of in (fault, ~fault)
    )
    outcomes = _outcomes(fault, verdicts.anomaly, sample)
    step = max(1, _CHUNK // max(shape))
    parts = []
    for start in range(0, len(draws), step):
        weights = draws[start : start + step].T.astype(np.float64)
        parts.append(_ranking(faults_at @ weights, normals_at @ weights) | _decisions(*(outcomes @ weights)))
    return {name: np.concatenate([part[name] for part in parts]) for name in METRICS}


def _outcomes(fault: NDArray[np.bool_], anomaly: NDArray[np.bool_], sample: NDArray[np.int64]) -> Floats:
    """Count each sample's true positives, false positives, false negatives and true negatives, (4, samples)."""
    kinds = (fault & anomaly, ~fault & anomaly, fault & ~anomaly, ~fault & ~anomaly)
    return np.stack([np.bincount(sample[kind], minlength=sample.max() + 1) for kind in kinds]).astype(np.float64)


@np.errstate(divide="ignore", invalid="ignore")
def _ranking(faults: Floats, normals: Floats) -> dict[str, Floats]:
    """Return the figures that depend on the order of the scores alone.

    Args:
        faults: Faults at each distinct score, lowest first, shape (scores, draws).
        normals: Normal records there, same shape.
    """
    total_faults, total_normals = faults.sum(axis=0), normals.sum(axis=0)
    normals_up_to = np.cumsum(normals, axis=0)
    beaten = np.einsum("kr,kr->r", faults, normals_up_to - normals / 2)
    faults_from = total_faults - np.cumsum(faults, axis=0) + faults
    precision = faults_from / (faults_from + total_normals - normals_up_to + normals)
    gained = np.einsum("kr,kr->r", faults, np.nan_to_num(precision))  # 0/0 where a draw has nothing from here on
    both = (total_faults > 0) & (total_normals > 0)
    return {
        "auc": beaten / (total_faults * total_normals),
        "average_precision": np.where(both, gained / total_faults, np.nan),
    }


@np.errstate(invalid="ignore")
def _decisions(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> dict[str, Floats]:
    """Return the figures of the decisions, from true and false positives and negatives of each draw."""
    f1 = np.stack([2 * tp / (2 * tp + fp + fn), 2 * tn / (2 * tn + fp + fn)])
    return {
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "macro_f1": np.nan_to_num(f1).sum(axis=0) / np.isfinite(f1).sum(axis=0),
        "false_alarm_rate": fp / (fp + tn),
    }


def interval(drawn: Floats) -> tuple[float, float] | None:
    """Return the percentile interval of a figure, or None where it is not defined in half of the draws or more.

    Args:
        drawn: The figure of each draw, NaN where it is not defined, shape (draws,).
    """
    defined = drawn[np.isfinite(drawn)]
    if 2 * len(defined) <= len(drawn):
        return None
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _number(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
