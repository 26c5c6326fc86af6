"""The scalogram against the closed form of the transform, and that against PyWavelets."""

import numpy as np
import pytest
import pywt
from scipy.special import erf

from xfmr.features import N_SCALES, cwt_plane
from xfmr.features.resampling import bilinear_positions


def wavelet_integral(t):
    """Integrate exp(-u^2 / 2) cos(5 u) up to t."""
    return (np.sqrt(np.pi / 2) * np.exp(-12.5) * (1 + erf((t - 5j) / np.sqrt(2)))).real


def transform(z, *, n_scales=N_SCALES):
    """Every scale at every time, float64: the signal held from sample to sample, against the wavelet."""
    size = 2 ** int(np.ceil(np.log2(len(z) + 16 * n_scales)))
    spectrum = np.fft.rfft(z, size)
    rows = []
    for scale in range(1, n_scales + 1):
        k = np.arange(-8 * scale, 8 * scale)
        kernel = np.zeros(size)
        kernel[-k] = np.sqrt(scale) * (wavelet_integral((k + 1) / scale) - wavelet_integral(k / scale))
        rows.append(np.fft.irfft(spectrum * np.fft.rfft(kernel), size)[: len(z)])
    return np.array(rows)


def standardised(signal):
    z = signal.astype(np.float64)
    return (z - z.mean()) / (z.std() + 1e-8)


def reference_plane(signal, *, width, n_scales=N_SCALES):
    full = np.abs(transform(standardised(signal), n_scales=n_scales))
    lower, weight = bilinear_positions(len(signal), width)
    upper = np.minimum(lower + 1, len(signal) - 1)
    return full[:, lower] * (1 - weight) + full[:, upper] * weight


def assert_within(planes, signals, tolerance, *, width, n_scales=N_SCALES):
    assert planes.shape == (len(signals), n_scales, width)
    assert planes.dtype == np.float32
    for plane, signal in zip(planes, signals, strict=True):
        expected = reference_plane(signal, width=width, n_scales=n_scales)
        assert np.abs(plane - expected).max() <= tolerance * expected.max()


def test_the_reference_is_what_pywavelets_tends_to(varied_signals):
    for signal in varied_signals:
        z = standardised(signal)
        expected = np.abs(transform(z))
        full, _ = pywt.cwt(z, np.arange(1, N_SCALES + 1), "morl", precision=22, method="fft")
        assert np.abs(np.abs(full) - expected).max() <= 5e-4 * expected.max()


@pytest.mark.parametrize("width", [224, 64, 101])
def test_agrees_with_the_transform(varied_signals, width):
    assert_within(cwt_plane(varied_signals, width=width), varied_signals, 4e-4, width=width)


def test_agrees_on_tones_of_any_frequency():
    frequencies = np.linspace(0.003, 0.47, 24)  # cycles a sample; above, no scale answers to a tone
    tones = np.cos(2 * np.pi * frequencies[:, None] * np.arange(8192) + 1).astype(np.float32)
    assert_within(cwt_plane(tones), tones, 2e-4, width=224)


def test_agrees_on_recordings(golden):
    signals = golden["signals"][:12]
    assert_within(cwt_plane(signals), signals, 2e-4, width=224)


@pytest.mark.parametrize("position", [0, 1, 100, 4095, 8191])
def test_agrees_on_impulses_anywhere(position):
    impulse = np.zeros((1, 8192), np.float32)
    impulse[0, position] = 1
    assert_within(cwt_plane(impulse), impulse, 2e-4, width=224)


@pytest.mark.parametrize(
    ("n_samples", "width", "n_scales"),
    [
        (1000, 224, 128),
        (4096, 4096, 128),
        (300, 512, 128),
        (8193, 99, 100),
        (10000, 224, 40),
        (8192, 64, 200),
        (64, 3, 1),
    ],
)
def test_agrees_at_any_length_width_and_number_of_scales(n_samples, width, n_scales):
    signals = np.random.default_rng(3).standard_normal((2, n_samples)).astype(np.float32)
    planes = cwt_plane(signals, width=width, n_scales=n_scales)
    assert_within(planes, signals, 2e-4, width=width, n_scales=n_scales)


def test_long_records_agree():
    signals = np.random.default_rng(4).standard_normal((1, 65536)).astype(np.float32)
    assert_within(cwt_plane(signals), signals, 2e-4, width=224)


def test_a_record_does_not_depend_on_its_batch(varied_signals):
    together = cwt_plane(np.tile(varied_signals, (9, 1)))
    alone = cwt_plane(varied_signals[3:4])
    np.testing.assert_allclose(together[3::5], np.repeat(alone, 9, axis=0), atol=1e-5)


@pytest.mark.parametrize("scale", [8, 33, 100])
def test_sine_peaks_at_its_scale(scale):
    cycles_per_sample = 0.8125 / scale
    sine = np.sin(2 * np.pi * cycles_per_sample * np.arange(8192), dtype=np.float32)[None]
    ridge = cwt_plane(sine)[0, :, 40:-40].mean(axis=1)
    assert abs(int(ridge.argmax()) + 1 - scale) <= 1


def test_impulse_is_brightest_at_its_time():
    impulse = np.zeros((1, 8192), np.float32)
    impulse[0, 2048] = 1
    columns = cwt_plane(impulse)[0].sum(axis=0)
    assert abs(int(columns.argmax()) - 224 // 4) <= 1


@pytest.mark.parametrize("level", [0.0, 0.25, -0.1])
def test_constant_signal_is_blank(level):
    assert not cwt_plane(np.full((1, 8192), level, np.float32)).any()
