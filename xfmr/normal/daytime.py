"""What is usual at a time of the day: loads and fans come with the hour, and are no faults where they do so daily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfmr.normal.standardise import SensorKey, rows_by_key

Times = NDArray[np.datetime64]
"""Times in UTC, of any resolution."""

# An hour is known by the records of it and its two neighbours, where they are this many and of so many days: of two
# days, one of a fault would be enough.
_LEAST_RECORDS = 8
_LEAST_DAYS = 3


@dataclass(frozen=True)
class DailyProfile:
    """By how much a sensor's values at an hour of the day exceed those of its whole day.

    Args:
        sensors: The k sensors with an hour that exceeds the others.
        excess: By hour in UTC, at least 0, shape (k, 24).
    """

    sensors: tuple[SensorKey, ...]
    excess: NDArray[np.float32]

    @classmethod
    def fit(cls, values: NDArray[Any], keys: Sequence[SensorKey], times: Times) -> DailyProfile:
        """Learn the medians of each hour, above the median of the day.

        Medians, so that of the records of an hour more than half must be so for it to be usual.

        Args:
            values: Such as the logarithm of a distance, shape (n,).
            keys: Each row's sensor.
            times: Each row's time.
        """
        hours, days = times.astype("datetime64[h]").astype(np.int64) % 24, times.astype("datetime64[D]")
        found = {}
        for sensor, rows in sorted(rows_by_key(keys).items()):
            if len(np.unique(days[rows])) >= _LEAST_DAYS:
                found[sensor] = _hourly_excess(np.asarray(values)[rows], hours[rows], days[rows])
        sensors = tuple(sensor for sensor, excess in found.items() if excess.any())
        return cls(sensors, np.array([found[sensor] for sensor in sensors], np.float32).reshape(-1, 24))

    def apply(self, keys: Sequence[SensorKey], times: Times) -> NDArray[np.float32]:
        """Say what is usual for each row's sensor and hour, shape (n,); 0 where nothing is known."""
        position = {sensor: row for row, sensor in enumerate(self.sensors)}
        rows = np.array([position.get(key, len(self.sensors)) for key in keys], dtype=np.int64)
        known = np.vstack([self.excess, np.zeros((1, 24), np.float32)])
        usual: NDArray[np.float32] = known[rows, times.astype("datetime64[h]").astype(np.int64) % 24]
        return usual


def _hourly_excess(values: NDArray[Any], hours: NDArray[np.int64], days: Times) -> NDArray[np.float64]:
    excess = np.zeros(24)
    for hour in range(24):
        near = (hours - hour + 1) % 24 <= 2
        if near.sum() >= _LEAST_RECORDS and len(np.unique(days[near])) >= _LEAST_DAYS:
            excess[hour] = max(0.0, float(np.median(values[near]) - np.median(values)))
    return excess
