"""The daily profile: only what comes daily, for that sensor, at that hour."""

import numpy as np
import pytest
from identities import rows_of

from xfmr.normal.daytime import DailyProfile

A, B = ("", "", "a"), ("north", "", "a")


def fortnight(sensor=A, *, days=14, minutes=45):
    times = np.datetime64("2024-06-03") + np.arange(0, days * 24 * 60, minutes).astype("timedelta64[m]")
    return [sensor] * len(times), times


def hours(times):
    return times.astype("datetime64[h]").astype(int) % 24


def usual_of(values, keys, times):
    rows = rows_of(keys, times=times)
    return DailyProfile.fit(values, rows).apply(rows)


def noise(times):
    return 0.1 * np.random.default_rng(0).standard_normal(len(times))


def test_an_evening_that_comes_daily_is_usual_at_that_hour_and_sensor():
    keys, times = fortnight()
    others, _ = fortnight(B)
    evening = (hours(times) >= 18) & (hours(times) < 22)
    values = noise(times) + 3.0 * evening
    profile = DailyProfile.fit(
        np.concatenate([values, noise(times)]), rows_of(keys + others, times=np.tile(times, 2))
    )
    usual = profile.apply(rows_of(keys, times=times))
    np.testing.assert_allclose(usual[evening], 3, atol=0.2)
    assert usual[(hours(times) > 5) & (hours(times) < 15)].max() < 0.2
    assert profile.apply(rows_of(others, times=times)).max() < 0.2
    assert not profile.apply(rows_of([("", "", "unknown")] * len(times), times=times)).any()


def test_a_fault_of_some_days_or_of_some_records_is_not_usual():
    keys, times = fortnight()
    lasting = (times > np.datetime64("2024-06-08")) & (times < np.datetime64("2024-06-12"))
    scattered = np.random.default_rng(1).random(len(times)) < 0.1
    assert usual_of(noise(times) + 9 * (lasting | scattered), keys, times).max() < 0.3


@pytest.mark.parametrize("days", [3, 4, 5, 7, 14])
def test_a_fault_that_goes_on_is_never_usual_however_long(days):
    keys, times = fortnight(days=days)
    for hours_long in range(6, 24 * days, 7):
        start = times[0] + np.timedelta64(5, "h")
        fault = (times >= start) & (times < start + np.timedelta64(hours_long, "h"))
        usual = usual_of(noise(times) + 9 * fault, keys, times)
        assert usual[fault].max() < 0.5, f"{hours_long} of {24 * days} hours"


def test_a_fault_of_a_day_does_not_hide_the_evenings_of_the_others():
    keys, times = fortnight(days=5)
    evening = (hours(times) >= 17) & (hours(times) < 22)
    fault = (times >= np.datetime64("2024-06-04T06")) & (times < np.datetime64("2024-06-05T06"))
    usual = usual_of(noise(times) + np.maximum(6 * evening, 9 * fault), keys, times)
    np.testing.assert_allclose(usual[evening & (hours(times) == 19)], 6, atol=0.5)
    assert usual[~evening & (hours(times) < 14)].max() < 0.3


def test_neither_a_gap_nor_a_wrong_clock_changes_what_is_usual():
    keys, times = fortnight(days=30)
    evening = (hours(times) >= 18) & (hours(times) < 22)
    kept = (times < np.datetime64("2024-06-08")) | (times >= np.datetime64("2024-06-25"))
    values, keys, times = (noise(times) + 3.0 * evening)[kept], keys[: kept.sum()], times[kept]
    profile = DailyProfile.fit(values, rows_of(keys, times=times))
    np.testing.assert_allclose(profile.apply(rows_of(keys, times=times))[evening[kept]], 3, atol=0.3)
    strange = np.array(["1970-01-01T00", "2261-12-31T23"], "datetime64[m]")
    with_strange = DailyProfile.fit(
        np.append(values, [9, 9]), rows_of([*keys, A, A], times=np.append(times, strange))
    )
    np.testing.assert_allclose(with_strange.excess, profile.excess, atol=0.1)


def test_two_days_tell_nothing():
    keys, times = fortnight(days=2)
    evening = hours(times) >= 18
    assert DailyProfile.fit(noise(times) + 9 * evening, rows_of(keys, times=times)).sensors == ()


def test_a_quiet_hour_is_no_debt():
    keys, times = fortnight()
    assert usual_of(noise(times) - 5.0 * (hours(times) < 6), keys, times).min() == 0


def test_neither_order_nor_resolution_matters():
    keys, times = fortnight()
    values, order = noise(times) + (hours(times) > 20), np.random.default_rng(2).permutation(len(times))
    one = DailyProfile.fit(values, rows_of(keys, times=times))
    other = DailyProfile.fit(values[order], rows_of(keys, times=times[order].astype("datetime64[ns]")))
    np.testing.assert_array_equal(one.excess, other.excess)
