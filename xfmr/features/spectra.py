"""Short-time and averaged spectra: STFT, Welch PSD, the PSD in steps of 1 Hz."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from xfmr.features._batch import Array, array_module, check_sample_rate

HZ_GRID_LAST = 4000

_WELCH_SEGMENT = 4096


def stft(signals: Array, *, nperseg: int, padded: bool = True) -> Array:
    """Compute the short-time Fourier transform with a Hann window and half-overlapping segments.

    The same as `scipy.signal.stft(..., nperseg=nperseg, boundary=None, padded=padded)`: nothing is added before
    the first segment, the window is periodic, and a sine of amplitude 1 on a bin has the magnitude 1/2.

    Args:
        signals: Signals, shape (n, n_samples), float32 or float64, NumPy or CuPy.
        nperseg: Samples in a segment; even.
        padded: Append zeros to complete a last segment; otherwise the samples left over are not used.

    Returns:
        Complex spectra of the precision given, shape (n, nperseg // 2 + 1, segments).

    Raises:
        ValueError: The signals are shorter than a segment.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 2048 * seconds)
        >>> spectra = stft(tone[None], nperseg=256)
        >>> spectra.shape
        (1, 129, 63)
        >>> round(float(abs(spectra[0, 64, 0])), 3)  # 2048 Hz in steps of 32 Hz
        0.5
    """
    xp = array_module(signals)
    segments = _segments(signals, nperseg=nperseg, padded=padded)
    window = _hann(nperseg)
    scaled = xp.asarray(window / window.sum(), dtype=signals.dtype)
    return _fft(xp).rfft(segments * scaled, axis=-1).swapaxes(1, 2)


def welch(signals: Array, *, sample_rate_hz: float) -> Array:
    """Estimate the one-sided power spectral density by Welch's method.

    Segments of 4096 samples, half overlapping, Hann window, transform of the signal's own length (zero-padded),
    no detrending: as `scipy.signal.welch(x, fs, nperseg=4096, nfft=n_samples, detrend=False)`. The sum over the
    bins times their spacing is the mean square of the windowed segments, which for broadband signals is that of the
    signal (Parseval). P. D. Welch, IEEE Trans. Audio Electroacoust. 15 (1967) 70-73.

    Args:
        signals: Signals, shape (n, n_samples), float32 or float64, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        PSD in (signal unit)^2 / Hz, shape (n, n_samples // 2 + 1); bins are sample_rate_hz / n_samples apart.

    Raises:
        ValueError: The signals are shorter than a segment, or the sample rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> hum = np.sin(2 * np.pi * 100 * seconds)
        >>> psd = welch(hum[None], sample_rate_hz=8192)
        >>> psd.shape, int(psd[0].argmax())  # bins are 1 Hz apart
        ((1, 4097), 100)
        >>> round(float(psd.sum()), 3)  # the mean square
        0.5
    """
    check_sample_rate(sample_rate_hz)
    return power_density(welch_spectra(signals), sample_rate_hz=sample_rate_hz, n_samples=signals.shape[1])


def welch_spectra(signals: Array) -> Array:
    """Compute the spectra whose power `welch` averages.

    Args:
        signals: Signals, shape (n, n_samples), float32 or float64, NumPy or CuPy.

    Returns:
        Complex spectra of the windowed segments, shape (n, segments, n_samples // 2 + 1).

    Raises:
        ValueError: The signals are shorter than a segment.
    """
    xp = array_module(signals)
    segments = _segments(signals, nperseg=_WELCH_SEGMENT, padded=False)
    windowed = segments * xp.asarray(_hann(_WELCH_SEGMENT), dtype=signals.dtype)
    return _fft(xp).rfft(windowed, n=signals.shape[1], axis=-1)


def power_density(spectra: Array, *, sample_rate_hz: float, n_samples: int) -> Array:
    """Average the spectra of `welch_spectra` into a one-sided power spectral density.

    Args:
        spectra: Complex spectra, shape (n, segments, n_samples // 2 + 1).
        sample_rate_hz: Sample rate in Hz.
        n_samples: Length of the signals that the spectra were computed from.

    Returns:
        PSD in (signal unit)^2 / Hz, shape (n, n_samples // 2 + 1).
    """
    psd = power(spectra).mean(axis=1)
    psd /= sample_rate_hz * (_hann(_WELCH_SEGMENT) ** 2).sum()
    # Negative frequencies fold onto the positive ones; 0 Hz and, for an even length, Nyquist have no mirror image.
    psd[:, 1 : (n_samples + 1) // 2] *= 2
    return psd


def psd_on_hz_grid(psd: Array, *, sample_rate_hz: float, n_samples: int) -> Array:
    """Interpolate a PSD at 1, 2, .. 4000 Hz, so that an index means the same frequency at every sample rate.

    The interpolation is linear over the bins within 1..4000 Hz. Below the first of these bins and above the last, the
    PSD is held constant.

    Args:
        psd: PSD, shape (n, n_samples // 2 + 1), as `welch` returns it.
        sample_rate_hz: Sample rate in Hz.
        n_samples: Length of the signals that the PSD was computed from.

    Returns:
        PSD on the grid, shape (n, 4000).

    Raises:
        ValueError: No bin lies within 1..4000 Hz.
    """
    xp = array_module(psd)
    lower, upper, weight = (xp.asarray(column) for column in _hz_grid(sample_rate_hz, n_samples))
    return psd[:, lower] * (1 - weight) + psd[:, upper] * weight


def power(spectra: Array) -> Array:
    """Return |S|^2 without the square root that `abs` would take."""
    squared = spectra.real**2
    squared += spectra.imag**2
    return squared


def _segments(signals: Array, *, nperseg: int, padded: bool) -> Array:
    """View signals as segments that overlap by half: (n, segments, nperseg)."""
    xp = array_module(signals)
    step = nperseg // 2
    n_samples = signals.shape[1]
    if n_samples < nperseg:
        raise ValueError(f"signals of {n_samples} samples are shorter than a segment of {nperseg}")
    left_over = -(n_samples - nperseg) % step
    if padded and left_over:
        signals = xp.pad(signals, ((0, 0), (0, left_over)))
    return xp.lib.stride_tricks.sliding_window_view(signals, nperseg, axis=1)[:, ::step]


def _fft(xp: Any) -> Any:
    """Return the FFT module: SciPy's for NumPy arrays, which is up to seven times as fast in float32."""
    return scipy.fft if xp is np else xp.fft


def _hann(length: int) -> npt.NDArray[np.float64]:
    """Return the periodic Hann window, as `scipy.signal.get_window` does by default."""
    return np.hanning(length + 1)[:-1]


@lru_cache(maxsize=16)
def _hz_grid(
    sample_rate_hz: float, n_samples: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the bins below and above each of 1..4000 Hz, and the weight of the upper one."""
    bin_hz = sample_rate_hz / n_samples
    first = int(np.ceil(1 / bin_hz))
    last = int(min(HZ_GRID_LAST / bin_hz, n_samples // 2))
    if first > last:
        raise ValueError(f"no bin lies within 1..{HZ_GRID_LAST} Hz at a sample rate of {sample_rate_hz} Hz")
    position = np.clip(np.arange(1, HZ_GRID_LAST + 1) / bin_hz, first, last)
    lower = np.floor(position).astype(np.int64)
    return lower, np.minimum(lower + 1, last), position - lower
