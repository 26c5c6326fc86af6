"""Calibration: scores in robust sigmas of the sensor's own out-of-fold history, comparable between sensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xfmr.normal import MAD_TO_SIGMA, MIN_HISTORY, Rows, SensorKey

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
    def fit(cls, out_of_fold: NDArray[np.float64], rows: Rows) -> Calibration:
        """Learn from out-of-fold scores.

        A sensor's variance is half its own and half the fleet's: its own alone is too uncertain.

        Args:
            out_of_fold: Positive scores by a detector that had not seen the records, shape (n,).
            rows: Their rows.
        """
        logs = np.log(np.maximum(out_of_fold, _TINY))
        own = {sensor: place for sensor, place in rows.by_sensor().items() if len(place) >= MIN_HISTORY}
        median, sigma = np.transpose([*(_robust(logs[place]) for place in own.values()), _robust(logs)])
        return cls(tuple(own), median, np.sqrt((sigma**2 + sigma[-1] ** 2) / 2))

    def apply(self, scores: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
        """Express positive scores in sigmas of their sensor, or of the fleet if the sensor is unknown.

        Args:
            scores: Shape (n,), or (k, n) for k detectors.
            rows: The n rows.

        Returns:
            The shape of ``scores``.
        """
        place = rows.places_in(self.sensors)
        calibrated: NDArray[np.float64] = (np.log(np.maximum(scores, _TINY)) - self.median[place]) / self.sigma[place]
        return calibrated


def _robust(values: NDArray[np.float64]) -> tuple[float, float]:
    median = float(np.median(values))
    return median, MAD_TO_SIGMA * float(np.median(np.abs(values - median))) + _LEAST_SIGMA
