"""The scalogram against PyWavelets' own transform in float64."""

import numpy as np
import pytest
import pywt

from xfmr.features import N_SCALES, cwt_plane
from xfmr.features.resampling import bilinear_positions


def reference_plane(signal, *, width):
    z = signal.astype(np.float64)
    z = (z - z.mean()) / (z.std() + 1e-8)
    full, _ = pywt.cwt(z, np.arange(1, N_SCALES + 1), "morl", precision=18, method="fft")
    lower, weight = bilinear_positions(len(z), width)
    upper = np.minimum(lower + 1, len(z) - 1)
    return np.abs(full[:, lower]) * (1 - weight) + np.abs(full[:, upper]) * weight


@pytest.mark.parametrize("width", [224, 64, 101])
def test_agrees_with_pywavelets(varied_signals, width):
    planes = cwt_plane(varied_signals, width=width)
    assert planes.shape == (len(varied_signals), N_SCALES, width)
    assert planes.dtype == np.float32
    for plane, signal in zip(planes, varied_signals, strict=True):
        expected = reference_plane(signal, width=width)
        assert np.abs(plane - expected).max() <= 1e-3 * expected.max()


@pytest.mark.parametrize(("n_samples", "width"), [(1000, 224), (4096, 4096), (300, 512)])
def test_other_lengths_agree_with_pywavelets(varied_signals, n_samples, width):
    signal = varied_signals[:1, :n_samples]
    expected = reference_plane(signal[0], width=width)
    assert np.abs(cwt_plane(signal, width=width)[0] - expected).max() <= 1e-3 * expected.max()


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
