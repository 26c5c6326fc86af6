"""Two thresholds on the anomaly score, from unlabelled scores: surely normal below, surely abnormal above.

Scores may have any scale on which higher is more abnormal. All three methods take the bulk of the scores as normal;
they differ in how they find its end. If all scores are equal, all of them are normal, and any higher score is an
anomaly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

from xfmr.normal import MAD_TO_SIGMA
from xfmr.schema import PseudoLabel
from xfmr.settings.stage_two import Method

MIN_SCORES = 10
MIN_EXCESSES = 10
MEAN_DEVIATION_TO_SIGMA = 1.2533  # sqrt(pi / 2)


@dataclass(frozen=True)
class Thresholds:
    """Scores up to `lower` are normal, from `upper` on anomalies, and uncertain between.

    Raises:
        ValueError: Unless both are finite and `lower` is below `upper`.
    """

    lower: float
    upper: float
    method: Method

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lower) and np.isfinite(self.upper) and self.lower < self.upper):
            raise ValueError(f"lower must be below upper, both finite, not {self.lower} and {self.upper}")

    def __str__(self) -> str:
        """Return both thresholds in one line."""
        return f"normal up to {self.lower:.4g}, anomaly from {self.upper:.4g} ({self.method})"


def percentile(scores: ArrayLike, *, low: float = 5, high: float = 99) -> Thresholds:
    """Set the thresholds at two percentiles of the scores.

    Args:
        scores: Shape (n,), n at least 10.
        low: Percentile of the lower threshold.
        high: Percentile of the upper threshold. 100 - high per cent of the scores become anomalies, even if there
            is no fault.

    Raises:
        ValueError: If there are too few scores, one is not finite, or not 0 <= low < high <= 100.

    Example:
        >>> print(percentile(range(101)))
        normal up to 5, anomaly from 99 (percentile)
    """
    if not 0 <= low < high <= 100:
        raise ValueError(f"percentiles must satisfy 0 <= low < high <= 100, not low={low}, high={high}")
    lower, upper = np.percentile(_checked(scores), (low, high))
    return _thresholds(lower, upper, "percentile")


def mad(scores: ArrayLike, *, low: float = 2, high: float = 4) -> Thresholds:
    """Set the thresholds at median - low sigma and median + high sigma, with sigma = 1.4826 MAD.

    MAD is the median of |score - median|; the factor makes sigma the standard deviation if the scores are normally
    distributed. The thresholds move little as long as less than half of the scores are outliers. If more than half of
    the scores are equal, MAD is 0, and sigma is 1.2533 times the mean of |score - median| instead (Iglewicz and
    Hoaglin, How to Detect and Handle Outliers, 1993).

    Args:
        scores: Shape (n,), n at least 10.
        low: Sigmas from the median down to the lower threshold.
        high: Sigmas from the median up to the upper threshold.

    Raises:
        ValueError: If there are too few scores, one is not finite, or `low` or `high` is negative.

    Example:
        >>> print(mad(range(11)))  # median 5, MAD 3: sigma 4.4478
        normal up to -3.896, anomaly from 22.79 (mad)
    """
    if low < 0 or high < 0:
        raise ValueError(f"low and high must not be negative, not low={low}, high={high}")
    values = _checked(scores)
    median = np.median(values)
    deviations = np.abs(values - median)
    sigma = MAD_TO_SIGMA * np.median(deviations) or MEAN_DEVIATION_TO_SIGMA * np.mean(deviations)
    return _thresholds(median - low * sigma, median + high * sigma, "mad")


def peaks_over_threshold(
    scores: ArrayLike, *, quantile: float = 0.9, false_alarm_rate: float = 0.001, low: float = 5
) -> Thresholds:
    """Set the upper threshold from a generalised Pareto tail, the lower one at a percentile.

    Above a high quantile u the excesses y = score - u of almost any distribution follow
    P(Y > y) = (1 + shape y / scale)^(-1/shape), with the limit exp(-y / scale) at shape 0. With N_u of the n scores
    above u, the score that a normal record exceeds with probability q is

        upper = u + scale / shape ((N_u / (n q))^shape - 1),   at shape 0: u + scale ln(N_u / (n q)).

    Shape and scale are fitted by probability-weighted moments (Hosking and Wallis, Technometrics 29, 1987). With some
    tens of excesses this is more accurate than maximum likelihood, and a solution always exists. The fitted shape is
    at most 1, so heavier tails are underestimated.

    Args:
        scores: Shape (n,); at least 10 must lie above u, so n is at least about 10 / (1 - quantile).
        quantile: Quantile u at which the tail begins.
        false_alarm_rate: Share q of normal records above the upper threshold, less than 1 - quantile.
        low: Percentile of the lower threshold.

    Raises:
        ValueError: If there are too few scores or excesses, a score is not finite, or not
            0 < false_alarm_rate < 1 - quantile < 1 and 0 <= low <= 100 quantile.

    Example:
        >>> scores = -np.log(1 - (np.arange(1000) + 0.5) / 1000)  # exponential: 6.9 is exceeded once in 1000
        >>> print(peaks_over_threshold(scores))
        normal up to 0.05177, anomaly from 6.936 (peaks_over_threshold)
    """
    if not 0 < false_alarm_rate < 1 - quantile < 1:
        raise ValueError(
            "peaks over threshold needs 0 < false_alarm_rate < 1 - quantile < 1, "
            f"not false_alarm_rate={false_alarm_rate}, quantile={quantile}"
        )
    if not 0 <= low <= 100 * quantile:
        raise ValueError(f"low must lie in 0..{100 * quantile:g}, the percentile of the tail, not {low}")
    values = _checked(scores)
    lower, start = np.percentile(values, (low, 100 * quantile))
    if values.min() == values.max():
        return _thresholds(lower, start, "peaks_over_threshold")
    excesses = values[values > start] - start
    if excesses.size < MIN_EXCESSES:
        raise ValueError(
            f"peaks over threshold needs at least {MIN_EXCESSES} scores above the {quantile} quantile, "
            f"not {excesses.size} (of {values.size} scores)"
        )
    rarity = np.log(excesses.size / (values.size * false_alarm_rate))
    return _thresholds(lower, start + _pareto_quantile(excesses, rarity), "peaks_over_threshold")


@dataclass(frozen=True)
class ThresholdMethod:
    """One way to fit thresholds.

    Args:
        fit: Fits them to scores.
        of_history: True if the scores must be those of the records that the detector learned from, since the method
            fixes the share of normal records beyond the threshold; False if faults among the scores hardly matter.
    """

    fit: Callable[[ArrayLike], Thresholds]
    of_history: bool


METHODS: dict[Method, ThresholdMethod] = {
    "percentile": ThresholdMethod(percentile, of_history=True),
    "mad": ThresholdMethod(mad, of_history=False),
    "peaks_over_threshold": ThresholdMethod(peaks_over_threshold, of_history=True),
}
"""All methods; their names are also in :mod:`xfmr.settings.stage_two`."""


def fit_thresholds(scores: ArrayLike, method: Method) -> Thresholds:
    """Fit thresholds by a named method with its usual settings.

    Args:
        scores: Shape (n,), finite; of one sensor or of the whole fleet.
        method: `percentile`, `mad` or `peaks_over_threshold`.

    Raises:
        ValueError: If the method is unknown, or for the reasons that the method gives.

    Example:
        >>> print(fit_thresholds(range(101), "percentile"))
        normal up to 5, anomaly from 99 (percentile)
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, not {method!r}")
    return METHODS[method].fit(scores)


def pseudo_labels(scores: ArrayLike, thresholds: Thresholds) -> NDArray[np.str_]:
    """Label scores `normal` (up to lower), `anomaly` (from upper on) or `uncertain` (between).

    A score that is not a number is uncertain: nothing is known about the record, so a person should look at it.

    Args:
        scores: Any shape.
        thresholds: The two thresholds.

    Returns:
        Labels of the same shape.

    Example:
        >>> pseudo_labels([0.5, 3.0, 9.0], Thresholds(2.0, 4.0, "mad")).tolist()
        ['normal', 'uncertain', 'anomaly']
    """
    values = np.asarray(scores, dtype=np.float64)
    return np.select(
        [values <= thresholds.lower, values >= thresholds.upper],
        [PseudoLabel.NORMAL.value, PseudoLabel.ANOMALY.value],
        default=PseudoLabel.UNCERTAIN.value,
    )


def _checked(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size < MIN_SCORES:
        raise ValueError(f"thresholds need a row of at least {MIN_SCORES} scores, not shape {values.shape}")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} scores are not finite")
    return values


def _thresholds(lower: float, upper: float, method: Method) -> Thresholds:
    """Make thresholds; if the scores leave no room between the two, put the upper one just above the lower."""
    return Thresholds(float(lower), float(max(upper, np.nextafter(lower, np.inf))), method)


def _pareto_quantile(excesses: NDArray[np.float64], rarity: float) -> float:
    """Return the excess that a generalised Pareto fit exceeds with probability exp(-rarity).

    With a_s = E[Y (1 - F(Y))^s], estimated without bias from the order statistics, the fit is
    shape = 2 - a_0 / (a_0 - 2 a_1) and scale = 2 a_0 a_1 / (a_0 - 2 a_1).
    """
    n = excesses.size
    survival = 1 - np.arange(n) / (n - 1)
    a0, a1 = excesses.mean(), np.mean(np.sort(excesses) * survival)
    spread = a0 - 2 * a1
    if spread <= 1e-12 * a0:
        # All excesses are equal. In the limit of shape to minus infinity the distribution ends at their value.
        return float(a0)
    shape, scale = 2 - a0 / spread, 2 * a0 * a1 / spread
    # exprel(x) = (exp(x) - 1) / x, exact through the exponential limit at shape 0.
    return float(scale * rarity * exprel(shape * rarity))
