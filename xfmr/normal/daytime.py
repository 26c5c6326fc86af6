"""What is usual at a time of the day: loads and fans come with the hour, and are no faults where they do so daily.

What comes with the load goes again with it, and a fault goes on. So an hour is compared with the day around it and
not with the whole history: a fault, however long, exceeds the day around it only where it begins and where it ends,
which are two days, and what is usual must be so on three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.normal.standardise import SensorKey, statistics_rows

Times = NDArray[np.datetime64]
"""Times in UTC, of any resolution."""

_LEAST_DAYS = 3
_DAY = 24
# The day around an hour, by its quieter part: with the median a fault of one day hid what was usual on the days
# beside it as well. On three synthetic fleets of four days, whose history lacks the evening, that left 7 to 19 % of
# false alarms there, and the lower quartile 2 to 8 % (before the bank's noise ratios).
_QUIET_SHARE = 0.25


@dataclass(frozen=True)
class DailyProfile:
    """By how much a sensor's values at an hour of the day exceed those of the day around it.

    Args:
        sensors: The k sensors with an hour that exceeds the others.
        excess: By hour in UTC, at least 0, shape (k, 24).
    """

    sensors: tuple[SensorKey, ...]
    excess: NDArray[np.float32]

    @classmethod
    def fit(cls, values: NDArray[Any], keys: Sequence[SensorKey], times: Times) -> DailyProfile:
        """Learn what comes and goes again on at least three days, and on two thirds of them.

        The median of an hour is compared with the lower quartile of the 25 hours around it, on every day that has
        records of it. The excess of an hour is what two thirds of these days reach, and at least three of them, less
        what an hour in the middle reaches, which is chance. (A load of working days comes on five of seven. A fault
        that comes and goes at random, in four hours of ten, meets an hour that often in one case of ten in a week,
        and in one of fifty in two.)

        Args:
            values: Such as the logarithm of a distance, shape (n,).
            keys: Each row's sensor.
            times: Each row's time.
        """
        excess = {key: _usual_excess(hours, medians) for key, hours, medians in _hourly_medians(values, keys, times)}
        sensors = tuple(sensor for sensor in excess if excess[sensor].any())
        return cls(sensors, np.array([excess[sensor] for sensor in sensors], np.float32).reshape(-1, _DAY))

    def apply(self, keys: Sequence[SensorKey], times: Times) -> NDArray[np.float32]:
        """Say what is usual for each row's sensor and hour, shape (n,); 0 where nothing is known."""
        known = np.vstack([self.excess, np.zeros((1, _DAY), np.float32)])
        usual: NDArray[np.float32] = known[statistics_rows(self.sensors, keys), _hours(times) % _DAY]
        return usual


def _hours(times: Times) -> NDArray[np.int64]:
    """Return whole hours since 1970."""
    return times.astype("datetime64[h]").astype(np.int64)


def _hourly_medians(
    values: NDArray[Any], keys: Sequence[SensorKey], times: Times
) -> list[tuple[SensorKey, NDArray[np.int64], NDArray[np.float64]]]:
    """Return each sensor, the hours in which it has records, and their medians; all in ascending order."""
    sensors = sorted(set(keys))
    rows = pd.DataFrame({"sensor": statistics_rows(sensors, keys), "hour": _hours(times), "value": values})
    medians = rows.groupby(["sensor", "hour"], as_index=False)["value"].median()
    starts = np.searchsorted(medians["sensor"], np.arange(1, len(sensors)))
    hours, found = (np.split(medians[name].to_numpy(), starts) for name in ("hour", "value"))
    return list(zip(sensors, hours, found, strict=False))  # of no rows np.split makes one part


def _usual_excess(hours: NDArray[np.int64], medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a sensor's excess of each hour of the day, (24,)."""
    excess = np.zeros(_DAY)
    recorded = np.unique(hours // _DAY)
    if len(recorded) < _LEAST_DAYS:
        return excess
    # Days with records and those beside them, side by side: a clock that was once wrong by decades adds three.
    laid_out = np.unique(recorded[:, None] + [-1, 0, 1])
    every = np.full(len(laid_out) * _DAY, np.nan)
    every[np.searchsorted(laid_out, hours // _DAY) * _DAY + hours % _DAY] = medians
    beyond = every - _quiet_around(every)
    by_day = np.sort(beyond.reshape(-1, _DAY), axis=0)  # (days, 24), those without records last
    days = np.isfinite(by_day).sum(axis=0)
    place = np.minimum(days // 3, days - _LEAST_DAYS)
    known = np.flatnonzero(days >= _LEAST_DAYS)
    reached = by_day[place[known], known]
    excess[known] = np.maximum(reached - np.median(reached), 0) if len(known) else 0
    return excess


def _quiet_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower quartile of each value and of those up to half a day away, NaN left out: (n,)."""
    padded = np.pad(values, _DAY // 2, constant_values=np.nan)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, _DAY + 1), axis=1)
    place = _QUIET_SHARE * (np.isfinite(ordered).sum(axis=1) - 1).clip(0)
    rows, below = np.arange(len(values)), np.floor(place).astype(np.int64)
    lower, upper = ordered[rows, below], ordered[rows, np.ceil(place).astype(np.int64)]
    quiet: NDArray[np.float64] = lower + (upper - lower) * (place - below)
    return quiet
