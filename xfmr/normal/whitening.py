"""Directions in which a fleet's healthy records vary count less: whitening by a shrunk covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xfmr.normal.standardise import SensorKey, rows_by_key

# Weight of the identity in the covariance: as many records as 4 a dimension, and never less than 0.3. Chosen by
# leaving one load out of the gearbox history and on synthetic fleets; nothing in 0.2 .. 0.5 and 2 .. 8 stands out.
_IDENTITY_RECORDS = 4.0
_LEAST_IDENTITY = 0.3


def sensor_means(
    values: NDArray[np.float32], keys: Sequence[SensorKey], sensors: Sequence[SensorKey]
) -> NDArray[np.float32]:
    """Return the mean of each sensor, and below them the mean of all: (sensors + 1, d)."""
    rows = rows_by_key(keys)
    return np.stack([*(values[rows[sensor]].mean(axis=0) for sensor in sensors), values.mean(axis=0)])


def whitener(values: NDArray[np.float32], keys: Sequence[SensorKey]) -> NDArray[np.float32]:
    """Return the symmetric matrix that whitens deviations from the sensors' means.

    It is the inverse root of (1 - c) S + c tr(S) / d I, S the covariance pooled over sensors and
    c = max(0.3, 4 d / (4 d + n)): with little history next to the identity. O. Ledoit, M. Wolf, A well-conditioned
    estimator for large-dimensional covariance matrices, J. Multivar. Anal. 88 (2004), for the form.

    Args:
        values: Standardised values, shape (n, d).
        keys: Each row's sensor.

    Returns:
        Shape (d, d).
    """
    n, d = values.shape
    centred = values.copy()
    for rows in rows_by_key(keys).values():
        centred[rows] -= values[rows].mean(axis=0)
    covariance = (centred.T @ centred).astype(np.float64) / n
    scale = float(np.trace(covariance)) / d or 1.0  # copies of one record have no spread to go by
    identity = max(_LEAST_IDENTITY, _IDENTITY_RECORDS * d / (_IDENTITY_RECORDS * d + n))
    power, axes = np.linalg.eigh((1 - identity) * covariance + identity * scale * np.eye(d))
    white: NDArray[np.float32] = (axes / np.sqrt(power) @ axes.T).astype(np.float32)
    return white
