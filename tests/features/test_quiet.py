"""The PSD of the quieter parts of a record: known answers, and the same as SciPy computes segment by segment."""

import numpy as np
import pytest
from scipy import signal as sps

from xfmr import features
from xfmr.features import N_FINE_BINS, QUIET_PSD_LENGTH

RATE_HZ = 8192.0


def quiet(signals, sample_rate_hz=RATE_HZ):
    return features.quiet_psd(np.atleast_2d(signals).astype(np.float32), sample_rate_hz=sample_rate_hz)


def noise(n=8192, *, seed=0):
    return np.random.default_rng(seed).standard_normal(n)


def by_hand(x, rate):
    """Average the spectrogram's quieter segments."""
    _, _, density = sps.spectrogram(x - x.mean(), rate, window="hann", nperseg=2048, noverlap=1024, detrend=False)
    density = density[1:]
    density[-1] *= 2  # SciPy does not double Nyquist
    loudness = np.log10(density.reshape(256, 4, -1).mean(axis=1)).mean(axis=0)
    psd = density[:, np.argsort(loudness)[: max(1, density.shape[1] // 2)]].mean(axis=1)
    return np.log10(np.concatenate([psd[:N_FINE_BINS], psd[N_FINE_BINS:].reshape(-1, 4).mean(axis=1)]))


@pytest.mark.parametrize("rate", [4000.0, 8192.0, 51200.0])
@pytest.mark.parametrize("n_samples", [4096, 8192, 10000, 65536])
def test_agrees_with_scipy_at_any_rate_and_length(n_samples, rate):
    x = (noise(n_samples) + 0.3).astype(np.float32)
    found = quiet(x, rate)
    assert found.shape == (1, QUIET_PSD_LENGTH)
    np.testing.assert_allclose(found[0], by_hand(x.astype(np.float64), rate), atol=1e-5)


def test_white_noise_is_flat_at_its_density():
    psd = 10 ** quiet(np.stack([noise(seed=seed) for seed in range(20)])).astype(float)
    assert psd.mean() == pytest.approx(2 / RATE_HZ, rel=0.05)
    assert psd.mean(axis=0).std() < 0.3 * psd.mean()


def test_a_sine_stands_at_its_frequency_with_its_power():
    t = np.arange(8192) / RATE_HZ
    psd = 10 ** quiet(0.1 * np.sin(2 * np.pi * 400 * t))[0].astype(float)
    assert psd[:N_FINE_BINS].argmax() == 400 / 4 - 1
    assert psd[:N_FINE_BINS].sum() * 4 == pytest.approx(0.1**2 / 2, rel=1e-3)


def test_a_knock_leaves_it_as_it_was():
    """A third of a second of loud ringing, which raises the mean of the whole second by more than a decade."""
    x = 0.01 * noise()
    knocked = x.copy()
    knocked[2900:5500] += np.sin(2 * np.pi * 1500 * np.arange(2600) / RATE_HZ) * np.hanning(2600)
    np.testing.assert_allclose(quiet(knocked), quiet(x), atol=1.2)
    assert abs(np.median(quiet(knocked) - quiet(x))) < 0.1
    whole = [features.welch(s[None], sample_rate_hz=RATE_HZ) for s in (knocked, x)]
    assert np.log10(whole[0] / whole[1])[0, 1500] > 3


def test_what_goes_on_is_seen():
    x = 0.01 * noise()
    t = np.arange(8192) / RATE_HZ
    rattle = 0.05 * np.sin(2 * np.pi * 1500 * t) * (np.sin(2 * np.pi * 100 * t) > 0.9)
    assert (quiet(x + rattle) - quiet(x)).max() > 1


@pytest.mark.parametrize("value", [0.0, -3.7, 1e30])
def test_a_constant_is_blank(value):
    assert np.all(quiet(np.full(8192, value)) == -20)


def test_a_gain_adds_to_every_value():
    x = noise()
    np.testing.assert_allclose(quiet(10 * x) - quiet(x), 2, atol=1e-4)
