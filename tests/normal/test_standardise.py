"""Standardising by the normal state: known statistics, little history, gains that drop out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identities import rows_of

from xfmr.features import log_spectrum
from xfmr.normal import CLIP, MIN_MEDIAN, Standardiser, level_free

A, B = ("", "", "a"), ("north", "", "a")


def two_sensors(n_a: int, n_b: int, *, width: int = 3) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Values around 0 for one sensor and around 100 for the other."""
    values = np.random.default_rng(5).standard_normal((n_a + n_b, width)).astype(np.float32)
    values[n_a:] = 100 + 3 * values[n_a:]
    return values, [A] * n_a + [B] * n_b


def test_known_statistics() -> None:
    # Columns 0..30 and ten times that: medians 15 and 150, MADs 8 and 80.
    column = np.arange(31, dtype=np.float32)
    fitted = Standardiser.fit(np.stack([column, 10 * column], axis=1), rows_of([A] * 31))
    assert fitted.sensors == (A,)
    np.testing.assert_allclose(fitted.median, [[15, 150]] * 2)
    sigma = 1.4826 * np.array([8, 80])
    expected = sigma + 0.05 * sigma.mean()
    np.testing.assert_allclose(fitted.scale, [expected] * 2, rtol=1e-6)
    standardised = fitted.apply(np.array([[15 + expected[0], 150 - 2 * expected[1]]], np.float32), rows_of([A]))
    np.testing.assert_allclose(standardised, [[1, -2]], rtol=1e-5)
    assert standardised.dtype == np.float32


def test_one_outlier_moves_next_to_nothing() -> None:
    values, keys = two_sensors(101, 0)
    clean = Standardiser.fit(values, rows_of(keys))
    values[0] = 1e6
    fouled = Standardiser.fit(values, rows_of(keys))
    np.testing.assert_allclose(fouled.median, clean.median, atol=0.1)
    np.testing.assert_allclose(fouled.scale, clean.scale, rtol=0.1)


def test_each_sensor_is_measured_by_its_own_history() -> None:
    values, keys = two_sensors(200, 200)
    fitted = Standardiser.fit(values, rows_of(keys))
    assert fitted.sensors == (A, B)
    standardised = fitted.apply(values, rows_of(keys))
    for rows in (slice(200), slice(200, None)):
        np.testing.assert_allclose(np.median(standardised[rows], axis=0), 0, atol=1e-5)


@pytest.mark.parametrize(("n", "own"), [(MIN_MEDIAN - 1, False), (MIN_MEDIAN, True)])
def test_a_sensor_with_little_history_borrows_the_fleets(n: int, own: bool) -> None:
    values, keys = two_sensors(300, n)
    fitted = Standardiser.fit(values, rows_of(keys))
    assert (B in fitted.sensors) == own
    as_b, as_stranger = (
        fitted.apply(values[300:], rows_of([B] * n)),
        fitted.apply(values[300:], rows_of([("", "", "new")] * n)),
    )
    assert np.array_equal(as_b, as_stranger) != own


def test_the_spread_of_few_records_is_mostly_the_fleets() -> None:
    # Deviations of A are 1 or none, of B 10 in the middle: of both together 1.
    column = np.array([-1, 1] * 47 + [0] + [80, 90, 100, 110, 120], np.float32)
    fitted = Standardiser.fit(column[:, None], rows_of([A] * 95 + [B] * 5))
    expected = 1.05 * 1.4826 * np.sqrt([(95 * 1 + 20 * 1) / 115, (5 * 10**2 + 20 * 1) / 25])
    np.testing.assert_allclose(fitted.scale[:2, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(fitted.median[:2, 0], [0, 100])


def test_the_fleet_is_part_of_a_sensors_name() -> None:
    values, keys = two_sensors(40, 40)
    fitted = Standardiser.fit(values, rows_of(keys))
    # The same sensor_id in a third fleet is nobody's.
    south, stranger = (rows_of([name] * 80) for name in (("south", "", "a"), ("", "", "stranger")))
    np.testing.assert_array_equal(fitted.apply(values, south), fitted.apply(values, stranger))


def test_values_are_clipped() -> None:
    values, keys = two_sensors(50, 0)
    extreme = np.array([[1e9, -1e9, 0]], np.float32)
    np.testing.assert_array_equal(
        Standardiser.fit(values, rows_of(keys)).apply(extreme, rows_of([A]))[0, :2], [CLIP, -CLIP]
    )


@given(
    n=st.integers(1, 40),
    constant=st.sets(st.integers(0, 3)),
    value=st.floats(-1e6, 1e6, width=32),
)
@settings(max_examples=40, deadline=None)
def test_constant_columns_stay_finite(n: int, constant: set[int], value: float) -> None:
    values, keys = two_sensors(n, 0, width=4)
    values[:, sorted(constant)] = value
    fitted = Standardiser.fit(values, rows_of(keys))
    assert (fitted.scale > 0).all()
    standardised = fitted.apply(values, rows_of(keys))
    assert np.isfinite(standardised).all()
    assert (standardised[:, sorted(constant)] == 0).all()


def test_a_single_record_is_a_history() -> None:
    values = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(
        Standardiser.fit(values, rows_of([A])).apply(values + 0.5, rows_of([A])), [[0.5, 0.5]]
    )


def test_level_free_has_median_zero() -> None:
    values = np.random.default_rng(1).standard_normal((4, 451)).astype(np.float32)
    free = level_free(values)
    assert free.dtype == np.float32
    np.testing.assert_allclose(np.median(free, axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.diff(free, axis=1), np.diff(values, axis=1), atol=1e-6)


@pytest.mark.parametrize("gain", [2.0, 0.5, 1.37])
def test_level_free_takes_out_a_sensors_gain(gain: float) -> None:
    signal = np.random.default_rng(2).standard_normal((1, 8192)).astype(np.float32)
    spectra = [log_spectrum(x.astype(np.float32), sample_rate_hz=8192) for x in (signal, gain * signal)]
    np.testing.assert_allclose(spectra[1] - spectra[0], 2 * np.log10(gain), atol=1e-5)
    np.testing.assert_allclose(level_free(spectra[1]), level_free(spectra[0]), atol=1e-5)
