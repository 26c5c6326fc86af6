"""The columns of a row: together as each by itself, and as SciPy computes them one by one, at any rate and length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import plain
from xfmr import features

RATES_HZ = (4000.0, 8192.0, 51200.0)
LENGTHS = (4096, 8192, 10000, 65536)


def vibration(n_samples, *, seed=0, offset=0.0):
    """A hum with harmonics, noise and a knock, (2, n_samples)."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_samples) / 8192
    hum = sum(np.sin(2 * np.pi * 100 * k * t + k) / k for k in range(1, 12))
    knock = np.exp(-(((t - 0.3) / 0.002) ** 2)) * np.sin(2 * np.pi * 2700 * t)
    loud = hum + 2 * knock + 0.1 * rng.standard_normal(n_samples) + offset
    return np.stack([loud, 0.05 * hum + 0.02 * rng.standard_normal(n_samples)]).astype(np.float32)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_columns_are_the_features(n_samples):
    signals = vibration(n_samples)
    together = features.feature_columns(signals, sample_rate_hz=12000)
    np.testing.assert_array_equal(together["zerone"], features.zerone(signals, sample_rate_hz=12000))
    np.testing.assert_array_equal(together["log_spectrum"], features.log_spectrum(signals, sample_rate_hz=12000))
    np.testing.assert_array_equal(together["quiet_psd"], features.quiet_psd(signals, sample_rate_hz=12000))
    np.testing.assert_array_equal(together["health"], features.health_indices(signals, sample_rate_hz=12000))
    np.testing.assert_array_equal(together["cwt"], features.quantise(features.cwt_plane(signals)))
    np.testing.assert_array_equal(together["stft"], features.quantise(features.stft_plane(signals)))


def test_only_the_columns_asked_for():
    alone = features.feature_columns(vibration(8192), sample_rate_hz=8192, columns=["log_spectrum"])
    assert list(alone) == ["log_spectrum"]


@pytest.mark.parametrize("sample_rate_hz", RATES_HZ)
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_agree_with_scipy_at_any_rate_and_length(n_samples, sample_rate_hz):
    signals = vibration(n_samples, offset=0.3)
    ours = features.feature_columns(
        signals, sample_rate_hz=sample_rate_hz, columns=["zerone", "log_spectrum", "health"]
    )
    for row, signal in enumerate(signals.astype(np.float64)):
        np.testing.assert_allclose(ours["zerone"][row], plain.zerone(signal, sample_rate_hz), rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(ours["log_spectrum"][row], plain.log_spectrum(signal), rtol=1e-5)
        np.testing.assert_allclose(ours["health"][row], plain.health(signal, sample_rate_hz), rtol=1e-4)


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_spectrogram_agrees_with_scipy_at_any_length(n_samples):
    signals = vibration(n_samples)
    for plane, signal in zip(features.stft_plane(signals), signals.astype(np.float64), strict=True):
        expected = plain.spectrogram(signal)
        np.testing.assert_allclose(plane, expected, atol=1e-6 * expected.max())


def distorted(signal, *, clip, gain):
    return np.clip(gain * signal, -clip, clip).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    gain=st.sampled_from([0.0, 1e-45, 1e-38, 1e-12, 1.0, 1e12, 3e37]),
    clip=st.sampled_from([1e-45, 1e-3, 0.5, 3e38]),
    offset=st.sampled_from([0.0, -1.0, 1e6, 3e38]),
    n_samples=st.sampled_from([4096, 5000]),
)
def test_finite_signals_never_give_nan(seed, gain, clip, offset, n_samples):
    """Constants, clipped and denormal signals, and such near the end of float32's range."""
    signals = distorted(vibration(n_samples, seed=seed), clip=clip, gain=gain)
    signals = np.clip(signals.astype(np.float64) + offset, -3.4e38, 3.4e38).astype(np.float32)
    for values in features.feature_columns(signals, sample_rate_hz=8192).values():
        assert np.isfinite(values).all()
    assert np.isfinite(features.cwt_plane(signals)).all()
    assert np.isfinite(features.hetero_image(signals, sample_rate_hz=8192, size=32)).all()


@settings(max_examples=20, deadline=None)
@given(at=st.integers(0, 4095), height=st.floats(-(2.0**100), 2.0**100, width=32))
def test_an_impulse_anywhere_gives_finite_columns(at, height):
    impulse = np.zeros((1, 4096), np.float32)
    impulse[0, at] = height
    for values in features.feature_columns(impulse, sample_rate_hz=51200).values():
        assert np.isfinite(values).all()


@pytest.mark.parametrize("n_samples", [4096, 5000, 8191])
@pytest.mark.parametrize("value", [0.1, -3.7, 1e30, 3e-42])
def test_constant_signals_are_blank_at_any_length(n_samples, value):
    columns = features.feature_columns(np.full((1, n_samples), value, np.float32), sample_rate_hz=8192)
    assert not columns["cwt"].any()
    assert not columns["stft"].any()
    assert np.all(columns["log_spectrum"] == -12)
