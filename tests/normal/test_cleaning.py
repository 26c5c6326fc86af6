"""Cleaning of a history: faults that come alone, in groups and for long; never a healthy sensor."""

import numpy as np
import pytest
from identities import rows_of

from xfmr.normal import MIN_HISTORY, cleaning
from xfmr.normal.neighbours import NEIGHBOURS, mean_squared_distance, thinned
from xfmr.normal.whitening import whitener

A = ("", "", "a")


def clean(values: np.ndarray, keys: list[tuple[str, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Clean records of one minute after another, of one day at most."""
    return cleaning.clean(values, rows_of(keys))


def clusters(*sizes: int, spread: float = 1.0) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Sensors with values of their own, each around another place."""
    random = np.random.default_rng(11)
    values = [10 * i + spread * random.standard_normal((n, 8)) for i, n in enumerate(sizes)]
    keys = [("", "", f"s{i}") for i, n in enumerate(sizes) for _ in range(n)]
    return np.concatenate(values).astype(np.float32), keys


def by_hand(values: np.ndarray, bank: np.ndarray, k: int) -> np.ndarray:
    """Mean squared distance of each row to its nearest others of a bank of rows."""
    squared = np.square(values[:, None].astype(float) - values[bank][None]).sum(-1)
    squared[np.arange(len(values))[:, None] == bank] = np.inf
    return np.sort(squared, axis=1)[:, :k].mean(1)


def test_distance_is_to_the_nearest_others() -> None:
    values, _ = clusters(40, 60)
    rows, bank = np.arange(100), np.arange(0, 100, 3)
    found = mean_squared_distance(values, rows, values[bank], bank, k=7)
    np.testing.assert_allclose(found, by_hand(values, bank, 7), rtol=1e-3)


def test_copies_of_a_record_are_not_its_neighbours() -> None:
    values, _ = clusters(15)
    once = mean_squared_distance(values, np.arange(15), values, np.arange(15), k=2)
    ids = np.repeat(np.arange(15), 2)
    twice = mean_squared_distance(values[ids], ids, values[ids], ids, k=4)
    np.testing.assert_allclose(twice[::2], once, rtol=1e-4)


def test_alone_in_the_bank_there_is_no_distance() -> None:
    values, _ = clusters(1)
    assert mean_squared_distance(values, np.array([5]), values, np.array([5])).tolist() == [0.0]


def test_a_bank_is_thinned_evenly() -> None:
    assert thinned(np.arange(10), 4).tolist() == [0, 3, 6, 9]
    assert thinned(np.arange(3), 4).tolist() == [0, 1, 2]


def test_whitening_makes_directions_alike() -> None:
    values, keys = clusters(4000, 4000)
    values[:, 0] *= 5
    white = whitener(values, rows_of(keys))
    np.testing.assert_allclose(white, white.T, atol=1e-5)
    before, after = values[:4000].std(axis=0), (values[:4000] @ white).std(axis=0)
    assert before.max() > 4 * before.min()
    assert after.max() < 2 * after.min()


def test_with_little_history_whitening_is_hardly_more_than_a_scale() -> None:
    values, keys = clusters(3)
    white = whitener(values, rows_of(keys))
    assert np.abs(white - white[0, 0] * np.eye(8)).max() < 0.2 * white[0, 0]


def test_a_fault_that_lasts_does_not_hide_among_its_own_kind() -> None:
    """Far more records of it than neighbours, all alike."""
    values, keys = clusters(300)
    values[100:125] = 8 + 0.1 * values[100:125]
    kept, _ = clean(values, keys)
    assert not kept[100:125].any()


def test_a_sensor_with_little_history_is_measured_against_the_fleet() -> None:
    values, keys = clusters(80, MIN_HISTORY - 1)
    values[80:] = values[: MIN_HISTORY - 1] + 0.01  # at home in the fleet, if far from each other
    strange = values.copy()
    strange[80:] += 30
    assert clean(values, keys)[0][80:].mean() > 0.7
    assert clean(strange, keys)[0][80:].mean() < 0.3


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
    np.testing.assert_allclose(distance_again, distance[order], rtol=1e-3)


@pytest.mark.parametrize("n", [2, 3, MIN_HISTORY])
def test_copies_and_next_to_no_history_are_all_kept(n: int) -> None:
    kept, _ = clean(np.ones((n, 4), np.float32), [A] * n)
    assert kept.all()


@pytest.mark.parametrize("n_bad", [9, 10, 11, 30, 60])
def test_a_sensor_that_is_faulty_throughout_does_not_stop_cleaning(n_bad: int) -> None:
    random = np.random.default_rng(0)
    good, bad = random.standard_normal((270, 8)), 100 * random.standard_normal((n_bad, 8))
    sensors = [("", "", "g")] * 270 + [("", "", "b")] * n_bad
    kept, distance = clean(np.concatenate([good, bad]).astype(np.float32), sensors)
    assert np.isfinite(distance).all()
    assert kept[:270].sum() >= 0.85 * 270
    assert kept[270:].sum() < n_bad


def test_what_comes_every_evening_is_kept_and_a_fault_of_a_day_is_not() -> None:
    """Ten days of 48 records: 6 each evening are unlike the rest, as are those of one night."""
    values, keys = clusters(480)
    times = np.datetime64("2024-01-01") + 30 * np.arange(480).astype("timedelta64[m]")
    evening, night = np.arange(480) % 48 >= 42, (np.arange(480) >= 200) & (np.arange(480) < 224)
    values[evening] += 6
    values[night] -= 6
    kept, _ = cleaning.clean(values, rows_of(keys, times=times))
    assert not kept[night].any()
    assert kept[evening & ~night].mean() > 0.9
    assert clean(values, keys)[0][evening].mean() < 0.8
