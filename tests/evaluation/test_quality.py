"""Metrics against hand calculation and scikit-learn, and the coverage of intervals."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from xfmr.evaluation.quality import (
    METRICS,
    MIN_MOMENTS,
    Predictions,
    Quality,
    bootstrap_draws,
    interval,
    metrics_by_draw,
    quality_of,
)


def quality_by(fault: list[int], score: list[float], anomaly: list[int], *, resamples: int = 100) -> Quality:
    """Return the quality over records, each a moment of its own."""
    predictions = Predictions(np.array(score), np.array(anomaly, bool))
    n = len(fault)
    return quality_of(np.array(fault, bool), predictions, np.arange(n), bootstrap_draws(n, resamples, seed=0))


def metrics_of(quality: Quality) -> list[float | None]:
    return [getattr(quality, name) for name in METRICS]


def test_perfect_scores() -> None:
    quality = quality_by([0, 0, 1], [1, 2, 3], [0, 0, 1])
    assert quality == Quality(3, 1, 3, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, {})


def test_scores_the_wrong_way_round() -> None:
    assert metrics_of(quality_by([1, 0, 0, 0], [1, 2, 3, 4], [0, 1, 1, 1])) == [0.0, 0.25, 0.0, 0.0, 0.0, 1.0]


def test_metrics_by_hand() -> None:
    """Ranks from the top: fault, normal, fault, normal; the upper threshold lets the first three through."""
    quality = quality_by([1, 0, 1, 0], [4, 3, 2, 1], [1, 1, 1, 0])
    assert quality.auc == pytest.approx(3 / 4)
    assert quality.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert (quality.precision, quality.recall, quality.false_alarm_rate) == (pytest.approx(2 / 3), 1.0, 0.5)
    assert quality.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_equal_scores_are_a_coin_toss() -> None:
    quality = quality_by([1, 0, 0, 1, 0, 1], [7] * 6, [0] * 6)
    assert (quality.auc, quality.average_precision) == (0.5, 0.5)
    assert quality.intervals["auc"] == (0.5, 0.5)


def test_what_one_class_alone_does_not_define_is_none() -> None:
    assert metrics_of(quality_by([0, 0], [1, 2], [0, 0])) == [None, None, None, None, 1.0, 0.0]
    assert metrics_of(quality_by([1, 1], [1, 2], [1, 0])) == [None, None, 1.0, 0.5, pytest.approx(1 / 3), None]
    assert quality_by([], [], []) == Quality(0, 0, 0, *[None] * 6, {})
    assert set(quality_by([0] * 20, [*range(20)], [1] + [0] * 19).intervals) == {
        *("precision", "macro_f1", "false_alarm_rate")
    }


@st.composite
def drawn(draw: st.DrawFn) -> tuple[np.ndarray, Predictions, np.ndarray, np.ndarray]:
    """Draw records of few distinct scores in few moments, with decisions that need not follow the scores."""
    n = draw(st.integers(2, 30))
    whole = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    fault, anomaly = (np.array(draw(whole)) > 1 for _ in range(2))
    moment = np.unique(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)), return_inverse=True)[1]
    draws = bootstrap_draws(int(moment.max()) + 1, 8, seed=draw(st.integers(0, 99)))
    return fault, Predictions(np.array(draw(whole)) / 3, anomaly), moment, draws


@settings(deadline=None)
@given(drawn())
def test_every_draw_agrees_with_scikit_learn(case: tuple[np.ndarray, Predictions, np.ndarray, np.ndarray]) -> None:
    """A draw is the records of its moments, each as often as it was drawn."""
    fault, predictions, moment, draws = case
    metrics = metrics_by_draw(fault, predictions, moment, draws)
    rows = len(draws) if draws.shape[1] >= MIN_MOMENTS else 1
    assert {len(values) for values in metrics.values()} == {rows}
    for i in range(rows):
        again = np.repeat(np.arange(len(fault)), draws[i, moment])
        truth, predicted = fault[again], predictions.anomaly[again]
        both = truth.any() and not truth.all()
        expected = {
            "auc": roc_auc_score(truth, predictions.score[again]) if both else np.nan,
            "average_precision": average_precision_score(truth, predictions.score[again]) if both else np.nan,
            "precision": precision_score(truth, predicted, zero_division=np.nan),
            "recall": recall_score(truth, predicted, zero_division=np.nan),
            "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0) if len(truth) else np.nan,
            "false_alarm_rate": recall_score(~truth, predicted, zero_division=np.nan),
        }
        assert {name: values[i] for name, values in metrics.items()} == pytest.approx(expected, nan_ok=True)


def test_the_draws_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    fault, predictions = rng.random(60) < 0.3, Predictions(rng.random(60), rng.random(60) < 0.2)
    moment, draws = np.arange(60) // 3, bootstrap_draws(20, 50, seed=1)
    whole = metrics_by_draw(fault, predictions, moment, draws)
    monkeypatch.setattr("xfmr.evaluation.quality._CHUNK", 7 * 60)
    pieces = metrics_by_draw(fault, predictions, moment, draws)
    for name in METRICS:
        np.testing.assert_array_equal(whole[name], pieces[name])


def test_draws() -> None:
    draws = bootstrap_draws(50, 200, seed=3)
    assert draws.shape == (201, 50)
    assert (draws[0] == 1).all()
    assert (draws.sum(axis=1) == 50).all()
    assert len(np.unique(draws, axis=0)) == 201
    np.testing.assert_array_equal(draws, bootstrap_draws(50, 200, seed=3))
    assert (draws != bootstrap_draws(50, 200, seed=4)).any()


def test_few_moments_have_no_interval() -> None:
    n = 40
    predictions, fault = Predictions(np.arange(n), np.zeros(n, bool)), np.arange(n) % 2 == 0
    few, enough = (
        quality_of(fault, predictions, np.arange(n) % n_moments, bootstrap_draws(n_moments, 100, seed=0))
        for n_moments in (4, 5)
    )
    assert (few.samples, few.intervals) == (4, {})
    assert enough.samples == 5
    assert "auc" in enough.intervals


def test_a_metric_that_is_mostly_undefined_has_no_interval() -> None:
    values = np.linspace(0, 1, 101)
    assert interval(values) == pytest.approx((0.025, 0.975))
    assert interval(np.where(values < 0.5, np.nan, values)) == pytest.approx((0.5125, 0.9875))
    assert interval(np.where(values < 0.51, np.nan, values)) is None
    assert interval(np.empty(0)) is None


def random_fleet(rng: np.random.Generator, *, times: int, sensors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make truth, scores and moments of a unit whose sensors all hear the same thing at the same time."""
    fault = np.repeat(rng.random(times) < 0.4, sensors)
    score = np.repeat(rng.standard_normal(times), sensors) + 1.0 * fault + 0.1 * rng.standard_normal(times * sensors)
    return fault, score, np.repeat(np.arange(times), sensors)


def test_intervals_cover_the_true_auc_only_if_moments_are_drawn_whole() -> None:
    """Scores of a moment differ by little, so 6 sensors at 40 times say hardly more than one does."""
    rng = np.random.default_rng(0)
    true, together, apart = 0.7592, 0, 0  # Phi(1 / sqrt(2 + 2 * 0.1^2))
    for _ in range(100):
        fault, score, moment = random_fleet(rng, times=40, sensors=6)
        predictions = Predictions(score, score > 1)
        low, high = quality_of(fault, predictions, moment, bootstrap_draws(40, 300, seed=1)).intervals["auc"]
        together += low <= true <= high
        low, high = quality_of(fault, predictions, np.arange(240), bootstrap_draws(240, 300, seed=1)).intervals["auc"]
        apart += low <= true <= high
    assert together >= 88
    assert apart <= 75


def test_random_scores_are_no_better_than_chance() -> None:
    rng = np.random.default_rng(5)
    fault, score = rng.random(2000) < 0.1, rng.random(2000)
    quality = quality_of(fault, Predictions(score, score > 0.9), np.arange(2000), bootstrap_draws(2000, 300, seed=0))
    low, high = quality.intervals["auc"]
    assert low < 0.5 < high
    assert high - low < 0.12
    assert quality.average_precision == pytest.approx(0.1, abs=0.03)
    assert quality.false_alarm_rate == pytest.approx(0.1, abs=0.03)


def test_a_thousand_resamples_of_five_thousand_records_take_seconds() -> None:
    rng = np.random.default_rng(2)
    fault, score, moment = random_fleet(rng, times=1250, sensors=4)
    began = time.perf_counter()
    quality_of(fault, Predictions(score, score > 1), moment, bootstrap_draws(1250, 1000, seed=0))
    assert time.perf_counter() - began < 5  # 0.3 s alone on one core
