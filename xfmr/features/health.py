"""Health indices: the field's rule-based figures for a transformer's mechanical state, for people to read."""

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import Array, Float32Array, array_module, in_chunks
from xfmr.features._chunk import SignalChunk, of_chunks

HEALTH_NAMES = (
    "power_entropy",
    "determinism",
    "vibration_stability_percent",
    "high_frequency_percent",
    "health_index",
)
HEALTH_GRADES = ("normal", "attention", "abnormal", "severe")

_GRADE_LIMITS = (60.0, 80.0, 90.0)

_TINY = 1e-12
_TOP_HZ = 2000
_BAND_STEP_HZ = 50
_BAND_HALF_WIDTH_HZ = 10
_HF_FROM_HZ = 999
_LF_TO_HZ = 950
_DECIMATION = 4
_MAX_POINTS = 2048
_MAX_LAG = 64
_HIT_SQUARED_DISTANCE = 0.01
_N_WINDOWS = 50
# Largest exponent whose exponential fits in a float64, with room for the factors.
_MAX_EXPONENT = 700.0


def health_indices(signals: Array, *, sample_rate_hz: float) -> Float32Array:
    """Compute the health indices of each signal.

    - H, power entropy: entropy of the power in 20 Hz wide bands around 50, 100, .. 2000 Hz, weighted by frequency.
    - C, determinism (0..1): the signal is embedded in two dimensions, and C is the share of its recurrences at lags
      up to 64 that lie in runs of two or more.
    - V, vibration stability, percent: coefficient of variation of the maxima of 50 windows.
    - HF, percent: largest PSD value at 999..2000 Hz divided by the largest at 0..950 Hz.
    - health index, higher is worse: 100 (0.5 sH + 0.1 sC + 0.1 sV + 0.3 sHF), where each s is a fitted curve.

    The PSD is Welch's, of the raw signal. Limits in use: H >= 2.0, C <= 0.38, V >= 2 %, HF >= 5 %; for the health
    index see `health_grade`.

    Args:
        signals: Signals, shape (n, n_samples) with at least 4096 samples, NumPy or CuPy. For several sensors of one
            unit, give their energy-weighted average.
        sample_rate_hz: Sample rate in Hz.

    Returns:
        H, C, V, HF and the health index, float32, shape (n, 5), finite.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> hum, line = np.sin(2 * np.pi * 100 * seconds), np.sin(2 * np.pi * 1000 * seconds)
        >>> indices = health_indices((hum + 0.5 * line)[None], sample_rate_hz=8192)
        >>> indices.shape
        (1, 5)
        >>> round(float(indices[0, HEALTH_NAMES.index("high_frequency_percent")]), 1)
        25.0
    """
    return of_chunks(health_of, signals, sample_rate_hz=sample_rate_hz)


def health_grade(health_index: Array) -> npt.NDArray[np.int64]:
    """Grade health indices: up to 60 normal, up to 80 attention, up to 90 abnormal, above 90 severe.

    Args:
        health_index: Health index, any shape: the last column of `health_indices`.

    Returns:
        Indices into `HEALTH_GRADES`, integers of the same shape.

    Example:
        >>> import numpy as np
        >>> [HEALTH_GRADES[grade] for grade in health_grade(np.array([55.0, 80.0, 85.0, 95.0]))]
        ['normal', 'attention', 'abnormal', 'severe']
    """
    xp = array_module(health_index)
    grades: npt.NDArray[np.int64] = xp.searchsorted(xp.asarray(_GRADE_LIMITS), health_index, side="left")
    return grades


def health_of(chunk: SignalChunk) -> Array:
    """Compute `health_indices` of a chunk."""
    xp = array_module(chunk.signals)
    from_zero_hz = xp.pad(chunk.raw_psd_hz[:, :_TOP_HZ], ((0, 0), (1, 0)))  # P(0) = 0, so that column f is f Hz
    entropy = _power_entropy(from_zero_hz)
    determinism = _determinism(chunk.signals)
    stability = _stability_percent(chunk.exact)
    high_frequency = _high_frequency_percent(from_zero_hz)
    index = _health_index(entropy, determinism, stability, high_frequency)
    return xp.stack([entropy, determinism, stability, high_frequency, index], axis=1)


def _power_entropy(psd_hz: Array) -> Array:
    """Return the entropy of the frequency-weighted band powers, from the PSD at 0..2000 Hz."""
    xp = array_module(psd_hz)
    centre = np.arange(_BAND_STEP_HZ, _TOP_HZ + 1, _BAND_STEP_HZ)
    upper = np.minimum(centre + _BAND_HALF_WIDTH_HZ, _TOP_HZ)
    cumulative = xp.cumsum(psd_hz, axis=1) / (psd_hz.sum(axis=1, keepdims=True) + _TINY)
    energy = cumulative[:, xp.asarray(upper)] - cumulative[:, xp.asarray(centre - _BAND_HALF_WIDTH_HZ)]
    weighted = energy * xp.asarray(centre / _TOP_HZ)
    share = weighted / (weighted.sum(axis=1, keepdims=True) + _TINY)
    # p ln p tends to 0 with p.
    return -(share * xp.log(xp.where(share > 0, share, 1))).sum(axis=1)


def _determinism(signals: Array) -> Array:
    """Return the share of recurrence hits that lie in runs of two or more along a lag."""
    # One record at a time: its 64 lags fill the cache. Differences of float32 values need hardly more than float32.
    return in_chunks(_recurrence_runs, signals[:, ::_DECIMATION][:, :_MAX_POINTS], size=1)


def _recurrence_runs(y: Array) -> Array:
    """Compute the determinism of points, float32, shape (n, points), over all lags at once."""
    xp = array_module(y)
    n, n_points = y.shape
    beyond = xp.pad(y, ((0, 0), (0, _MAX_LAG)), constant_values=np.inf)  # no hit
    later = xp.lib.stride_tricks.sliding_window_view(beyond, n_points, axis=1)[:, 1:]
    with np.errstate(over="ignore"):
        squared = later - y[:, None]
        squared *= squared
        # The first and the last column hold no hit, so that every hit has two neighbours.
        hit = xp.zeros((n, _MAX_LAG, n_points + 1), bool)
        hit[:, :, 1:-1] = squared[:, :, :-1] + squared[:, :, 1:] <= _HIT_SQUARED_DISTANCE
    pair = hit[:, :, :-1] & hit[:, :, 1:]
    in_run = pair[:, :, :-1] | pair[:, :, 1:]
    return _count(in_run) / xp.maximum(_count(hit), 1)


def _count(flags: Array) -> Array:
    """Count the set flags of each record. The 64 lags are summed in bytes, which are added many at a time."""
    return flags.view(np.uint8).sum(axis=1, dtype=np.uint8).sum(axis=1)


def _stability_percent(x: Array) -> Array:
    width = x.shape[1] // _N_WINDOWS
    maxima = x[:, : width * _N_WINDOWS].reshape(len(x), _N_WINDOWS, width).max(axis=2)
    return 100 * maxima.std(axis=1) / (maxima.mean(axis=1) + _TINY)


def _high_frequency_percent(psd_hz: Array) -> Array:
    high = psd_hz[:, _HF_FROM_HZ:].max(axis=1)
    return 100 * high / (psd_hz[:, : _LF_TO_HZ + 1].max(axis=1) + _TINY)


def _health_index(entropy: Array, determinism: Array, stability: Array, high_frequency: Array) -> Array:
    """Combine the four indices through their fitted curves."""
    v, h = stability / 100, high_frequency / 100
    s_entropy = _bell(entropy, 0.5671, 3.1, 0.5895) + _bell(entropy, 0.9038, 2.147, 0.945)
    s_determinism = _bell(determinism, 0.3972, -0.08728, 0.09103) + _bell(determinism, 0.9079, 0.08263, 0.2975)
    s_stability = 0.9412 * _exp(0.3344 * v) - 0.9361 * _exp(-57.31 * v)
    s_high_frequency = 0.9552 * _exp(0.1019 * h) - 0.489 * _exp(-43.76 * h)
    return 100 * (0.5 * s_entropy + 0.1 * s_determinism + 0.1 * s_stability + 0.3 * s_high_frequency)


def _bell(x: Array, height: float, centre: float, width: float) -> Array:
    return height * array_module(x).exp(-(((x - centre) / width) ** 2))


def _exp(exponent: Array) -> Array:
    xp = array_module(exponent)
    return xp.exp(xp.minimum(exponent, _MAX_EXPONENT))
