"""ROC and precision-recall points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from xfmr.evaluation import Curve, curve

LABELLED = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60)


def test_points_by_hand() -> None:
    fault, score = np.array([True, False, True, False]), np.array([4, 3, 2, 1])
    assert curve(fault, score) == Curve(
        threshold=[4, 3, 2, 1],
        recall=[0.5, 0.5, 1.0, 1.0],
        false_alarm_rate=[0.0, 0.5, 0.5, 1.0],
        precision=[1.0, 0.5, pytest.approx(2 / 3), 0.5],
    )


def test_equal_scores_are_one_point() -> None:
    assert curve(np.array([True, False]), np.array([7.0, 7.0])) == Curve([7.0], [1.0], [1.0], [0.5])


@pytest.mark.parametrize("fault", [[True, True], [False, False]])
def test_a_single_class_has_no_curve(fault: list[bool]) -> None:
    assert curve(np.array(fault), np.array([1.0, 2.0])) is None


@given(LABELLED)
def test_all_points_are_those_of_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    fault, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    points = curve(fault, score, step=1e-6)
    if fault.all() or not fault.any():
        assert points is None
        return
    assert points is not None
    false_alarm_rate, recall, threshold = roc_curve(fault, score, drop_intermediate=False)
    np.testing.assert_allclose(points.threshold, threshold[1:])
    np.testing.assert_allclose(points.recall, recall[1:])
    np.testing.assert_allclose(points.false_alarm_rate, false_alarm_rate[1:])
    np.testing.assert_allclose(points.precision, precision_recall_curve(fault, score)[0][:-1][::-1])


def test_a_thinned_curve_keeps_its_ends_and_its_area() -> None:
    rng = np.random.default_rng(0)
    fault = rng.random(20_000) < 0.2
    score = rng.standard_normal(20_000) + 1.5 * fault
    points = curve(fault, score)
    assert points is not None
    assert 100 < len(points.recall) <= 202
    assert (points.threshold[0], points.threshold[-1]) == (score.max(), score.min())
    assert (points.recall[-1], points.false_alarm_rate[-1]) == (1.0, 1.0)
    area = np.trapezoid([0, *points.recall], [0, *points.false_alarm_rate])
    assert area == pytest.approx(roc_auc_score(fault, score), abs=0.002)
