"""Bilinear resize with OpenCV's conventions, as matrix products."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import Array, Float32Array, array_module


def bilinear_positions(n_in: int, n_out: int) -> tuple[npt.NDArray[np.int64], Float32Array]:
    """Return the input position that each output pixel of a bilinear resize reads, along one axis.

    Pixel centres are aligned: output i reads the input at (i + 1/2) n_in / n_out - 1/2, clipped to the axis.
    Shrinking does not average (no antialiasing). These are the conventions of OpenCV's
    `resize(..., interpolation=INTER_LINEAR)`.

    Args:
        n_in: Length of the input axis.
        n_out: Length of the output axis.

    Returns:
        The index of the lower of the two input neighbours, and the weight (0..1) of the upper one; both of shape
        (n_out,). If the lower one is the last of the axis, the weight is 0.
    """
    position = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    lower = np.floor(position).astype(np.int64)
    return lower, (position - lower).astype(np.float32)


def resize(planes: Array, *, height: int, width: int) -> Float32Array:
    """Resize planes bilinearly, as OpenCV does.

    Args:
        planes: Planes, float32, shape (n, rows, columns).
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        Resized planes, float32, shape (n, height, width).
    """
    xp = array_module(planes)
    rows, columns = planes.shape[1:]
    if columns != width:
        planes = planes @ xp.asarray(_bilinear_matrix(columns, width).T)
    if rows != height:
        planes = xp.asarray(_bilinear_matrix(rows, height)) @ planes
    resized: Float32Array = planes
    return resized


@lru_cache(maxsize=32)
def _bilinear_matrix(n_in: int, n_out: int) -> Float32Array:
    """Return the (n_out, n_in) matrix that resizes one axis."""
    lower, fraction = bilinear_positions(n_in, n_out)
    output = np.arange(n_out)
    matrix = np.zeros((n_out, n_in), np.float32)
    matrix[output, lower] = 1 - fraction
    matrix[output, np.minimum(lower + 1, n_in - 1)] += fraction
    return matrix
