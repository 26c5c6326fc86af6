"""Whitening by a shrunk covariance: directions in which healthy records vary count less."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xfmr.normal.rows import Rows, SensorKey

# Weight of the identity in the covariance: equal to that of 4 records per dimension, and at least 0.3. Chosen by
# leaving one load out of the gearbox history and on synthetic fleets; no value in 0.2 .. 0.5 and 2 .. 8 is clearly
# better.
_IDENTITY_RECORDS = 4.0
_LEAST_IDENTITY = 0.3


def sensor_means(values: NDArray[np.float32], rows: Rows, sensors: Sequence[SensorKey]) -> NDArray[np.float32]:
    """Return the mean of each of some sensors, and the mean of all values last: (sensors + 1, d)."""
    places = rows.by_sensor()
    return np.stack([*(values[places[sensor]].mean(axis=0) for sensor in sensors), values.mean(axis=0)])


def whitener(values: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """Return the symmetric matrix that whitens deviations from the sensors' means.

    It is the inverse root of (1 - c) S + c tr(S) / d I, with S the covariance pooled over sensors and
    c = max(0.3, 4 d / (4 d + n)), which is close to the identity when there is little history. The form is that of
    O. Ledoit, M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices, J. Multivar. Anal. 88
    (2004).

    Args:
        values: Standardised values, shape (n, d).
        rows: Their rows.

    Returns:
        Shape (d, d).
    """
    n, d = values.shape
    centred = values.copy()
    for place in rows.by_sensor().values():
        centred[place] -= values[place].mean(axis=0)
    covariance = (centred.T @ centred).astype(np.float64) / n
    scale = float(np.trace(covariance)) / d or 1.0  # copies of one record have no spread
    identity = max(_LEAST_IDENTITY, _IDENTITY_RECORDS * d / (_IDENTITY_RECORDS * d + n))
    power, axes = np.linalg.eigh((1 - identity) * covariance + identity * scale * np.eye(d))
    white: NDArray[np.float32] = (axes / np.sqrt(power) @ axes.T).astype(np.float32)
    return white
