"""Spectra against SciPy, and figures known beforehand."""

import numpy as np
import pytest
import scipy.signal

from xfmr.features import LOG_SPECTRUM_LENGTH, log_spectrum, stft, stft_plane, welch
from xfmr.features.spectra import psd_on_hz_grid


@pytest.mark.parametrize("nperseg", [128, 256, 512])
@pytest.mark.parametrize("n_samples", [8192, 5000])
@pytest.mark.parametrize("padded", [True, False])
def test_stft_agrees_with_scipy(varied_signals, nperseg, n_samples, padded):
    x = varied_signals[:, :n_samples].astype(np.float64)
    _, _, expected = scipy.signal.stft(x, nperseg=nperseg, noverlap=nperseg // 2, boundary=None, padded=padded)
    np.testing.assert_allclose(stft(x, nperseg=nperseg, padded=padded), expected, atol=1e-13)


def test_stft_keeps_single_precision(varied_signals):
    assert stft(varied_signals, nperseg=128).dtype == np.complex64


@pytest.mark.parametrize("sample_rate_hz", [4000.0, 8192.0, 51200.0])
@pytest.mark.parametrize("n_samples", [8192, 5001])
def test_welch_agrees_with_scipy(varied_signals, sample_rate_hz, n_samples):
    x = varied_signals[:, :n_samples].astype(np.float64)
    _, expected = scipy.signal.welch(x, sample_rate_hz, nperseg=4096, noverlap=2048, nfft=n_samples, detrend=False)
    np.testing.assert_allclose(welch(x, sample_rate_hz=sample_rate_hz), expected, rtol=1e-9, atol=1e-18)


def test_welch_psd_integrates_to_the_power():
    """Parseval: the PSD of a sine of amplitude A and of noise of variance v holds A^2 / 2 + v."""
    t = np.arange(8192) / 8192
    noise = np.random.default_rng(3).standard_normal((1, 8192))
    x = 3 * np.sin(2 * np.pi * 700 * t)[None] + noise
    psd = welch(x, sample_rate_hz=8192)
    assert psd.sum() == pytest.approx(3**2 / 2 + 1, rel=0.02)


def test_welch_weighs_windowed_power_exactly(varied_signals):
    x = varied_signals[:1].astype(np.float64)
    window = scipy.signal.get_window("hann", 4096)
    power = [(window * x[0, start : start + 4096]) ** 2 for start in (0, 2048, 4096)]
    expected = np.sum(power) / 3 / (window**2).sum()
    bin_hz = 12000 / 8192
    assert welch(x, sample_rate_hz=12000).sum() * bin_hz == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("sample_rate_hz", [4000.0, 12000.0, 51200.0, 44100.0])
def test_hz_grid_interpolates_between_inner_bins(sample_rate_hz):
    frequency = np.fft.rfftfreq(8192, 1 / sample_rate_hz)
    psd = np.random.default_rng(5).random((2, len(frequency)))
    inner = (frequency >= 1) & (frequency <= 4000)
    hz = np.arange(1, 4001)
    expected = [np.interp(hz, frequency[inner], row[inner]) for row in psd]
    np.testing.assert_allclose(
        psd_on_hz_grid(psd, sample_rate_hz=sample_rate_hz, n_samples=8192), expected, rtol=1e-9
    )


def test_hz_grid_needs_a_bin():
    with pytest.raises(ValueError, match="no bin lies within"):
        psd_on_hz_grid(np.ones((1, 4097)), sample_rate_hz=1.0, n_samples=8192)


def test_impulse_has_a_flat_log_spectrum():
    impulse = np.zeros((1, 8192), np.float32)
    impulse[0, 4000] = 1
    resolutions = np.split(log_spectrum(impulse, sample_rate_hz=8192)[0], [65, 65 + 129])
    for bins in resolutions:
        assert np.ptp(bins[2:]) < 1e-3  # the first two hold the window's image of the removed mean


def test_log_spectrum_of_a_sine_peaks_at_its_frequency():
    sine = np.sin(2 * np.pi * 1024 * np.arange(8192) / 8192, dtype=np.float32)[None]
    resolutions = np.split(log_spectrum(sine, sample_rate_hz=8192)[0], [65, 65 + 129])
    for bins, nperseg in zip(resolutions, (128, 256, 512), strict=True):
        assert bins.argmax() == 1024 * nperseg // 8192
        assert bins.max() == pytest.approx(np.log10(1 / 4), abs=1e-5)


def test_log_spectrum_is_the_mean_of_the_log():
    x = np.random.default_rng(11).standard_normal((1, 8192)).astype(np.float32)
    louder = log_spectrum(10 * x, sample_rate_hz=8192)
    np.testing.assert_allclose(louder - log_spectrum(x, sample_rate_hz=8192), 2, atol=1e-5)
    burst = x.copy()
    burst[0, 4000:4100] *= 1000  # six decades in power, in some 2 of 127 segments
    raised = log_spectrum(burst, sample_rate_hz=8192) - log_spectrum(x, sample_rate_hz=8192)
    assert raised[:, 2:65].max() < 0.3


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_log_spectrum_of_a_constant_is_the_floor(level):
    flat = np.full((2, 8192), level, np.float32)
    np.testing.assert_array_equal(log_spectrum(flat, sample_rate_hz=8192), np.full((2, LOG_SPECTRUM_LENGTH), -12))


def test_stft_plane_sees_the_standardised_signal(varied_signals):
    plane = stft_plane(varied_signals)
    assert plane.shape == (len(varied_signals), 129, 63)
    assert plane.dtype == np.float32
    np.testing.assert_allclose(stft_plane(3 + 50 * varied_signals)[:3], plane[:3], atol=1e-4)


def test_short_signals_are_refused():
    with pytest.raises(ValueError, match="shorter than a segment of 512"):
        log_spectrum(np.zeros((1, 511), np.float32), sample_rate_hz=8192)


@pytest.mark.parametrize("sample_rate_hz", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_sample_rates_are_refused(sample_rate_hz):
    with pytest.raises(ValueError, match="sample_rate_hz"):
        log_spectrum(np.zeros((1, 8192), np.float32), sample_rate_hz=sample_rate_hz)
