"""Log spectra and mains lines, and what noise makes of them."""

import numpy as np
import pyarrow as pa
import pytest

from xfmr import features
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.harmonics import harmonic_values, level_free_harmonics, with_noise
from xfmr.schema import fixed_size_column

RATE_HZ = 8192.0


def table_of(signals: np.ndarray) -> pa.Table:
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=["zerone", "log_spectrum"])
    return pa.table({name: fixed_size_column(values) for name, values in columns.items()})


def hum(mains_hz: float, *, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    t = np.arange(8192) / RATE_HZ
    lines = sum(np.sin(2 * np.pi * mains_hz * k * t + k) / k for k in (2, 4, 6, 7))
    return (lines + noise * np.random.default_rng(seed).standard_normal((3, 8192))).astype(np.float32)


@pytest.mark.parametrize(("mains_hz", "n_lines"), [(50.0, 39), (60.0, 33)])
def test_lines_stand_out_where_the_hum_is(mains_hz: float, n_lines: int) -> None:
    values = harmonic_values(table_of(hum(mains_hz)), mains_hz=mains_hz)
    lines = values[:, LOG_SPECTRUM_LENGTH:]
    assert lines.shape == (3, n_lines)
    loudest = np.sort(lines.argsort(axis=1)[:, -4:], axis=1)
    np.testing.assert_array_equal(loudest, [[3, 7, 11, 13]] * 3)  # half orders 4, 8, 12, 14 of mains


def test_a_gain_changes_nothing_once_free_of_level() -> None:
    signals = hum(50.0)
    quiet, loud = (level_free_harmonics(harmonic_values(table_of(g * signals), mains_hz=50)) for g in (1, 2))
    np.testing.assert_allclose(loud, quiet, atol=0.02)  # at 0 Hz little but the floor is left


@pytest.mark.parametrize("below_db", [30.0, 20.0, 10.0])
def test_noise_is_foretold_without_the_signal(below_db: float) -> None:
    signals = hum(50.0, noise=0.003)
    sigma = np.sqrt(signals.var(axis=1, keepdims=True) * 10 ** (-below_db / 10))
    noisy = signals + sigma * np.random.default_rng(5).standard_normal(signals.shape)
    measured = harmonic_values(table_of(noisy.astype(np.float32)), mains_hz=50)
    clean = harmonic_values(table_of(signals), mains_hz=50)
    foretold = with_noise(clean, below_db=below_db, sample_rate_hz=RATE_HZ)
    assert np.abs(np.median(measured - foretold, axis=1)).max() < 0.2  # lines have no bias of the log
    assert np.abs(np.median(measured - clean, axis=1)).min() > 0.3


def test_a_dead_record_has_finite_values() -> None:
    values = harmonic_values(table_of(np.zeros((2, 8192), np.float32)), mains_hz=50)
    assert np.isfinite(values).all()
    assert np.isfinite(with_noise(values, below_db=20, sample_rate_hz=RATE_HZ)).all()
