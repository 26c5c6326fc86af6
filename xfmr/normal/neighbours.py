"""Distances to the nearest records of a bank, for cleaning and for the bank detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 5
# Most records of a sensor that others are measured against: without a limit, cost is quadratic in the history.
BANK_SIZE = 1000
_CHUNK = 2048


def thinned(rows: NDArray[np.int64], size: int = BANK_SIZE) -> NDArray[np.int64]:
    """Return at most ``size`` of the rows, evenly spaced."""
    return rows if len(rows) <= size else rows[np.linspace(0, len(rows) - 1, size).astype(np.int64)]


def mean_squared_distance(
    values: NDArray[np.float32],
    ids: NDArray[np.int64],
    bank: NDArray[np.float32],
    bank_ids: NDArray[np.int64],
    *,
    k: int = NEIGHBOURS,
) -> NDArray[np.float32]:
    """Return the mean squared distance to the k nearest of a bank, except those with the same id.

    Args:
        values: Shape (n, d).
        ids: Their identities, shape (n,).
        bank: Shape (m, d).
        bank_ids: Shape (m,).
        k: Number of neighbours; fewer if the bank holds fewer.

    Returns:
        Shape (n,); 0 if the bank holds nothing but the record itself.
    """
    distance = np.zeros(len(values), dtype=np.float32)
    squares = np.square(bank).sum(axis=1)
    for start in range(0, len(values), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        squared = np.square(values[chunk]).sum(axis=1)[:, None] + squares - 2 * values[chunk] @ bank.T
        squared[ids[chunk, None] == bank_ids] = np.inf
        distance[chunk] = _mean_of_least(np.maximum(squared, 0), k)
    return distance


def _mean_of_least(squared: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return the mean of the k least finite values of each row, 0 if there is none."""
    if squared.shape[1] > k:
        squared = np.partition(squared, k - 1, axis=1)[:, :k]
    finite = np.isfinite(squared)
    mean: NDArray[np.float32] = np.where(finite, squared, 0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
    return mean
