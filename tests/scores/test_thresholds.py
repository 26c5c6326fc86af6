"""Thresholds against the exact quantiles of known distributions."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from xfmr.scores.thresholds import (
    METHODS,
    Method,
    Thresholds,
    fit_thresholds,
    mad,
    peaks_over_threshold,
    percentile,
    pseudo_labels,
)

every_method = pytest.mark.parametrize("method", list(METHODS))


def quantile_sample(distribution: stats.distributions.rv_frozen, n: int = 5000) -> np.ndarray:
    """A sample without chance: the quantiles of the distribution at n even steps, in a shuffled order."""
    sample = distribution.ppf((np.arange(n) + 0.5) / n)
    return np.random.default_rng(0).permutation(sample)


def test_percentile_cuts_at_the_percentiles() -> None:
    assert percentile(np.arange(101.0)) == Thresholds(5.0, 99.0, "percentile")
    assert percentile(np.arange(101.0), low=10, high=90) == Thresholds(10.0, 90.0, "percentile")


def test_mad_is_the_standard_deviation_of_normal_scores() -> None:
    thresholds = mad(quantile_sample(stats.norm(7, 3)))
    assert thresholds.lower == pytest.approx(7 - 2 * 3, abs=0.01)
    assert thresholds.upper == pytest.approx(7 + 4 * 3, abs=0.01)


def test_mad_by_hand() -> None:
    """Median 5, deviations 4 3 2 1 0 0 1 2 3 95: their median is 2."""
    scores = [1, 2, 3, 4, 5, 5, 6, 7, 8, 100]
    assert mad(scores) == Thresholds(5 - 2 * 2 * 1.4826, 5 + 4 * 2 * 1.4826, "mad")


def test_mad_hardly_sees_outliers() -> None:
    clean = quantile_sample(stats.norm(0, 1), 900)
    assert mad(np.r_[clean, np.full(100, 1e6)]).upper == pytest.approx(mad(clean).upper, rel=0.2)


def test_mad_of_mostly_equal_scores_takes_the_mean_deviation() -> None:
    """Median 1, nine deviations of 0 and one of 5: mean 0.5."""
    scores = [1.0] * 9 + [6.0]
    assert mad(scores) == Thresholds(1 - 2 * 1.2533 * 0.5, 1 + 4 * 1.2533 * 0.5, "mad")


@pytest.mark.parametrize(
    "tail",
    [
        stats.expon(scale=2.0),
        stats.genpareto(0.2, scale=1.5),
        stats.genpareto(-0.3, scale=1.0),
        stats.uniform(0, 1),
    ],
    ids=["exponential", "heavy", "short", "uniform"],
)
def test_peaks_over_threshold_finds_the_quantile_of_an_exact_tail(
    tail: stats.distributions.rv_frozen,
) -> None:
    """The tail of a generalised Pareto distribution is one of the same shape: the fit is exact."""
    scores = quantile_sample(tail, 20000)
    for rate in (0.01, 0.001):
        upper = peaks_over_threshold(scores, false_alarm_rate=rate).upper
        assert upper == pytest.approx(tail.isf(rate), rel=0.01)
    assert peaks_over_threshold(scores).lower == pytest.approx(tail.ppf(0.05), rel=0.01)


def test_peaks_over_threshold_extrapolates_beyond_the_sample() -> None:
    """From 500 scores to a rate of 1e-4, where the sample has no quantile: known within 10 %."""
    rng = np.random.default_rng(1)
    uppers = [peaks_over_threshold(rng.exponential(size=500), false_alarm_rate=1e-4).upper for _ in range(300)]
    assert np.median(uppers) == pytest.approx(np.log(1e4), rel=0.1)


def test_peaks_over_threshold_keeps_the_false_alarm_rate_on_normal_scores() -> None:
    rng = np.random.default_rng(2)
    upper = peaks_over_threshold(rng.normal(size=5000)).upper
    assert stats.norm.sf(upper) == pytest.approx(0.001, rel=0.5)


def test_peaks_over_threshold_is_continuous_at_shape_zero() -> None:
    """Exponential order statistics bent by a hair to either side give nearly the same threshold."""
    uppers = [peaks_over_threshold(quantile_sample(stats.genpareto(shape))).upper for shape in (-1e-9, 0.0, 1e-9)]
    np.testing.assert_allclose(uppers, uppers[1], rtol=1e-6)


def test_peaks_over_threshold_of_equal_excesses_ends_at_them() -> None:
    scores = np.r_[np.linspace(0, 1, 300), np.full(20, 5.0)]
    thresholds = peaks_over_threshold(scores, quantile=0.94)
    assert thresholds.upper == pytest.approx(5.0)


@every_method
def test_constant_scores_are_normal_and_anything_higher_is_not(method: Method) -> None:
    scores = np.full(200, 3.5)
    thresholds = fit_thresholds(scores, method)
    assert set(pseudo_labels(scores, thresholds)) == {"normal"}
    assert pseudo_labels([3.6], thresholds).tolist() == ["anomaly"]


@every_method
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    decimals=st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_lower_is_below_upper_and_both_move_with_the_scores(
    method: Method, seed: int, scale: float, decimals: int
) -> None:
    scores = np.round(np.random.default_rng(seed).gamma(4, size=300), decimals)
    assume(method != "peaks_over_threshold" or np.sum(scores > np.percentile(scores, 90)) >= 10)
    plain, scaled = fit_thresholds(scores, method), fit_thresholds(scale * scores + scale, method)
    assert plain.lower < plain.upper
    assert plain.method == scaled.method == method
    expected = [scale * (plain.lower + 1), scale * (plain.upper + 1)]
    np.testing.assert_allclose([scaled.lower, scaled.upper], expected, rtol=1e-6)


@every_method
def test_too_few_scores_are_refused(method: Method) -> None:
    with pytest.raises(ValueError, match="at least 10 scores"):
        fit_thresholds(np.arange(9.0), method)
    with pytest.raises(ValueError, match="shape"):
        fit_thresholds(np.zeros((20, 20)), method)


def test_too_few_excesses_are_refused() -> None:
    with pytest.raises(ValueError, match=r"above the 0\.9 quantile, not 5 \(of 50 scores\)"):
        peaks_over_threshold(np.arange(50.0))


@every_method
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(method: Method, value: float) -> None:
    with pytest.raises(ValueError, match="1 of 201 scores are not finite"):
        fit_thresholds(np.r_[np.arange(200.0), value], method)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="'guess'"):
        fit_thresholds(np.arange(200.0), "guess")  # type: ignore[arg-type]


def test_wrong_settings_are_refused() -> None:
    scores = np.arange(200.0)
    with pytest.raises(ValueError, match="low < high"):
        percentile(scores, low=99, high=5)
    with pytest.raises(ValueError, match="negative"):
        mad(scores, high=-1)
    with pytest.raises(ValueError, match=r"false_alarm_rate=0\.2"):
        peaks_over_threshold(scores, false_alarm_rate=0.2)
    with pytest.raises(ValueError, match="low must lie"):
        peaks_over_threshold(scores, low=95)


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_thresholds_out_of_order_are_refused(lower: float, upper: float) -> None:
    with pytest.raises(ValueError, match="lower must be below upper"):
        Thresholds(lower, upper, "percentile")


def test_pseudo_labels_include_the_thresholds_themselves() -> None:
    scores = [[0.0, 1.0, 1.5], [2.0, 3.0, np.nan]]
    labels = pseudo_labels(scores, Thresholds(1.0, 2.0, "mad"))
    assert labels.tolist() == [["normal", "normal", "uncertain"], ["anomaly", "anomaly", "uncertain"]]
