"""Spectra and mains lines, of the whole second and of its quieter parts, and what noise makes of them."""

import numpy as np
import pyarrow as pa
import pytest

from xfmr import features
from xfmr.schema import fixed_size_column
from xfmr.views.hum import HARMONIC_COLUMNS, HumView, QuietHum, WholeHum, hum_views

RATE_HZ = 8192.0


def table_of(signals: np.ndarray, *, sample_rate_hz: float = RATE_HZ) -> pa.Table:
    columns = features.feature_columns(signals, sample_rate_hz=sample_rate_hz, columns=HARMONIC_COLUMNS)
    return pa.table({name: fixed_size_column(values) for name, values in columns.items()})


def hum(mains_hz: float, *, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    t = np.arange(8192) / RATE_HZ
    lines = sum(np.sin(2 * np.pi * mains_hz * k * t + k) / k for k in (2, 4, 6, 7))
    return (lines + noise * np.random.default_rng(seed).standard_normal((3, 8192))).astype(np.float32)


@pytest.fixture(params=[WholeHum, QuietHum])
def view(request: pytest.FixtureRequest) -> HumView:
    made: HumView = request.param(50.0, RATE_HZ)
    return made


@pytest.mark.parametrize("kind", [WholeHum, QuietHum])
@pytest.mark.parametrize(("mains_hz", "n_lines"), [(50.0, 39), (60.0, 33)])
def test_lines_stand_out_where_the_hum_is(kind: type[HumView], mains_hz: float, n_lines: int) -> None:
    view = kind(mains_hz, RATE_HZ)
    values = view.values(table_of(hum(mains_hz)))
    lines = values[:, view.n_bands :]
    assert lines.shape == (3, n_lines)
    assert values.shape == (3, view.width)
    loudest = np.sort(lines.argsort(axis=1)[:, -4:], axis=1)
    np.testing.assert_array_equal(loudest, [[3, 7, 11, 13]] * 3)  # half orders 4, 8, 12, 14 of mains


def test_a_gain_changes_nothing_once_free_of_level(view: HumView) -> None:
    signals = hum(50.0)
    soft, loud = (view.level_free(view.values(table_of(g * signals))) for g in (1, 2))
    np.testing.assert_allclose(loud, soft, atol=0.02)  # at 0 Hz little but the floor is left


@pytest.mark.parametrize("below_db", [30.0, 20.0, 10.0])
def test_noise_is_foretold_without_the_signal(view: HumView, below_db: float) -> None:
    signals = hum(50.0, noise=0.003)
    sigma = np.sqrt(signals.var(axis=1, keepdims=True) * 10 ** (-below_db / 10))
    noisy = signals + sigma * np.random.default_rng(5).standard_normal(signals.shape)
    measured, clean = (view.values(table_of(x.astype(np.float32))) for x in (noisy, signals))
    foretold = view.with_noise(clean, below_db=below_db)
    assert np.abs(np.median(measured - foretold, axis=1)).max() < 0.2  # lines have no bias of the log
    assert np.abs(np.median(measured - clean, axis=1)).min() > 0.3


def test_a_dead_record_has_finite_values(view: HumView) -> None:
    values = view.values(table_of(np.zeros((2, 8192), np.float32)))
    assert np.isfinite(values).all()
    assert np.isfinite(view.with_noise(values, below_db=20)).all()


@pytest.mark.parametrize("rate", [4000.0, 51200.0])
def test_other_rates_have_lines_as_far_as_they_are_resolved(rate: float) -> None:
    for view in hum_views(mains_hz=50, sample_rate_hz=rate):
        values = view.values(table_of(hum(50.0), sample_rate_hz=rate))
        assert values.shape == (3, view.width)
        assert np.isfinite(values).all()
