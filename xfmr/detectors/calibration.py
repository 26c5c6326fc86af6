"""Scores that mean the same for every sensor: robust sigmas of what the sensor's own held-out history scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xfmr.normal import MAD_TO_SIGMA, MIN_HISTORY, SensorKey, rows_by_key

_TINY = 1e-12
_LEAST_SIGMA = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Median and sigma of log scores, of each sensor and of the fleet.

    Args:
        sensors: The k sensors with enough history of their own.
        median: Shape (k + 1,); the last is the fleet's.
        sigma: Shape (k + 1,), positive.
    """

    sensors: tuple[SensorKey, ...]
    median: NDArray[np.float64]
    sigma: NDArray[np.float64]

    @classmethod
    def fit(cls, held_out: NDArray[np.float64], keys: Sequence[SensorKey]) -> Calibration:
        """Learn from scores of records that their own detector had not seen.

        A sensor's sigma is the root of half its own variance and half the fleet's: its own alone is too uncertain.

        Args:
            held_out: Positive scores, shape (n,).
            keys: Each row's sensor.
        """
        logs = np.log(np.maximum(held_out, _TINY))
        own = {key: rows for key, rows in sorted(rows_by_key(keys).items()) if len(rows) >= MIN_HISTORY}
        median, sigma = np.transpose([*(_robust(logs[rows]) for rows in own.values()), _robust(logs)])
        return cls(tuple(own), median, np.sqrt((sigma**2 + sigma[-1] ** 2) / 2))

    def apply(self, scores: NDArray[np.float64], keys: Sequence[SensorKey]) -> NDArray[np.float64]:
        """Express positive scores in sigmas of their sensor, or, of an unknown one, of the fleet.

        Args:
            scores: Shape (n,), or (k, n) of k detectors.
            keys: Sensors, n of them.

        Returns:
            The shape of ``scores``.
        """
        position = {sensor: row for row, sensor in enumerate(self.sensors)}
        row = np.array([position.get(key, len(self.sensors)) for key in keys], dtype=np.int64)
        calibrated: NDArray[np.float64] = (np.log(np.maximum(scores, _TINY)) - self.median[row]) / self.sigma[row]
        return calibrated


def _robust(values: NDArray[np.float64]) -> tuple[float, float]:
    median = float(np.median(values))
    return median, MAD_TO_SIGMA * float(np.median(np.abs(values - median))) + _LEAST_SIGMA
