"""Figures that can be checked by hand, against scikit-learn's, and intervals that hold what they promise."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from xfmr.evaluation.quality import (
    METRICS,
    MIN_SAMPLES,
    Quality,
    Verdicts,
    bootstrap_draws,
    drawn_figures,
    interval,
    judge,
)


def judged_by(fault: list[int], score: list[float], anomaly: list[int], *, resamples: int = 100) -> Quality:
    """Judge records, each a sample of its own."""
    verdicts = Verdicts(np.array(score), np.array(anomaly, bool))
    n = len(fault)
    return judge(np.array(fault, bool), verdicts, np.arange(n), bootstrap_draws(n, resamples, seed=0))


def figures(found: Quality) -> list[float | None]:
    return [getattr(found, name) for name in METRICS]


def test_perfect_scores() -> None:
    found = judged_by([0, 0, 1], [1, 2, 3], [0, 0, 1])
    assert found == Quality(3, 1, 3, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, {})


def test_scores_the_wrong_way_round() -> None:
    assert figures(judged_by([1, 0, 0, 0], [1, 2, 3, 4], [0, 1, 1, 1])) == [0.0, 0.25, 0.0, 0.0, 0.0, 1.0]


def test_figures_by_hand() -> None:
    """Ranks from the top: fault, normal, fault, normal; the upper threshold lets the first three through."""
    found = judged_by([1, 0, 1, 0], [4, 3, 2, 1], [1, 1, 1, 0])
    assert found.auc == pytest.approx(3 / 4)
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert (found.precision, found.recall, found.false_alarm_rate) == (pytest.approx(2 / 3), 1.0, 0.5)
    assert found.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_equal_scores_are_a_coin_toss() -> None:
    found = judged_by([1, 0, 0, 1, 0, 1], [7] * 6, [0] * 6)
    assert (found.auc, found.average_precision) == (0.5, 0.5)
    assert found.intervals["auc"] == (0.5, 0.5)


def test_what_one_class_alone_does_not_define_is_none() -> None:
    assert figures(judged_by([0, 0], [1, 2], [0, 0])) == [None, None, None, None, 1.0, 0.0]
    assert figures(judged_by([1, 1], [1, 2], [1, 0])) == [None, None, 1.0, 0.5, pytest.approx(1 / 3), None]
    assert judged_by([], [], []) == Quality(0, 0, 0, *[None] * 6, {})
    assert set(judged_by([0] * 20, [*range(20)], [1] + [0] * 19).intervals) == {
        *("precision", "macro_f1", "false_alarm_rate")
    }


@st.composite
def drawn(draw: st.DrawFn) -> tuple[np.ndarray, Verdicts, np.ndarray, np.ndarray]:
    """Draw records of few distinct scores in few samples, with decisions that need not follow the scores."""
    n = draw(st.integers(2, 30))
    whole = st.lists(st.integers(0, 4), min_size=n, max_size=n)
    fault, anomaly = (np.array(draw(whole)) > 1 for _ in range(2))
    sample = np.unique(draw(st.lists(st.integers(0, 9), min_size=n, max_size=n)), return_inverse=True)[1]
    draws = bootstrap_draws(int(sample.max()) + 1, 8, seed=draw(st.integers(0, 99)))
    return fault, Verdicts(np.array(draw(whole)) / 3, anomaly), sample, draws


@settings(deadline=None)
@given(drawn())
def test_every_draw_agrees_with_scikit_learn(case: tuple[np.ndarray, Verdicts, np.ndarray, np.ndarray]) -> None:
    """A draw is the records of its samples, each as often as it was drawn."""
    fault, verdicts, sample, draws = case
    found = drawn_figures(fault, verdicts, sample, draws)
    rows = len(draws) if draws.shape[1] >= MIN_SAMPLES else 1
    assert {len(values) for values in found.values()} == {rows}
    for i in range(rows):
        again = np.repeat(np.arange(len(fault)), draws[i, sample])
        truth, said = fault[again], verdicts.anomaly[again]
        both = truth.any() and not truth.all()
        expected = {
            "auc": roc_auc_score(truth, verdicts.score[again]) if both else np.nan,
            "average_precision": average_precision_score(truth, verdicts.score[again]) if both else np.nan,
            "precision": precision_score(truth, said, zero_division=np.nan),
            "recall": recall_score(truth, said, zero_division=np.nan),
            "macro_f1": f1_score(truth, said, average="macro", zero_division=0) if len(truth) else np.nan,
            "false_alarm_rate": recall_score(~truth, said, zero_division=np.nan),
        }
        assert {name: values[i] for name, values in found.items()} == pytest.approx(expected, nan_ok=True)


def test_the_draws_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    fault, verdicts = rng.random(60) < 0.3, Verdicts(rng.random(60), rng.random(60) < 0.2)
    sample, draws = np.arange(60) // 3, bootstrap_draws(20, 50, seed=1)
    whole = drawn_figures(fault, verdicts, sample, draws)
    monkeypatch.setattr("xfmr.evaluation.quality._CHUNK", 7 * 60)
    pieces = drawn_figures(fault, verdicts, sample, draws)
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


def test_few_samples_have_no_interval() -> None:
    n = 40
    verdicts, fault = Verdicts(np.arange(n), np.zeros(n, bool)), np.arange(n) % 2 == 0
    few, enough = (
        judge(fault, verdicts, np.arange(n) % samples, bootstrap_draws(samples, 100, seed=0)) for samples in (4, 5)
    )
    assert (few.samples, few.intervals) == (4, {})
    assert enough.samples == 5
    assert "auc" in enough.intervals


def test_a_figure_that_is_mostly_undefined_has_no_interval() -> None:
    values = np.linspace(0, 1, 101)
    assert interval(values) == pytest.approx((0.025, 0.975))
    assert interval(np.where(values < 0.5, np.nan, values)) == pytest.approx((0.5125, 0.9875))
    assert interval(np.where(values < 0.51, np.nan, values)) is None
    assert interval(np.empty(0)) is None


def random_fleet(rng: np.random.Generator, *, times: int, sensors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make the truth, scores and samples of a unit whose sensors all hear the same at the same time."""
    fault = np.repeat(rng.random(times) < 0.4, sensors)
    score = np.repeat(rng.standard_normal(times), sensors) + 1.0 * fault + 0.1 * rng.standard_normal(times * sensors)
    return fault, score, np.repeat(np.arange(times), sensors)


def test_intervals_cover_the_true_auc_only_where_samples_are_drawn_together() -> None:
    """Scores of a sample differ by little, so 6 sensors at 40 times say hardly more than one does."""
    rng = np.random.default_rng(0)
    true, together, apart = 0.7592, 0, 0  # Phi(1 / sqrt(2 + 2 * 0.1^2))
    for _ in range(100):
        fault, score, sample = random_fleet(rng, times=40, sensors=6)
        verdicts = Verdicts(score, score > 1)
        low, high = judge(fault, verdicts, sample, bootstrap_draws(40, 300, seed=1)).intervals["auc"]
        together += low <= true <= high
        low, high = judge(fault, verdicts, np.arange(240), bootstrap_draws(240, 300, seed=1)).intervals["auc"]
        apart += low <= true <= high
    assert together >= 88
    assert apart <= 75


def test_random_scores_are_no_better_than_chance() -> None:
    rng = np.random.default_rng(5)
    fault, score = rng.random(2000) < 0.1, rng.random(2000)
    found = judge(fault, Verdicts(score, score > 0.9), np.arange(2000), bootstrap_draws(2000, 300, seed=0))
    low, high = found.intervals["auc"]
    assert low < 0.5 < high
    assert high - low < 0.12
    assert found.average_precision == pytest.approx(0.1, abs=0.03)
    assert found.false_alarm_rate == pytest.approx(0.1, abs=0.03)


def test_a_thousand_resamples_of_five_thousand_records_take_seconds() -> None:
    rng = np.random.default_rng(2)
    fault, score, sample = random_fleet(rng, times=1250, sensors=4)
    began = time.perf_counter()
    judge(fault, Verdicts(score, score > 1), sample, bootstrap_draws(1250, 1000, seed=0))
    assert time.perf_counter() - began < 5  # 0.3 s alone on one core
