"""The bank finds what its sensor never did, whatever gain and noise, and never a record by itself."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xfmr import features
from xfmr.detectors.bank import BankDetector, fit_bank
from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.history.clean import History, bank_values, clean_bank_history
from xfmr.networks.checkpoint import from_bytes, to_bytes
from xfmr.normal import Rows
from xfmr.normal.daytime import DailyProfile
from xfmr.schema import fixed_size_column
from xfmr.views.hum import HARMONIC_COLUMNS, hum_views

RATE_HZ = 8192.0
SENSORS = ("s1", "s2")
VIEWS = hum_views(mains_hz=50, sample_rate_hz=RATE_HZ)


def signals_of(n: int, *, seed: int, sensor: int = 0, fault: float = 0.0, gain: float = 1.0) -> np.ndarray:
    """A hum whose mix belongs to the sensor and drifts with the load; a fault adds odd harmonics."""
    rng = np.random.default_rng([seed, sensor])
    t = np.arange(8192) / RATE_HZ
    load = rng.uniform(0.7, 1.3, (n, 1))
    mix = np.random.default_rng(sensor).uniform(0.2, 1, 8)
    hum = sum(mix[k] * load ** (k % 3) * np.sin(2 * np.pi * 100 * (k + 1) * t + k) for k in range(8))
    rattle = sum(np.sin(2 * np.pi * (50 + 100 * k) * t + 2 * k) for k in range(6))
    return (gain * (hum + fault * rattle + 0.03 * rng.standard_normal((n, 8192)))).astype(np.float32)


def table_of(signals: np.ndarray, sensor: str = "s1", first_id: int = 0) -> pa.Table:
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=HARMONIC_COLUMNS)
    n = len(signals)
    identity = {
        "fleet": pa.array([""] * n),
        "unit": pa.array([""] * n),
        "sensor_id": pa.array([sensor] * n),
        "data_time": pa.array(pd.date_range("2024-01-01", periods=n, freq="2min", tz="UTC")),
        "record_id": pa.array(np.arange(first_id, first_id + n)),
    }
    return pa.table({**identity, **{name: fixed_size_column(values) for name, values in columns.items()}})


def history_of(table: pa.Table) -> History:
    return clean_bank_history(bank_values(table, VIEWS), Rows.of(table), VIEWS[0])


@pytest.fixture(scope="module")
def past() -> pa.Table:
    return pa.concat_tables(table_of(signals_of(60, seed=1, sensor=i), s, 100 * i) for i, s in enumerate(SENSORS))


@pytest.fixture(scope="module")
def bank(past: pa.Table) -> BankDetector:
    return fit_bank(history_of(past), VIEWS, size=1000)


@pytest.mark.parametrize("sensor", [0, 1])
def test_faults_score_above_what_is_normal(bank: BankDetector, sensor: int) -> None:
    normal = bank.score(table_of(signals_of(30, seed=2, sensor=sensor), SENSORS[sensor], 1000))
    faulty = bank.score(table_of(signals_of(30, seed=3, sensor=sensor, fault=0.05), SENSORS[sensor], 2000))
    assert faulty.min() > normal.max()
    assert abs(np.median(normal)) < 2


def test_another_gain_scores_the_same(bank: BankDetector) -> None:
    signals = signals_of(10, seed=4)
    loud = bank.score(table_of(1.4 * signals, first_id=3000))
    np.testing.assert_allclose(loud, bank.score(table_of(signals, first_id=3000)), atol=1e-2)


def test_noise_is_explained(bank: BankDetector) -> None:
    signals = signals_of(20, seed=5)
    sigma = signals.std() * 10 ** (-20 / 20)
    noisy = signals + sigma * np.random.default_rng(0).standard_normal(signals.shape).astype(np.float32)
    faulty = bank.score(table_of(signals_of(20, seed=6, fault=0.3), first_id=5000))
    assert np.median(bank.score(table_of(noisy, first_id=4000))) < np.median(faulty)


def test_what_has_no_hum_is_no_noisy_record(bank: BankDetector) -> None:
    """Noise hides what records differ by, so nothing at all lies near the noisy copies of all of them."""
    rng = np.random.default_rng(0)
    silent, impulse = np.zeros((2, 8192), np.float32), np.zeros((1, 8192), np.float32)
    impulse[0, 4000] = 1
    noise = 0.1 * rng.standard_normal((5, 8192)).astype(np.float32)
    least_bits = 1e-5 * rng.integers(-1, 2, (5, 8192)).astype(np.float32)
    normal = bank.score(table_of(signals_of(30, seed=12), first_id=12_000))
    for signals in (silent, impulse, noise, least_bits):
        assert bank.score(table_of(signals, first_id=13_000)).min() > normal.max() + 5


def test_nor_is_it_for_a_quiet_sensor_among_noisy_ones() -> None:
    rng = np.random.default_rng(0)
    hums = {name: signals_of(60, seed=1, sensor=i) for i, name in enumerate(("quiet", "n1", "n2", "n3"))}
    noises = {name: 3 * rng.standard_normal((60, 8192)).astype(np.float32) for name in ("n1", "n2", "n3")}
    past = [table_of(hum + noises.get(name, 0), name, 100 * i) for i, (name, hum) in enumerate(hums.items())]
    bank = fit_bank(history_of(pa.concat_tables(past)), VIEWS, size=1000)
    noise = rng.standard_normal((10, 8192)).astype(np.float32)
    assert bank.score(table_of(noise, "quiet", 9000)).min() > 18


def test_a_file_of_another_version_is_refused(bank: BankDetector) -> None:
    model = from_bytes(bank.to_bytes(), "a", kind="bank")
    tensors = {name: tensor for name, tensor in model.tensors.items() if name != "quiet.noise_ratios"}
    with pytest.raises(XfmrError, match=r"^runs/a was written by another version of xfmr[^\n]*'noise_ratios'"):
        detector_from_bytes(to_bytes(tensors, model.description), "runs/a")


def test_a_knock_is_no_fault(bank: BankDetector) -> None:
    """Three tenths of a second of loud ringing, as of a tap changer; a rattle in all the second is one."""
    signals = signals_of(20, seed=9)
    knock = 0.5 * np.sin(2 * np.pi * 1700 * np.arange(2400) / RATE_HZ) * np.hanning(2400)
    rattle = 0.05 * np.sin(2 * np.pi * 1700 * np.arange(8192) / RATE_HZ)
    knocked, rattling = signals.copy(), signals + rattle.astype(np.float32)
    knocked[:, 3000:5400] += knock.astype(np.float32)
    table = table_of(knocked, first_id=8000)
    scores, seen_whole = bank.score(table), bank.whole.score(bank.whole.view.values(table), Rows.of(table))
    assert np.median(scores) < 0.25 * np.median(bank.score(table_of(rattling, first_id=9000)))
    assert np.median(scores) < 0.25 * np.median(seen_whole)


def test_blows_in_all_the_second_are_seen_whole(bank: BankDetector) -> None:
    blows = np.zeros(8192, np.float32)
    blows[::400] = 1.0
    table = table_of(signals_of(20, seed=13) + blows, first_id=14_000)
    np.testing.assert_array_equal(bank.score(table), bank.whole.score(bank.whole.view.values(table), Rows.of(table)))
    assert bank.score(table).min() > 10


def test_what_a_sensor_scores_daily_at_an_hour_is_no_fault(bank: BankDetector) -> None:
    table = table_of(signals_of(40, seed=10), first_id=11_000)  # from midnight on, 2 minutes apart
    excess = np.where(np.arange(24) == 1, 5, 0)[None].astype(np.float32)
    views = (replace(known, profile=DailyProfile((("", "", "s1"),), excess)) for known in (bank.whole, bank.quiet))
    lower = bank.score(table) - replace(bank, **dict(zip(("whole", "quiet"), views, strict=True))).score(table)
    np.testing.assert_allclose(lower, np.where(np.arange(40) >= 30, 5, 0), atol=1e-5)


def test_the_history_is_scored_as_if_it_were_new(bank: BankDetector, past: pa.Table) -> None:
    """Else it would look better than anything new can, and thresholds would call the new abnormal."""
    known = bank.score(past.slice(0, 60))
    new = bank.score(table_of(signals_of(60, seed=7), first_id=6000))
    assert abs(np.median(known) - np.median(new)) < 1


def test_an_unknown_sensor_is_compared_with_the_fleet(bank: BankDetector) -> None:
    scores = bank.score(table_of(signals_of(5, seed=8), "never seen", 7000))
    assert np.isfinite(scores).all()


def test_its_size_is_shared_out_over_the_sensors(past: pa.Table) -> None:
    small = fit_bank(history_of(past), VIEWS, size=30)
    assert sorted(len(own) for own in small.whole.rows.by_sensor().values()) == [15, 15]
    least = fit_bank(history_of(past), VIEWS, size=2)
    assert sorted(len(own) for own in least.whole.rows.by_sensor().values()) == [10, 10]


def test_a_small_bank_knows_how_far_its_few_records_are_from_new_ones(past: pa.Table) -> None:
    small = fit_bank(history_of(past), VIEWS, size=20)
    scores = small.score(table_of(signals_of(60, seed=14), first_id=15_000))
    assert abs(np.median(scores)) < 1


def test_its_file_gives_back_the_same_scores(bank: BankDetector, past: pa.Table) -> None:
    copy = detector_from_bytes(bank.to_bytes(), "a")
    np.testing.assert_array_equal(copy.score(past), bank.score(past))
    np.testing.assert_array_equal(copy.history_ids, bank.history_ids)
    assert copy.to_bytes() == bank.to_bytes()


def test_no_rows_have_no_scores(bank: BankDetector, past: pa.Table) -> None:
    assert bank.score(past.slice(0, 0)).shape == (0,)


def test_a_file_of_something_else_is_refused(bank: BankDetector) -> None:
    with pytest.raises(XfmrError, match="runs/a/model"):
        detector_from_bytes(bank.to_bytes()[:-50], "runs/a/model")
