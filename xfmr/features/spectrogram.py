"""Features of short-time spectra: the mean log spectrum and the spectrogram of the image."""

import math

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module
from xfmr.features._chunk import SignalChunk, of_chunks

LOG_SPECTRUM_SEGMENTS = (128, 256, 512)
LOG_SPECTRUM_LENGTH = sum(n // 2 + 1 for n in LOG_SPECTRUM_SEGMENTS)

_PLANE_SEGMENT = 256
_POWER_FLOOR = 1e-12
# Floor of the power, relative to the squared peak. In float32 a silent segment has between 1e-21 and 1e-20.
_ROUNDING = np.float32(1e-20)


def log_spectrum(signals: Array, *, sample_rate_hz: float) -> Float32Array:
    """Compute the mean log power spectrum at three resolutions, over the whole band.

    For segments of 128, 256 and 512 samples in turn: log10(max(|STFT|^2, 1e-12)) of the signal minus its mean,
    averaged over the segments. This is the mean of the logarithm, not the logarithm of the mean: a transient that
    fills one segment does not mask the noise floor of the others.

    Args:
        signals: Signals, shape (n, n_samples) with at least 512 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz. It does not change the values, only their frequencies: bin k of a segment
            of N samples is at k * sample_rate_hz / N.

    Returns:
        Decades of power, float32, shape (n, 451): 65 + 129 + 257 bins from 0 Hz to Nyquist.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 2048 * seconds)
        >>> decades = log_spectrum(tone[None], sample_rate_hz=8192)
        >>> decades.shape
        (1, 451)
        >>> round(float(decades[0, 32]), 3), round(float(np.log10(1 / 4)), 3)  # 2048 Hz in steps of 64 Hz
        (-0.602, -0.602)
    """
    return of_chunks(log_spectrum_of, signals, sample_rate_hz=sample_rate_hz)


def stft_plane_shape(n_samples: int) -> tuple[int, int]:
    """Return the shape of `stft_plane` for signals of a length: segments half overlap, and the last one is padded."""
    return _PLANE_SEGMENT // 2 + 1, -(-(n_samples - _PLANE_SEGMENT) // (_PLANE_SEGMENT // 2)) + 1


def stft_plane(signals: Array) -> Float32Array:
    """Compute the STFT magnitude of the standardised signals, segments of 256 samples.

    Args:
        signals: Signals, shape (n, n_samples) with at least 256 samples, NumPy or CuPy.

    Returns:
        Magnitudes, float32, shape (n, 129, segments): 63 segments for 8192 samples. Row k is at
        k * sample_rate_hz / 256, the lowest frequency first.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples).

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 2048 * seconds)
        >>> plane = stft_plane(tone[None])
        >>> plane.shape
        (1, 129, 63)
        >>> int(plane[0].mean(axis=1).argmax())  # in steps of 8192 / 256 = 32 Hz
        64
    """
    return of_chunks(stft_plane_of, signals)


def log_spectrum_of(chunk: SignalChunk) -> Array:
    """Compute `log_spectrum` of a chunk."""
    return array_module(chunk.signals).concatenate(
        [_mean_log(chunk, nperseg) for nperseg in LOG_SPECTRUM_SEGMENTS], axis=1
    )


def stft_plane_of(chunk: SignalChunk) -> Array:
    """Compute `stft_plane` of a chunk: the magnitude of the centred signals, times their gain."""
    magnitude = array_module(chunk.signals).sqrt(chunk.stft_power(_PLANE_SEGMENT))
    return magnitude * (chunk.peak * chunk.gain)[:, :, None].astype(np.float32)


def _mean_log(chunk: SignalChunk, nperseg: int) -> Array:
    xp = array_module(chunk.signals)
    filled = 2 * chunk.signals.shape[1] // nperseg - 1  # without a zero-padded last segment
    level = 2 * xp.log10(chunk.peak)  # of the centred signals, relative to `unit`
    floor = (math.log10(_POWER_FLOOR) - level).astype(np.float32)
    decades = xp.maximum(chunk.stft_power(nperseg)[:, :, :filled], _ROUNDING)
    xp.log10(decades, out=decades)
    xp.maximum(decades, floor[:, :, None], out=decades)
    return decades.mean(axis=2) + level
