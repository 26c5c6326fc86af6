"""The spectrum of the quieter half of a record, which a knock does not change.

The knocks of a tap changer last some tenths of a second and raise every average over the whole second; a fault of
the machine persists. So the record is cut into half-overlapping segments of 2048 samples, and Welch's average is
taken over the quieter half of them only.
"""

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module
from xfmr.features._chunk import SignalChunk, of_chunks
from xfmr.features.spectra import power, stft

QUIET_SEGMENT = 2048
N_FINE_BINS = 256
"""Bins of a segment's transform that are kept unchanged, starting with the first above 0 Hz."""
N_QUIET_BANDS = (QUIET_SEGMENT // 2 - N_FINE_BINS) // 4
QUIET_PSD_LENGTH = N_FINE_BINS + N_QUIET_BANDS

_POWER_FLOOR = 1e-20


def quiet_psd(signals: Array, *, sample_rate_hz: float) -> Float32Array:
    """Compute the power spectral density of the quieter half of a record.

    Segments of 2048 samples, half overlapping, Hann window, of the signal minus its mean. The loudness of a segment
    is the mean logarithm of its power in bands of four bins, so that a rise in all bands counts, not the strongest
    line. The PSD is the average over the quieter half of the segments: 3 of 7 for 8192 samples, more if others are
    exactly as loud.

    Args:
        signals: Signals, shape (n, n_samples) with at least 4096 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        log10 of the one-sided PSD in (signal unit)^2 / Hz, at least -20, float32, shape (n, 448): bin k < 256 is at
        (k + 1) * sample_rate_hz / 2048, 4 .. 1024 Hz at 8192 Hz; the further 192 values are the means of four bins
        each, up to Nyquist.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 512 * seconds)
        >>> knocked = np.where((seconds > 0.5) & (seconds < 0.51), 20, 1) * tone
        >>> decades = quiet_psd(np.stack([tone, knocked]), sample_rate_hz=8192)
        >>> decades.argmax(axis=1).tolist()  # 512 Hz in steps of 4 Hz, from 4 Hz
        [127, 127]
        >>> [round(float(peak), 3) for peak in decades.max(axis=1)]  # log10 of 1/2 over the window's 6 Hz
        [-1.079, -1.079]
    """
    return of_chunks(quiet_psd_of, signals, sample_rate_hz=sample_rate_hz)


def quiet_psd_of(chunk: SignalChunk) -> Array:
    """Compute `quiet_psd` of a chunk."""
    xp = array_module(chunk.signals)
    segments = power(stft(chunk.centred, nperseg=QUIET_SEGMENT, padded=False)).swapaxes(1, 2)[:, :, 1:]
    loudness = xp.log10(xp.maximum(_bands(segments), _POWER_FLOOR)).mean(axis=2)
    limit = xp.sort(loudness, axis=1)[:, max(1, segments.shape[1] // 2) - 1]
    quiet = (loudness <= limit[:, None]).astype(np.float64)
    average = (quiet[:, None, :] @ segments)[:, 0] / quiet.sum(axis=1)[:, None]
    # For a Hann window w of N samples, (sum w)^2 / sum w^2 = 2 N / 3; doubled for the negative frequencies.
    psd = average * (4 * QUIET_SEGMENT / (3 * chunk.sample_rate_hz))
    parts = [psd[:, :N_FINE_BINS], _bands(psd[:, N_FINE_BINS:])]
    return xp.log10(xp.maximum(xp.concatenate(parts, axis=1), _POWER_FLOOR))


def _bands(powers: Array) -> Array:
    """Average every four bins of the last axis."""
    return (powers[..., ::4] + powers[..., 1::4] + powers[..., 2::4] + powers[..., 3::4]) / 4
