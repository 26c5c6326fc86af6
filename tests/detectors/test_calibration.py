"""Scores in sigmas of each sensor's out-of-fold history."""

import numpy as np
from identities import rows_of

from xfmr.detectors.calibration import Calibration
from xfmr.normal import MIN_HISTORY

A, B, C = ("", "", "a"), ("", "", "b"), ("", "", "c")


def scores(n: int = 2000) -> tuple[np.ndarray, list[tuple[str, str]]]:
    random = np.random.default_rng(0)
    logs = np.concatenate([1 + 0.1 * random.standard_normal(n), 3 + 0.1 * random.standard_normal(n)])
    return np.exp(logs), [A] * n + [B] * n


def test_every_sensor_has_median_zero() -> None:
    values, keys = scores()
    calibrated = Calibration.fit(values, rows_of(keys)).apply(values, rows_of(keys))
    assert abs(np.median(calibrated[:2000])) < 1e-9
    assert abs(np.median(calibrated[2000:])) < 1e-9


def test_sigma_is_half_the_sensors_and_half_the_fleets() -> None:
    values, keys = scores()
    calibration = Calibration.fit(values, rows_of(keys))
    own, fleet = 0.1, 1.4826 * np.median(np.abs(np.log(values) - np.median(np.log(values))))
    np.testing.assert_allclose(calibration.sigma[:2], np.sqrt((own**2 + fleet**2) / 2), rtol=0.05)


def test_an_unknown_sensor_is_measured_by_the_fleet() -> None:
    values, keys = scores()
    calibration = Calibration.fit(values, rows_of(keys))
    fleet = float(np.exp(np.median(np.log(values))))
    np.testing.assert_allclose(calibration.apply(np.array([fleet]), rows_of([C])), 0, atol=1e-9)


def test_order_is_kept_and_zero_is_finite() -> None:
    values, keys = scores()
    calibrated = Calibration.fit(values, rows_of(keys)).apply(np.array([0.0, 1.0, 2.0]), rows_of([A] * 3))
    assert np.isfinite(calibrated).all()
    assert np.all(np.diff(calibrated) > 0)


def test_a_sensor_needs_history_of_its_own() -> None:
    keys = [A] * MIN_HISTORY + [B] * (MIN_HISTORY - 1)
    assert Calibration.fit(np.ones(len(keys)), rows_of(keys)).sensors == (A,)


def test_scores_without_spread_do_not_divide_by_zero() -> None:
    calibration = Calibration.fit(np.ones(50), rows_of([A] * 50))
    assert np.isfinite(calibration.apply(np.ones(3), rows_of([A] * 3))).all()
