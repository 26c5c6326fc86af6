"""What is normal: known statistics, little history, gains that drop out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.features import log_spectrum
from xfmr.normal import CLEANING_SHARE, CLIP, MIN_HISTORY, NEIGHBOURS, Standardiser, clean, level_free

A, B = ("", "a"), ("north", "a")


def two_sensors(n_a: int, n_b: int, *, width: int = 3) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Values around 0 for one sensor and around 100 for the other."""
    values = np.random.default_rng(5).standard_normal((n_a + n_b, width)).astype(np.float32)
    values[n_a:] = 100 + 3 * values[n_a:]
    return values, [A] * n_a + [B] * n_b


def test_known_statistics() -> None:
    # Columns 0..30 and ten times that: medians 15 and 150, MADs 8 and 80.
    column = np.arange(31, dtype=np.float32)
    fitted = Standardiser.fit(np.stack([column, 10 * column], axis=1), [A] * 31)
    assert fitted.sensors == (A,)
    np.testing.assert_allclose(fitted.median, [[15, 150]] * 2)
    sigma = 1.4826 * np.array([8, 80])
    expected = sigma + 0.05 * sigma.mean()
    np.testing.assert_allclose(fitted.scale, [expected] * 2, rtol=1e-6)
    standardised = fitted.apply(np.array([[15 + expected[0], 150 - 2 * expected[1]]], np.float32), [A])
    np.testing.assert_allclose(standardised, [[1, -2]], rtol=1e-5)
    assert standardised.dtype == np.float32


def test_one_outlier_moves_next_to_nothing() -> None:
    values, keys = two_sensors(101, 0)
    clean = Standardiser.fit(values, keys)
    values[0] = 1e6
    fouled = Standardiser.fit(values, keys)
    np.testing.assert_allclose(fouled.median, clean.median, atol=0.1)
    np.testing.assert_allclose(fouled.scale, clean.scale, rtol=0.1)


def test_each_sensor_is_measured_by_its_own_history() -> None:
    values, keys = two_sensors(200, 200)
    fitted = Standardiser.fit(values, keys)
    assert fitted.sensors == (A, B)
    standardised = fitted.apply(values, keys)
    for rows in (slice(200), slice(200, None)):
        np.testing.assert_allclose(np.median(standardised[rows], axis=0), 0, atol=1e-5)


@pytest.mark.parametrize(("n", "own"), [(MIN_HISTORY - 1, False), (MIN_HISTORY, True)])
def test_a_sensor_with_little_history_borrows_the_fleets(n: int, own: bool) -> None:
    values, keys = two_sensors(300, n)
    fitted = Standardiser.fit(values, keys)
    assert (B in fitted.sensors) == own
    as_b, as_stranger = fitted.apply(values[300:], [B] * n), fitted.apply(values[300:], [("", "new")] * n)
    assert np.array_equal(as_b, as_stranger) != own


def test_the_fleet_is_part_of_a_sensors_name() -> None:
    values, keys = two_sensors(40, 40)
    fitted = Standardiser.fit(values, keys)
    # The same sensor_id in a third fleet is nobody's.
    np.testing.assert_array_equal(
        fitted.apply(values, [("south", "a")] * 80), fitted.apply(values, [("", "stranger")] * 80)
    )


def test_values_are_clipped() -> None:
    values, keys = two_sensors(50, 0)
    extreme = np.array([[1e9, -1e9, 0]], np.float32)
    np.testing.assert_array_equal(Standardiser.fit(values, keys).apply(extreme, [A])[0, :2], [CLIP, -CLIP])


@given(
    n=st.integers(1, 40),
    constant=st.sets(st.integers(0, 3)),
    value=st.floats(-1e6, 1e6, width=32),
)
@settings(max_examples=40, deadline=None)
def test_constant_columns_stay_finite(n: int, constant: set[int], value: float) -> None:
    values, keys = two_sensors(n, 0, width=4)
    values[:, sorted(constant)] = value
    fitted = Standardiser.fit(values, keys)
    assert (fitted.scale > 0).all()
    standardised = fitted.apply(values, keys)
    assert np.isfinite(standardised).all()
    assert (standardised[:, sorted(constant)] == 0).all()


def test_a_single_record_is_a_history() -> None:
    values = np.array([[1, 2]], np.float32)
    np.testing.assert_array_equal(Standardiser.fit(values, [A]).apply(values + 0.5, [A]), [[0.5, 0.5]])


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


def clusters(*sizes: int, spread: float = 1.0) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Sensors with values of their own, each around another place."""
    random = np.random.default_rng(11)
    values = [10 * i + spread * random.standard_normal((n, 8)) for i, n in enumerate(sizes)]
    keys = [("", f"s{i}") for i, n in enumerate(sizes) for _ in range(n)]
    return np.concatenate(values).astype(np.float32), keys


def by_hand(values: np.ndarray, rows: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Mean squared distance of rows to their nearest five others of a bank."""
    squared = np.square(values[rows][:, None].astype(float) - values[bank][None]).sum(-1)
    squared[rows[:, None] == bank] = np.inf
    return np.sort(squared, axis=1)[:, :NEIGHBOURS].mean(1)


def test_distance_is_to_the_nearest_of_the_sensors_own_records_that_are_kept() -> None:
    values, keys = clusters(40, 60)
    sensors = [np.arange(40), np.arange(40, 100)]
    first = np.concatenate([by_hand(values, rows, rows) for rows in sensors])
    once = first <= np.quantile(first, 1 - CLEANING_SHARE)
    second = np.concatenate([by_hand(values, rows, rows[once[rows]]) for rows in sensors])
    kept, distance = clean(values, keys)
    np.testing.assert_allclose(distance, second, rtol=1e-3)
    np.testing.assert_array_equal(kept, second <= np.quantile(second, 1 - CLEANING_SHARE))


def test_a_sensor_with_little_history_is_measured_against_the_fleet() -> None:
    values, keys = clusters(40, MIN_HISTORY - 1)
    values[40:] = values[: MIN_HISTORY - 1]  # far from each other, but at home in the fleet
    values[40:] += 0.01
    _, distance = clean(values, keys)
    everyone = np.arange(len(values))
    first = np.concatenate([by_hand(values, everyone[:40], everyone[:40]), by_hand(values, everyone[40:], everyone)])
    kept = everyone[first <= np.quantile(first, 1 - CLEANING_SHARE)]
    np.testing.assert_allclose(distance[40:], by_hand(values, everyone[40:], kept), rtol=1e-3)


def test_faults_in_a_history_are_set_aside() -> None:
    values, keys = clusters(200, 200)
    faulty = np.array([3, 50, 51, 199, 200, 300, 301, 399])
    values[faulty] += np.where(np.arange(8) % 2, 6, -6).astype(np.float32)
    kept, distance = clean(values, keys)
    assert not kept[faulty].any()
    assert kept.sum() == 360
    assert distance[faulty].min() > distance[kept].max()


def test_as_many_faults_alike_as_neighbours_do_not_hide_each_other() -> None:
    values, keys = clusters(100)
    values[:NEIGHBOURS] = 30 + 0.1 * values[:NEIGHBOURS]
    kept, _ = clean(values, keys)
    assert not kept[:NEIGHBOURS].any()


def test_cleaning_does_not_depend_on_the_order_of_sensors() -> None:
    values, keys = clusters(35, 5, 50)
    order = np.random.default_rng(0).permutation(len(keys))
    kept, distance = clean(values, keys)
    again, distance_again = clean(values[order], [keys[i] for i in order])
    np.testing.assert_array_equal(again, kept[order])
    np.testing.assert_allclose(distance_again, distance[order], rtol=1e-4)


@pytest.mark.parametrize("n", [2, 3, MIN_HISTORY])
def test_copies_and_next_to_no_history_are_all_kept(n: int) -> None:
    kept, _ = clean(np.ones((n, 4), np.float32), [A] * n)
    assert kept.all()


@pytest.mark.parametrize("n_bad", [29, 30, 31, 32, 33, 60])
def test_a_sensor_that_is_faulty_throughout_does_not_stop_cleaning(n_bad: int) -> None:
    random = np.random.default_rng(0)
    good, bad = random.standard_normal((270, 8)), 100 * random.standard_normal((n_bad, 8))
    kept, distance = clean(np.concatenate([good, bad]).astype(np.float32), [("", "g")] * 270 + [("", "b")] * n_bad)
    assert np.isfinite(distance).all()
    assert kept[:270].sum() >= 0.85 * 270
    assert kept[270:].sum() < n_bad
