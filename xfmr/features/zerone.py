"""Zerone: 1200 statistics of a signal in time, short-time magnitude, power density and high-frequency share."""

from itertools import pairwise
from types import MappingProxyType

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module
from xfmr.features._chunk import SignalChunk, of_chunks

TIME_STATISTICS = (
    "mean",
    "rms",
    "variance",
    "standard_deviation",
    "maximum",
    "minimum",
    "peak_to_peak",
    "kurtosis",
    "skewness",
    "zero_crossing_rate",
    "mean_absolute",
    "crest_factor",
    "impulse_factor",
    "margin_factor",
    "waveform_factor",
)
N_FRAMES = 127
HF_THRESHOLDS_HZ = (1000, 2000, 3000, 4000)

ZERONE_PANELS = MappingProxyType(
    {"time": slice(0, 15), "stft": slice(15, 142), "psd": slice(142, 1192), "hf": slice(1192, 1200)}
)
"""Slice of the vector that holds each kind of value."""
ZERONE_LENGTH = 1200

_STFT_SEGMENT = 128
_SINGLE_HZ = 1000
_BANDED_HZ = 2000
_BAND_WIDTH_HZ = 20
_TINY = 1e-12


def zerone(signals: Array, *, sample_rate_hz: float) -> Float32Array:
    """Compute the 1200 Zerone values of each signal.

    In this order (`zerone_names` names each):

    - time, 15: the statistics `TIME_STATISTICS` of the raw signal. Moments are those of the population; kurtosis is
      m4 / m2^2 and skewness m3 / s^3; with A the mean of |x|, crest is max / RMS, impulse max / A, margin
      max / (mean of x^4)^(1/4), waveform RMS / A. A ratio with a zero denominator is 0.
    - stft, 127: mean magnitude of each of the first 127 segments (128 samples, half overlapping), without the DC
      bin; 0 for segments beyond the end of the signal.
    - psd, 1050: Welch PSD at 1..1000 Hz, then its mean in 50 bands of 20 Hz from 1001 to 2000 Hz.
    - hf, 8: for each threshold 1000, 2000, 3000, 4000 Hz, two ratios of the PSD at 1..4000 Hz: its mean at and above
      the threshold to its mean below, then its power (trapezoid rule) at and above the threshold to all its power.

    The values of stft, psd and hf are those of the signal minus its mean.

    Args:
        signals: Signals, shape (n, n_samples) with at least 4096 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        Values, float32, shape (n, 1200), finite.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> hum = np.sin(2 * np.pi * 100 * seconds)
        >>> values = zerone(hum[None], sample_rate_hz=8192)
        >>> values.shape
        (1, 1200)
        >>> named = dict(zip(zerone_names(), values[0].tolist()))
        >>> round(named["rms"], 3), round(named["crest_factor"], 3)
        (0.707, 1.414)
        >>> max(range(1, 1001), key=lambda hz: named[f"psd_{hz}_hz"])
        100
    """
    return of_chunks(zerone_of, signals, sample_rate_hz=sample_rate_hz)


def zerone_names() -> tuple[str, ...]:
    """Return the names of the 1200 values, such as `stft_frame_3`, `psd_100_hz`, `hf_mean_ratio_2000_hz`.

    Example:
        >>> names = zerone_names()
        >>> names[1], names[15], names[241], names[1192]
        ('rms', 'stft_frame_0', 'psd_100_hz', 'hf_mean_ratio_1000_hz')
    """
    bands = range(_SINGLE_HZ + 1, _BANDED_HZ, _BAND_WIDTH_HZ)
    return (
        *TIME_STATISTICS,
        *(f"stft_frame_{frame}" for frame in range(N_FRAMES)),
        *(f"psd_{hz}_hz" for hz in range(1, _SINGLE_HZ + 1)),
        *(f"psd_{low}_{low + _BAND_WIDTH_HZ - 1}_hz" for low in bands),
        *(f"hf_{kind}_ratio_{hz}_hz" for hz in HF_THRESHOLDS_HZ for kind in ("mean", "power")),
    )


def zerone_of(chunk: SignalChunk) -> Array:
    """Compute `zerone` of a chunk."""
    parts = [_time_statistics(chunk), _frame_magnitudes(chunk), _psd_values(chunk.psd_hz)]
    return array_module(chunk.signals).concatenate([*parts, _high_frequency_ratios(chunk.psd_hz)], axis=1)


def _time_statistics(chunk: SignalChunk) -> Array:
    x, centred = chunk.exact, chunk.centred
    xp = array_module(x)
    square = x**2
    centred_square = centred**2
    variance = chunk.variance[:, 0]
    deviation = xp.sqrt(variance)
    rms = xp.sqrt(square.mean(axis=1))
    mean_absolute = xp.abs(x).mean(axis=1)
    maximum, minimum = x.max(axis=1), x.min(axis=1)
    crossings = xp.diff(xp.signbit(x).astype(np.int8), axis=1) != 0
    values = [
        chunk.mean[:, 0],
        rms,
        variance,
        deviation,
        maximum,
        minimum,
        maximum - minimum,
        _ratio((centred_square**2).mean(axis=1), variance**2),
        _ratio((centred_square * centred).mean(axis=1), deviation**3),
        crossings.mean(axis=1),
        mean_absolute,
        _ratio(maximum, rms),
        _ratio(maximum, mean_absolute),
        _ratio(maximum, (square**2).mean(axis=1) ** 0.25),
        _ratio(rms, mean_absolute),
    ]
    return xp.stack(values, axis=1)


def _frame_magnitudes(chunk: SignalChunk) -> Array:
    xp = array_module(chunk.signals)
    magnitude = xp.sqrt(chunk.stft_power(_STFT_SEGMENT)[:, 1:, :N_FRAMES]).mean(axis=1) * chunk.peak
    return xp.pad(magnitude, ((0, 0), (0, N_FRAMES - magnitude.shape[1])))


def _psd_values(psd_hz: Array) -> Array:
    single, banded = psd_hz[:, :_SINGLE_HZ], psd_hz[:, _SINGLE_HZ:_BANDED_HZ]
    bands = banded.reshape(len(psd_hz), -1, _BAND_WIDTH_HZ).mean(axis=2)
    return array_module(psd_hz).concatenate([single, bands], axis=1)


def _high_frequency_ratios(psd_hz: Array) -> Array:
    """Compare the PSD at and above each threshold with that below, from sums over the bands between thresholds."""
    xp = array_module(psd_hz)
    first_bins = [0, *(threshold - 1 for threshold in HF_THRESHOLDS_HZ)]
    bands = [psd_hz[:, begin:end].sum(axis=1) for begin, end in pairwise([*first_bins, psd_hz.shape[1]])]
    total = _trapezoid(sum(bands), psd_hz)
    values = []
    for band, begin in enumerate(first_bins[1:], start=1):
        below, above = sum(bands[:band]), sum(bands[band:])
        values.append(above / (psd_hz.shape[1] - begin) / (below / begin + _TINY))
        values.append(_trapezoid(above, psd_hz[:, begin:]) / (total + _TINY))
    return xp.stack(values, axis=1)


def _trapezoid(total: Array, psd_hz: Array) -> Array:
    """Integrate a PSD in steps of 1 Hz by the trapezoid rule, given its sum."""
    return total - (psd_hz[:, 0] + psd_hz[:, -1]) / 2


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Return the ratio, or 0 where the denominator (never negative) is 0."""
    xp = array_module(numerator)
    positive = denominator > 0
    return xp.where(positive, numerator / xp.where(positive, denominator, 1), 0)
