"""Unit score against unit fault share."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from xfmr.evaluation import UnitCorrelation, unit_correlation


def units(scores: list[float], shares: list[float], *, records: int = 10) -> pd.DataFrame:
    """Make units of ten records each, whose scores average to the unit's score."""
    around = np.linspace(-1, 1, records)
    rows = [
        ("", f"u{unit}", score + around[i], i < share * records)
        for unit, (score, share) in enumerate(zip(scores, shares, strict=True))
        for i in range(records)
    ]
    return pd.DataFrame(rows, columns=["fleet", "of_unit", "score", "fault"])


def test_units_in_the_order_of_their_faults() -> None:
    correlation = unit_correlation(units([1, 2, 5, 9], [0.0, 0.2, 0.3, 0.9]), seed=0)
    assert (correlation.units, correlation.spearman) == (4, pytest.approx(1))
    assert correlation.p_value == pytest.approx(2 / 24)  # this order and its reverse, of 24


def test_units_the_wrong_way_round() -> None:
    assert unit_correlation(units([9, 5, 1], [0.0, 0.1, 0.5]), seed=0).spearman == pytest.approx(-1)


def test_ties_and_many_units_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    shares = (rng.integers(0, 4, 19) / 10).tolist()
    scores = (rng.standard_normal(19) + 5 * np.array(shares)).tolist()
    correlation, expected = unit_correlation(units(scores, shares), seed=0), spearmanr(scores, shares)
    assert correlation.spearman == pytest.approx(expected.statistic)
    assert correlation.p_value == pytest.approx(expected.pvalue, abs=0.01)
    assert correlation == unit_correlation(units(scores, shares), seed=0)


def test_unrelated_units_are_not_significant() -> None:
    rng = np.random.default_rng(2)
    shares = (rng.integers(0, 10, 40) / 10).tolist()
    correlation = unit_correlation(units(rng.standard_normal(40).tolist(), shares), seed=0)
    assert correlation.p_value is not None
    assert correlation.p_value > 0.05


@pytest.mark.parametrize(
    ("table", "undefined"),
    [
        (units([], []), UnitCorrelation(0, undefined="fewer than 3 units are named in the labels")),
        (units([1], [0.5]), UnitCorrelation(1, undefined="fewer than 3 units are named in the labels")),
        (units([1, 2], [0.5, 0.6]), UnitCorrelation(2, undefined="fewer than 3 units are named in the labels")),
        (units([1, 2, 3], [0, 0, 0]), UnitCorrelation(3, undefined="all units have the same share of faults")),
        (units([1, 1, 1], [0, 0, 0.5]), UnitCorrelation(3, undefined="all units have the same score")),
        (
            units([1, 2, 3], [0, 0.1, 0.2]).assign(of_unit=""),
            UnitCorrelation(0, undefined="fewer than 3 units are named in the labels"),
        ),
    ],
)
def test_an_undefined_correlation_has_a_reason(table: pd.DataFrame, undefined: UnitCorrelation) -> None:
    assert unit_correlation(table, seed=0) == undefined


def test_the_same_name_in_two_fleets_is_two_units() -> None:
    one = units([1, 2], [0.1, 0.2])
    both = pd.concat([one.assign(fleet="n"), one.assign(fleet="s", score=one["score"] + 10)])
    assert unit_correlation(both, seed=0).units == 4
