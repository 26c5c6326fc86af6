"""Hetero image: scalogram, STFT and folded signal as the three channels of one image."""

import math

import numpy as np

from xfmr.features._batch import Array, Float32Array, UInt8Array, array_module, as_signals
from xfmr.features._chunk import SignalChunk, of_chunks
from xfmr.features.resampling import resize
from xfmr.features.scalogram import scalogram
from xfmr.features.spectrogram import stft_plane_of

_FOLD_COLUMNS = 256
# The log image averages a scalogram of at least this many columns, as many as a stored one has.
_LEAST_COLUMNS = 224
# Floor of the magnitudes, for a signal of unit deviation; the error of the transform itself lies below it.
_LEAST_MAGNITUDE = 1e-4


def hetero_image(signals: Array, *, sample_rate_hz: float, size: int = 224) -> Float32Array:
    """Draw each signal as an image of three channels.

    Channels: the scalogram (|CWT|, 128 scales), the STFT magnitude (segments of 256 samples) and the standardised
    signal folded into rows of 256 samples; each resized bilinearly to a square and min-max scaled.

    Args:
        signals: Signals, shape (n, n_samples) with at least 256 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz. It does not change the image, whose axes count samples.
        size: Height and width of the image.

    Returns:
        Images in 0..1, float32, shape (n, 3, size, size).

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> tone = np.sin(2 * np.pi * 2048 * seconds)
        >>> images = hetero_image(tone[None], sample_rate_hz=8192, size=129)
        >>> images.shape
        (1, 3, 129, 129)
        >>> int(images[0, 1].mean(axis=1).argmax())  # row of the STFT, in steps of 8192 / 256 = 32 Hz
        64
    """

    def draw(chunk: SignalChunk) -> Array:
        planes = scalogram(chunk.standardised, width=size), stft_plane_of(chunk).astype(np.float32)
        return _assemble(*planes, chunk.standardised, size=size)

    return of_chunks(draw, signals, sample_rate_hz=sample_rate_hz)


def log_hetero_image(signals: Array, *, sample_rate_hz: float, size: int = 224) -> Float32Array:
    """Draw each signal as an image of three channels in which quiet parts are as visible as loud ones.

    The channels are those of `hetero_image`, with two differences:

    - The two magnitudes are logarithms minus their plane's median, so that the signal's level cancels and one loud
      ridge does not leave the rest black.
    - Nothing is scaled by the record's own extremes.

    If the image has fewer columns than a stored scalogram, each column averages the logarithms at several times. A
    transient does not dominate a mean of logarithms.

    Args:
        signals: Signals, shape (n, n_samples) with at least 256 samples, NumPy or CuPy.
        sample_rate_hz: Sample rate in Hz; it does not change the image.
        size: Height and width of the image.

    Returns:
        Decades of magnitude above the plane's median, and the folded signal in standard deviations; float32, shape
        (n, 3, size, size). Magnitudes below 1e-4 of the signal's standard deviation are raised to it.

    Raises:
        ValueError: The signals are too short or not of the shape (n, n_samples), or the rate is not positive.

    Example:
        >>> import numpy as np
        >>> seconds = np.arange(8192) / 8192
        >>> loud, quiet = np.sin(2 * np.pi * 512 * seconds), 0.001 * np.sin(2 * np.pi * 2048 * seconds)
        >>> images = log_hetero_image((loud + quiet)[None], sample_rate_hz=8192, size=129)
        >>> decades = images[0, 1].mean(axis=1)  # rows of the STFT, in steps of 8192 / 256 = 32 Hz
        >>> round(float(decades[16] - decades[64]), 2)
        3.0
    """
    times = math.ceil(_LEAST_COLUMNS / size)

    def draw(chunk: SignalChunk) -> Array:
        xp = array_module(chunk.signals)
        images = xp.empty((len(chunk.signals), 3, size, size), np.float32)
        cwt = _decades(scalogram(chunk.standardised, width=times * size))
        means = cwt.reshape(*cwt.shape[:2], size, times).mean(axis=3)
        planes = means, _decades(stft_plane_of(chunk)).astype(np.float32), _fold(chunk.standardised)
        for channel, plane in enumerate(planes):
            images[:, channel] = resize(plane, height=size, width=size)
        return images

    return of_chunks(draw, signals, sample_rate_hz=sample_rate_hz)


def image_from_planes(cwt: Array, stft: Array, signals: Array, *, size: int = 224) -> Float32Array:
    """Draw the hetero image from stored planes.

    Scaling a plane does not change the image, so `quantise`d planes can be used directly. At the stored width, the
    result equals that of `hetero_image` to within the quantisation. At another size, each column of the scalogram
    mixes stored columns, whereas `hetero_image` reads other times: the ridges are the same, but their beat differs.
    Give a network images from only one of the two functions.

    Args:
        cwt: Scalograms, shape (n, 128, width), as `cwt_plane` returns them or quantised.
        stft: STFT magnitudes, shape (n, 129, segments), as `stft_plane` returns them or quantised.
        signals: The signals behind them, shape (n, n_samples).
        size: Height and width of the image.

    Returns:
        Images in 0..1, float32, shape (n, 3, size, size).

    Raises:
        ValueError: The three do not hold the same number of records, or the signals are not of the
            shape (n, n_samples).
    """
    signals = as_signals(signals)
    if not len(cwt) == len(stft) == len(signals):
        raise ValueError(f"got {len(cwt)} scalograms, {len(stft)} STFTs and {len(signals)} signals")
    return _assemble(cwt.astype(np.float32), stft.astype(np.float32), SignalChunk(signals).standardised, size=size)


def quantise(planes: Array) -> UInt8Array:
    """Scale each plane to 0..255 by its own range, for storage.

    Args:
        planes: Planes, shape (n, rows, columns).

    Returns:
        round(255 (p - min) / (max - min)), uint8, of the same shape; a constant plane is all 0.
    """
    low = planes.min(axis=(1, 2), keepdims=True)
    span = planes.max(axis=(1, 2), keepdims=True) - low
    steps: UInt8Array = array_module(planes).rint((planes - low) / (span + (span == 0)) * 255).astype(np.uint8)
    return steps


def _assemble(cwt: Array, stft: Array, standardised: Array, *, size: int) -> Float32Array:
    xp = array_module(standardised)
    images: Float32Array = xp.empty((len(standardised), 3, size, size), np.float32)
    for channel, planes in enumerate((cwt, stft, _fold(standardised))):
        images[:, channel] = _min_max(resize(planes, height=size, width=size))
    return images


def _fold(signals: Array) -> Array:
    """Fold each signal row by row into a plane of 256 columns; the last row is zero-padded."""
    missing = -signals.shape[1] % _FOLD_COLUMNS
    padded = array_module(signals).pad(signals, ((0, 0), (0, missing)))
    return padded.reshape(len(signals), padded.shape[1] // _FOLD_COLUMNS, _FOLD_COLUMNS)


def _decades(magnitudes: Array) -> Array:
    xp = array_module(magnitudes)
    decades = xp.log10(xp.maximum(magnitudes, _LEAST_MAGNITUDE))
    return decades - xp.median(decades, axis=(1, 2), keepdims=True)


def _min_max(planes: Array) -> Array:
    low = planes.min(axis=(1, 2), keepdims=True)
    high = planes.max(axis=(1, 2), keepdims=True)
    return (planes - low) / (high - low + 1e-8)
