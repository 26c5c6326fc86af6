"""Scalogram: magnitude of the continuous wavelet transform (CWT) at the columns that an image shows.

Only the columns that are shown
    A bilinear resize mixes the magnitudes of two neighbouring times, (1 - w) |W(s, t)| + w |W(s, t + 1)|, so it needs
    two times per column: 448 of 8192. As 0 <= w <= 1, the mix equals |(1 - w) W(s, t)| + |w W(s, t + 1)|. So the
    weights are multiplied into the wavelets' taps; a matrix product, an absolute value and a sum remain.

Decimation
    Scales from 9 on are computed from the signal at half its rate, from 17 on at a quarter, and so on, so that no
    wavelet has more than 66 taps. `_wavelets` derives the taps.

Blocks
    The positions of the columns between the samples repeat: with 8192 samples and 224 columns, every 7 columns or
    256 samples. So the taps of a block of columns serve all repeats in all records, and the matrix product has a
    good shape: (records * repeats, samples of a window) @ (samples of a window, 2 * columns * scales). If nothing
    repeats, every block of the image needs its own taps, and the plane takes about four times as long.

At 8192 samples and 224 columns, all products together take 11 MFLOP per record. W(s, t) at all times would take 1100.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import Array, Float32Array, array_module, as_signals, in_chunks
from xfmr.features._chunk import SignalChunk
from xfmr.features._wavelets import REACH, fitted_taps, half_band, n_octaves, scales_of
from xfmr.features.resampling import bilinear_positions

N_SCALES = 128

# Samples kept on each side of a decimated signal: a window extends 33 beyond the signal, a filter 18.
_MARGIN = 64
# Outputs of a decimation per row of its matrix product.
_OUTPUTS_PER_ROW = 16
# Rows of a matrix product: with more, its factors would not fit in a CPU's cache; with fewer, it is less efficient.
_ROWS = 512


class _Block(NamedTuple):
    """Columns of an octave of scales that are computed in one matrix product."""

    octave: int
    """The block reads the signal decimated by 2 ** octave."""
    scales: slice
    """Rows of the plane, from 0."""
    columns: slice
    """Columns of the plane, within one period."""
    start: int
    """First sample of the first period's window, counted from the start of the decimated signal; may be negative."""
    taps: Array
    """Shape (samples of a window, 2 * columns * scales): all lower neighbours, then all upper ones."""


def cwt_plane(signals: Array, *, width: int = 224, n_scales: int = N_SCALES) -> Float32Array:
    """Compute the scalogram at the columns of an image of the given width.

    The plane is |CWT| of the standardised signal, at the scales 1..n_scales of the real Morlet wavelet ('morl',
    centre frequency 0.8125 / scale cycles per sample), resized along time from n_samples to `width` columns with
    `resampling.bilinear_positions`. The error against the converged float64 transform is within 1e-3 of its maximum.
    The largest error measured was 1e-4 over noise, tones, chirps, impulses and real records, and 3e-4 for a step.
    The module's docstring describes the method.

    Args:
        signals: Signals, shape (n, n_samples), NumPy or CuPy.
        width: Columns of the plane.
        n_scales: Rows of the plane.

    Returns:
        Magnitudes, float32, shape (n, n_scales, width); row k is scale k + 1, smallest scale (highest frequency)
        first.

    Raises:
        ValueError: The signals are not of the shape (n, n_samples).

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 512 * seconds)
        >>> plane = cwt_plane(tone[None])
        >>> plane.shape
        (1, 128, 224)
        >>> int(plane[0].mean(axis=1).argmax()) + 1  # the scale 0.8125 * 8192 / 512
        13
    """
    signals = as_signals(signals)
    size = max(1, _ROWS // _n_periods(signals.shape[1], width, n_scales))

    def of_chunk(chunk: Array) -> Array:
        return scalogram(SignalChunk(chunk).standardised, width=width, n_scales=n_scales)

    return in_chunks(of_chunk, signals, size=size)


def scalogram(standardised: Array, *, width: int, n_scales: int = N_SCALES) -> Array:
    """Compute `cwt_plane` of one chunk of standardised signals.

    Args:
        standardised: Signals of zero mean and unit deviation, float32, shape (n, n_samples).
        width: Columns of the plane.
        n_scales: Rows of the plane.

    Returns:
        Magnitudes, float32, shape (n, n_scales, width).
    """
    xp = array_module(standardised)
    n, n_samples = standardised.shape
    periods = _n_periods(n_samples, width, n_scales)
    octaves = list(_iter_octaves(standardised, n_octaves(n_scales)))
    plane = xp.empty((n, n_scales, periods, width // periods), np.float32)
    for block in _blocks(xp, n_samples, width, n_scales):
        step = n_samples // periods >> block.octave
        rows = _windows(
            octaves[block.octave], start=block.start + _MARGIN, step=step, n_rows=periods, taps=block.taps
        )
        weighted = xp.abs(rows @ block.taps).reshape(n, periods, 2, _length(block.columns), -1)
        plane[:, block.scales, :, block.columns] = (weighted[:, :, 0] + weighted[:, :, 1]).transpose(0, 3, 1, 2)
    return plane.reshape(n, n_scales, width)


def _iter_octaves(signals: Array, n_octaves: int) -> Iterator[Array]:
    """Yield the zero-extended signals at full, half, quarter .. rate, each with a margin on both sides."""
    octave = array_module(signals).pad(signals, ((0, 0), (_MARGIN, _MARGIN)))
    yield octave
    for _ in range(n_octaves - 1):
        octave = _halved(octave)
        yield octave


def _halved(octave: Array) -> Array:
    """Filter and keep every second sample, as a product of windows with the filter at every second offset."""
    xp = array_module(octave)
    filters = _filter_bank(xp)
    length = math.ceil((octave.shape[1] - 2 * _MARGIN) / 2) + 2 * _MARGIN
    n_rows = math.ceil(length / _OUTPUTS_PER_ROW)
    # Output 0 lies _MARGIN decimated samples before the signal begins: twice as many of the octave's own samples.
    before = _MARGIN + len(half_band()) // 2
    step = 2 * _OUTPUTS_PER_ROW
    after = max(0, step * (n_rows - 1) + len(filters) - before - octave.shape[1])
    padded = xp.pad(octave, ((0, 0), (before, after)))
    rows = _windows(padded, start=0, step=step, n_rows=n_rows, taps=filters)
    return (rows @ filters).reshape(len(octave), -1)[:, :length]


def _windows(signals: Array, *, start: int, step: int, n_rows: int, taps: Array) -> Array:
    """Cut `n_rows` windows, as long as the taps and `step` apart, from each signal: (n * n_rows, window)."""
    xp = array_module(signals)
    views = xp.lib.stride_tricks.sliding_window_view(signals, len(taps), axis=1)[:, start::step]
    return xp.ascontiguousarray(views[:, :n_rows]).reshape(-1, len(taps))


@lru_cache(maxsize=8)
def _blocks(xp: Any, n_samples: int, width: int, n_scales: int) -> tuple[_Block, ...]:
    """Lay out a plane and build its taps, once per process (0.8 MB for the default image)."""
    columns = width // _n_periods(n_samples, width, n_scales)
    blocks = _iter_blocks(n_samples, width, n_scales, columns)
    return tuple(block._replace(taps=xp.asarray(block.taps)) for block in blocks)


def _n_periods(n_samples: int, width: int, n_scales: int) -> int:
    """Return how often the pattern of columns repeats; a period is a whole number of samples in every octave."""
    coarsest = 2 ** (n_octaves(n_scales) - 1)
    return math.gcd(n_samples // coarsest, width) if n_samples % coarsest == 0 else 1


def _iter_blocks(n_samples: int, width: int, n_scales: int, columns: int) -> Iterator[_Block]:
    lower, weight = bilinear_positions(n_samples, width)
    for octave in range(n_octaves(n_scales)):
        # The columns extend as far as the wavelets, so that neither dominates the window.
        extent = 2 * REACH * 2**octave
        at_once = max(1, int(extent * width / n_samples))
        for left in range(0, columns, at_once):
            shown = slice(left, min(left + at_once, columns))
            start, taps = _block_taps(octave, n_scales, lower[shown], weight[shown])
            yield _Block(octave, scales_of(octave, n_scales), shown, start, taps)


def _block_taps(
    octave: int, n_scales: int, lower: npt.NDArray[np.int64], weight: Float32Array
) -> tuple[int, Float32Array]:
    """Place the taps of some columns in one window of the decimated signal.

    Args:
        octave: The signal is decimated by 2 ** octave.
        n_scales: Rows of the whole plane.
        lower: Time of each column's lower neighbour, shape (columns,).
        weight: Weight of the upper neighbour, shape (columns,).

    Returns:
        Position of the window's first sample in the decimated signal, and the taps, shape (window, 2 * columns *
        scales).
    """
    fitted = fitted_taps(octave, n_scales)
    sample, phase = np.divmod(np.stack([lower, lower + 1]), 2**octave)
    first = sample.min()
    _, length, n_octave_scales = fitted.shape
    taps = np.zeros((int(sample.max() - first) + length, *sample.shape, n_octave_scales), np.float32)
    for neighbour, share in enumerate((1 - weight, weight)):
        for column, at in enumerate(sample[neighbour] - first):
            taps[at : at + length, neighbour, column] = share[column] * fitted[phase[neighbour, column]]
    return int(first) - REACH, taps.reshape(len(taps), -1)


@lru_cache(maxsize=2)
def _filter_bank(xp: Any) -> Array:
    """Return the half-band filter at every second offset: (window, _OUTPUTS_PER_ROW)."""
    taps = half_band()
    bank = np.zeros((2 * _OUTPUTS_PER_ROW + len(taps) - 2, _OUTPUTS_PER_ROW), np.float32)
    for output in range(_OUTPUTS_PER_ROW):
        bank[2 * output : 2 * output + len(taps), output] = taps
    return xp.asarray(bank)


def _length(span: slice) -> int:
    return int(span.stop - span.start)
