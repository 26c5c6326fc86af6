"""Raster image of Zerone: one grey tile per value, always at the same place."""

from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import Array, Float32Array, array_module, in_chunks
from xfmr.features.zerone import ZERONE_LENGTH, ZERONE_PANELS

RASTER_SIZE = 150

_VALUES_PER_ROW = {"time": 16, "stft": 16, "psd": 32, "hf": 8}
_TILE_HEIGHT, _TILE_WIDTH = 2, 3
_CHUNK = 256


def raster_image(zerone: Array, *, low: Array, high: Array) -> Float32Array:
    """Draw Zerone vectors as grey images.

    Values are min-max scaled by the range of the training set and clipped to 0..1. `raster_layout` gives the value
    that each pixel shows; blank pixels are 0.

    Args:
        zerone: Zerone vectors, shape (n, 1200), NumPy or CuPy.
        low: Smallest value of each feature in the training set, shape (1200,).
        high: Largest value of each feature in the training set, shape (1200,). A feature of zero range is drawn as 0.

    Returns:
        Images in 0..1, float32, shape (n, 3, 150, 150), the three channels equal.

    Raises:
        ValueError: The vectors do not hold 1200 values.

    Example:
        >>> import numpy as np
        >>> images = raster_image(np.full((1, 1200), 0.5), low=np.zeros(1200), high=np.ones(1200))
        >>> images.shape
        (1, 3, 150, 150)
        >>> float(images[0, 0, 0, 0]), float(images[0, 0, -1, -1])  # the first value, and a blank pixel
        (0.5, 0.0)
    """
    if zerone.ndim != 2 or zerone.shape[1] != ZERONE_LENGTH:
        raise ValueError(f"zerone must have the shape (n, {ZERONE_LENGTH}), got {zerone.shape}")
    return in_chunks(partial(_raster_image, low=low, high=high), zerone, size=_CHUNK)


@lru_cache(maxsize=1)
def raster_layout() -> npt.NDArray[np.int64]:
    """Return which Zerone value each pixel of the raster image shows.

    Four panels from top to bottom (time, stft, psd, hf) hold 16, 16, 32 and 8 values per row. They start in the top
    left corner of the image. Each value is a tile 3 pixels wide and 2 high.

    Returns:
        Index into the Zerone vector, or -1 where the image is blank; shape (150, 150), read-only.
    """
    layout = np.full((RASTER_SIZE, RASTER_SIZE), -1, np.int64)
    top = 0
    for panel, values in ZERONE_PANELS.items():
        tiles = np.kron(_panel_rows(values, _VALUES_PER_ROW[panel]), np.ones((_TILE_HEIGHT, _TILE_WIDTH), np.int64))
        height, width = tiles.shape
        layout[top : top + height, :width] = tiles
        top += height
    layout.setflags(write=False)
    return layout


def _panel_rows(values: slice, per_row: int) -> npt.NDArray[np.int64]:
    """Wrap the indices of a panel into rows; the last row is padded with -1."""
    index = np.arange(values.start, values.stop)
    return np.pad(index, (0, -len(index) % per_row), constant_values=-1).reshape(-1, per_row)


def _raster_image(zerone: Array, *, low: Array, high: Array) -> Array:
    xp = array_module(zerone)
    low, high = xp.asarray(low, np.float64), xp.asarray(high, np.float64)
    span = high - low
    scaled = xp.clip((zerone - low) / xp.where(span > 0, span, np.inf), 0, 1).astype(np.float32)
    blank = xp.zeros((len(scaled), 1), np.float32)  # the last column, which index -1 reads
    grey = xp.concatenate([scaled, blank], axis=1)[:, xp.asarray(raster_layout())]
    return xp.repeat(grey[:, None], 3, axis=1)
