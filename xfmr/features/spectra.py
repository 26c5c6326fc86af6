"""Short-time and averaged spectra: STFT, Welch PSD, the PSD in steps of 1 Hz, the mean log spectrum."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import (
    Array,
    Float32Array,
    array_module,
    as_signals,
    check_sample_rate,
    in_chunks,
    standardise,
)

LOG_SPECTRUM_SEGMENTS = (128, 256, 512)
LOG_SPECTRUM_LENGTH = sum(n // 2 + 1 for n in LOG_SPECTRUM_SEGMENTS)
HZ_GRID_LAST = 4000

_WELCH_SEGMENT = 4096
_PLANE_SEGMENT = 256
_POWER_FLOOR = 1e-12
_CHUNK = 16


def stft(signals: Array, *, nperseg: int, padded: bool = True) -> Array:
    """Compute the short-time Fourier transform with a Hann window and half-overlapping segments.

    The same as `scipy.signal.stft(..., nperseg=nperseg, boundary=None, padded=padded)`: nothing is added before
    the first segment, the window is periodic, and a sine of amplitude 1 on a bin has the magnitude 1/2.

    Args:
        signals: Signals, shape (n, n_samples), float32 or float64, NumPy or CuPy.
        nperseg: Samples in a segment; even.
        padded: Append zeros to fill a last segment; otherwise the samples left over are not used.

    Returns:
        Complex spectra of the precision given, shape (n, nperseg // 2 + 1, segments).

    Raises:
        ValueError: The signals are shorter than a segment.
    """
    xp = array_module(signals)
    segments = _segments(signals, nperseg=nperseg, padded=padded)
    window = _hann(nperseg)
    scaled = xp.asarray(window / window.sum(), dtype=signals.dtype)
    return xp.fft.rfft(segments * scaled, axis=-1).swapaxes(1, 2)


def welch(signals: Array, *, sample_rate_hz: float) -> Array:
    """Estimate the one-sided power spectral density by Welch's method.

    Segments of 4096 samples, half overlapping, Hann window, transform of the signal's own length (zero-padded),
    no detrending: as `scipy.signal.welch(x, fs, nperseg=4096, nfft=n_samples, detrend=False)`. The sum over the
    bins times their spacing is the mean square of the windowed segments, for broadband signals that of the
    signal (Parseval). P. D. Welch, IEEE Trans. Audio Electroacoust. 15 (1967) 70-73.

    Args:
        signals: Signals, shape (n, n_samples), float32 or float64, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        PSD in (signal unit)^2 / Hz, shape (n, n_samples // 2 + 1); bins are sample_rate_hz / n_samples apart.

    Raises:
        ValueError: The signals are shorter than a segment, or the sample rate is not positive.
    """
    check_sample_rate(sample_rate_hz)
    xp = array_module(signals)
    n_samples = signals.shape[1]
    window = _hann(_WELCH_SEGMENT)
    segments = _segments(signals, nperseg=_WELCH_SEGMENT, padded=False)
    spectra = xp.fft.rfft(segments * xp.asarray(window, dtype=signals.dtype), n=n_samples, axis=-1)
    psd = _power(spectra).mean(axis=1) / (sample_rate_hz * (window**2).sum())
    # Negative frequencies fold onto the positive ones; zero and, in an even length, Nyquist have no mirror image.
    psd[:, 1 : (n_samples + 1) // 2] *= 2
    return psd


def psd_on_hz_grid(psd: Array, *, sample_rate_hz: float, n_samples: int) -> Array:
    """Read a PSD at 1, 2, .. 4000 Hz, so that a value means the same frequency at every sample rate.

    Linear interpolation over the bins that lie within 1..4000 Hz; the first and the last of these are held constant
    below and above.

    Args:
        psd: PSD, shape (n, n_samples // 2 + 1), as `welch` returns it.
        sample_rate_hz: Sample rate in Hz.
        n_samples: Length of the signals behind the PSD.

    Returns:
        PSD on the grid, shape (n, 4000).

    Raises:
        ValueError: No bin lies within 1..4000 Hz.
    """
    xp = array_module(psd)
    lower, upper, weight = (xp.asarray(part) for part in _hz_grid(sample_rate_hz, n_samples))
    return psd[:, lower] * (1 - weight) + psd[:, upper] * weight


def log_spectrum(signals: Array, *, sample_rate_hz: float) -> Float32Array:
    """Compute the mean log power spectrum at three resolutions, over the whole band.

    For segments of 128, 256 and 512 samples in turn: log10(max(|STFT|^2, 1e-12)) of the signal minus its mean,
    averaged over the segments. The mean of the logarithm, not the logarithm of the mean: a transient that
    fills one segment does not drown the noise floor of the others.

    Args:
        signals: Signals, shape (n, n_samples) with at least 512 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz. It gives the values their frequencies (bin k of a segment of N samples is
            at k * sample_rate_hz / N) and does not change them.

    Returns:
        Decades of power, float32, shape (n, 451): 65 + 129 + 257 bins from 0 Hz to Nyquist.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.
    """
    check_sample_rate(sample_rate_hz)
    return in_chunks(_log_spectrum, as_signals(signals), size=_CHUNK)


def stft_plane(signals: Array) -> Float32Array:
    """Compute the STFT magnitude of the standardised signals, segments of 256 samples.

    Args:
        signals: Signals, shape (n, n_samples) with at least 256 samples, NumPy or CuPy.

    Returns:
        Magnitudes, float32, shape (n, 129, segments): 63 segments for 8192 samples. Row k is at
        k * sample_rate_hz / 256, the lowest frequency first.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples).
    """
    return in_chunks(_stft_plane, as_signals(signals), size=_CHUNK)


def _log_spectrum(signals: Array) -> Array:
    xp = array_module(signals)
    exact = signals.astype(np.float64)
    centred = exact - exact.mean(axis=1, keepdims=True)
    power = (_power(stft(centred, nperseg=nperseg, padded=False)) for nperseg in LOG_SPECTRUM_SEGMENTS)
    return xp.concatenate([xp.log10(xp.maximum(p, _POWER_FLOOR)).mean(axis=2) for p in power], axis=1)


def _stft_plane(signals: Array) -> Array:
    return array_module(signals).abs(stft(standardise(signals), nperseg=_PLANE_SEGMENT))


def _power(spectra: Array) -> Array:
    """Return |S|^2 without the square root that `abs` would take."""
    return spectra.real**2 + spectra.imag**2


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


def _hann(length: int) -> npt.NDArray[np.float64]:
    """Return the periodic Hann window (`scipy.signal.get_window`'s kind, for spectra)."""
    return np.hanning(length + 1)[:-1]


@lru_cache(maxsize=16)
def _hz_grid(
    sample_rate_hz: float, n_samples: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the bins around 1..4000 Hz and the weight of the upper one."""
    bin_hz = sample_rate_hz / n_samples
    first = int(np.ceil(1 / bin_hz))
    last = int(min(HZ_GRID_LAST / bin_hz, n_samples // 2))
    if first > last:
        raise ValueError(f"no bin lies within 1..{HZ_GRID_LAST} Hz at a sample rate of {sample_rate_hz} Hz")
    position = np.clip(np.arange(1, HZ_GRID_LAST + 1) / bin_hz, first, last)
    lower = np.floor(position).astype(np.int64)
    return lower, np.minimum(lower + 1, last), position - lower
