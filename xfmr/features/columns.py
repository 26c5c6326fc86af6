"""The stored features of a record, computed together so that shared intermediate results are computed once."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xfmr.features._batch import Array, array_module, as_signals, check_sample_rate, chunks, to_float32
from xfmr.features._chunk import SignalChunk, records_in_chunk
from xfmr.features.health import HEALTH_NAMES, health_of
from xfmr.features.images import quantise
from xfmr.features.quiet import QUIET_PSD_LENGTH, quiet_psd_of
from xfmr.features.scalogram import N_SCALES, scalogram
from xfmr.features.spectrogram import LOG_SPECTRUM_LENGTH, log_spectrum_of, stft_plane_of, stft_plane_shape
from xfmr.features.zerone import ZERONE_LENGTH, zerone_of

STORED_WIDTH = 224
"""Columns of a stored scalogram."""


@dataclass(frozen=True)
class FeatureColumn:
    """One stored feature of a record.

    Args:
        compute: Computes it from a chunk of n records, shape (n, ...).
        shape: Shape of a record's values, from the length of its signal in samples.
        planes: True for planes scaled to 0..255, uint8; False for vectors, float32.
    """

    compute: Callable[[SignalChunk], Array]
    shape: Callable[[int], tuple[int, ...]]
    planes: bool = False


def _vector(compute: Callable[[SignalChunk], Array], length: int) -> FeatureColumn:
    return FeatureColumn(lambda chunk: to_float32(compute(chunk)), lambda n_samples: (length,))


def _cwt_of(chunk: SignalChunk) -> Array:
    return quantise(scalogram(chunk.standardised, width=STORED_WIDTH))


def _stft_of(chunk: SignalChunk) -> Array:
    return quantise(to_float32(stft_plane_of(chunk)))


FEATURE_COLUMNS: Mapping[str, FeatureColumn] = MappingProxyType(
    {
        "zerone": _vector(zerone_of, ZERONE_LENGTH),
        "log_spectrum": _vector(log_spectrum_of, LOG_SPECTRUM_LENGTH),
        "quiet_psd": _vector(quiet_psd_of, QUIET_PSD_LENGTH),
        "health": _vector(health_of, len(HEALTH_NAMES)),
        "cwt": FeatureColumn(_cwt_of, lambda n_samples: (N_SCALES, STORED_WIDTH), planes=True),
        "stft": FeatureColumn(_stft_of, stft_plane_shape, planes=True),
    }
)
"""All stored features. A new one is an entry here; the schema of `RUN/features` follows from this table."""


def feature_columns(
    signals: Array, *, sample_rate_hz: float, columns: Collection[str] = tuple(FEATURE_COLUMNS)
) -> dict[str, Array]:
    """Compute several features of each signal at once.

    The values are those of `zerone`, `log_spectrum`, `quiet_psd` and `health_indices`, and those of `cwt_plane` and
    `stft_plane`, each `quantise`d.

    Args:
        signals: Signals, shape (n, n_samples) with at least 4096 samples, NumPy or CuPy; n is at least 1.
        sample_rate_hz: Sample rate in Hz.
        columns: Names from `FEATURE_COLUMNS`.

    Returns:
        For each name an array whose first axis is the record, NumPy or CuPy as given: `zerone` (n, 1200),
        `log_spectrum` (n, 451), `quiet_psd` (n, 448) and `health` (n, 5) in float32, `cwt` (n, 128, 224) and `stft`
        (n, 129, segments) in uint8.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> hum = np.sin(2 * np.pi * 100 * seconds)
        >>> features = feature_columns(hum[None], sample_rate_hz=8192, columns=["zerone", "stft"])
        >>> {name: (values.shape, str(values.dtype)) for name, values in features.items()}
        {'zerone': ((1, 1200), 'float32'), 'stft': ((1, 129, 63), 'uint8')}
    """
    check_sample_rate(sample_rate_hz)
    signals = as_signals(signals)
    by_chunk: dict[str, list[Array]] = {name: [] for name in columns}
    for chunk in chunks(signals, size=records_in_chunk(signals)):
        shared = SignalChunk(chunk, sample_rate_hz)
        for name, values in by_chunk.items():
            values.append(FEATURE_COLUMNS[name].compute(shared))
    return {name: array_module(signals).concatenate(values) for name, values in by_chunk.items()}
