"""The bank finds what its sensor never did, whatever gain and noise, and never a record by itself."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xfmr import features
from xfmr.cleaning import clean
from xfmr.detectors import detector_from_bytes
from xfmr.detectors.bank import BankDetector, fit_bank
from xfmr.errors import XfmrError
from xfmr.harmonics import harmonic_values, level_free_harmonics
from xfmr.history import CleanHistory, History
from xfmr.normal import Standardiser
from xfmr.schema import fixed_size_column

RATE_HZ = 8192.0
SENSORS = ("s1", "s2")


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
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=["zerone", "log_spectrum"])
    n = len(signals)
    identity = {
        "fleet": pa.array([""] * n),
        "sensor_id": pa.array([sensor] * n),
        "data_time": pa.array(pd.date_range("2024-01-01", periods=n, freq="2min", tz="UTC")),
        "record_id": pa.array(np.arange(first_id, first_id + n)),
    }
    return pa.table({**identity, **{name: fixed_size_column(values) for name, values in columns.items()}})


def history_of(table: pa.Table) -> CleanHistory:
    values = harmonic_values(table, mains_hz=50)
    history = History(values, table.select(["fleet", "sensor_id", "data_time", "record_id"]).to_pandas())
    free = level_free_harmonics(values)
    standardiser = Standardiser.fit(free, history.keys)
    kept, _ = clean(standardiser.apply(free, history.keys), history.keys)
    return CleanHistory(history.only(kept), standardiser, history.rows[~kept])


@pytest.fixture(scope="module")
def past() -> pa.Table:
    return pa.concat_tables(table_of(signals_of(60, seed=1, sensor=i), s, 100 * i) for i, s in enumerate(SENSORS))


@pytest.fixture(scope="module")
def bank(past: pa.Table) -> BankDetector:
    return fit_bank(history_of(past), mains_hz=50, sample_rate_hz=RATE_HZ, size=1000)


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


def test_noise_is_explained_at_a_price(bank: BankDetector) -> None:
    signals = signals_of(20, seed=5)
    sigma = signals.std() * 10 ** (-20 / 20)
    noisy = signals + sigma * np.random.default_rng(0).standard_normal(signals.shape).astype(np.float32)
    faulty = bank.score(table_of(signals_of(20, seed=6, fault=0.3), first_id=5000))
    assert np.median(bank.score(table_of(noisy, first_id=4000))) < np.median(faulty)


def test_the_history_is_scored_as_if_it_were_new(bank: BankDetector, past: pa.Table) -> None:
    """Else it would look better than anything new can, and thresholds would call the new abnormal."""
    known = bank.score(past.slice(0, 60))
    new = bank.score(table_of(signals_of(60, seed=7), first_id=6000))
    assert abs(np.median(known) - np.median(new)) < 1


def test_an_unknown_sensor_is_compared_with_the_fleet(bank: BankDetector) -> None:
    scores = bank.score(table_of(signals_of(5, seed=8), "never seen", 7000))
    assert np.isfinite(scores).all()


def test_its_size_is_shared_out_over_the_sensors(past: pa.Table) -> None:
    small = fit_bank(history_of(past), mains_hz=50, sample_rate_hz=RATE_HZ, size=30)
    assert sorted(small.keys.count(("", sensor)) for sensor in SENSORS) == [15, 15]
    least = fit_bank(history_of(past), mains_hz=50, sample_rate_hz=RATE_HZ, size=2)
    assert sorted(least.keys.count(("", sensor)) for sensor in SENSORS) == [10, 10]


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
