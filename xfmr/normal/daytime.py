"""The daily profile: load and fans that follow the hour day after day are not a fault.

An excess that belongs to an hour ends with it, but a fault goes on. So an hour is compared with the day around it and
not with the whole history: a fault of any length exceeds the day around it only at its beginning and at its end, on
two days, while a usual excess must show on three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.normal.rows import Rows, SensorKey

_LEAST_DAYS = 3
_DAY = 24
# Quantile of the 25 hours around an hour that stands for its day. With the median, a fault of one day hid the usual
# excess of the days beside it: 7 to 19 % of false alarms in the evening on three synthetic fleets of four days whose
# history lacks the evening, against 2 to 8 % with the lower quartile (both without the bank's noise ratios).
_QUIET_SHARE = 0.25


@dataclass(frozen=True)
class DailyProfile:
    """The amount by which a sensor's values at an hour of the day exceed those of the day around it.

    Three kinds of excess:

    - Taken as usual: an excess at the same hour of three or more days, and of two thirds of them, that ends again.
    - Never taken as usual: a fault that goes on, whatever its length.
    - Taken as usual by mistake: a fault that comes and goes at one hour day after day; one that comes and goes at
      random, in four hours of ten, meets an hour that often in one case of ten in a week, one of fifty in two weeks.

    Args:
        sensors: The k sensors with an hour that exceeds the others.
        excess: By hour in UTC, at least 0, shape (k, 24).
    """

    sensors: tuple[SensorKey, ...]
    excess: NDArray[np.float32]

    @classmethod
    def fit(cls, values: NDArray[Any], rows: Rows) -> DailyProfile:
        """Learn each sensor's usual excess.

        The median of an hour is compared with the lower quartile of the 25 hours around it, on every day with records
        of that hour. The excess is the value that two thirds of these days reach, at least three of them, minus the
        median of that value over the hours, which is due to chance. (A load on working days shows on five of seven.)

        Args:
            values: Such as the logarithm of a distance, shape (n,).
            rows: Their rows.
        """
        excess = {sensor: _usual_excess(hours, medians) for sensor, hours, medians in _hourly_medians(values, rows)}
        sensors = tuple(sensor for sensor in excess if excess[sensor].any())
        return cls(sensors, np.array([excess[sensor] for sensor in sensors], np.float32).reshape(-1, _DAY))

    def apply(self, rows: Rows) -> NDArray[np.float32]:
        """Return the usual excess of each row's sensor at its hour, shape (n,); 0 if the sensor has none."""
        known = np.vstack([self.excess, np.zeros((1, _DAY), np.float32)])
        usual: NDArray[np.float32] = known[rows.places_in(self.sensors), _hours(rows) % _DAY]
        return usual


def _hours(rows: Rows) -> NDArray[np.int64]:
    """Return whole hours since 1970, shape (n,)."""
    return rows.times.astype("datetime64[h]").astype(np.int64)


def _hourly_medians(
    values: NDArray[Any], rows: Rows
) -> list[tuple[SensorKey, NDArray[np.int64], NDArray[np.float64]]]:
    """Return each sensor, the hours in which it has records, and their medians; all in ascending order."""
    table = pd.DataFrame({"sensor": rows.codes, "hour": _hours(rows), "value": values})
    medians = table.groupby(["sensor", "hour"], as_index=False)["value"].median()
    starts = np.searchsorted(medians["sensor"], np.arange(1, len(rows.sensors)))
    hours, by_hour = (np.split(medians[name].to_numpy(), starts) for name in ("hour", "value"))
    return list(zip(rows.sensors, hours, by_hour, strict=False))  # np.split makes one piece even of no rows


def _usual_excess(hours: NDArray[np.int64], medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a sensor's excess at each hour of the day, (24,)."""
    excess = np.zeros(_DAY)
    recorded = np.unique(hours // _DAY)
    if len(recorded) < _LEAST_DAYS:
        return excess
    # Only days with records and their neighbours are laid out: a clock that was once wrong by decades adds three
    # days.
    laid_out = np.unique(recorded[:, None] + [-1, 0, 1])
    every = np.full(len(laid_out) * _DAY, np.nan)
    every[np.searchsorted(laid_out, hours // _DAY) * _DAY + hours % _DAY] = medians
    beyond = every - _quiet_around(every)
    by_day = np.sort(beyond.reshape(-1, _DAY), axis=0)  # (days, 24), days without records last
    days = np.isfinite(by_day).sum(axis=0)
    place = np.minimum(days // 3, days - _LEAST_DAYS)
    known = np.flatnonzero(days >= _LEAST_DAYS)
    reached = by_day[place[known], known]
    excess[known] = np.maximum(reached - np.median(reached), 0) if len(known) else 0
    return excess


def _quiet_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the lower quartile of the values up to half a day around each, NaN ignored: (n,)."""
    padded = np.pad(values, _DAY // 2, constant_values=np.nan)
    ordered = np.sort(np.lib.stride_tricks.sliding_window_view(padded, _DAY + 1), axis=1)
    place = _QUIET_SHARE * (np.isfinite(ordered).sum(axis=1) - 1).clip(0)
    rows, below = np.arange(len(values)), np.floor(place).astype(np.int64)
    lower, upper = ordered[rows, below], ordered[rows, np.ceil(place).astype(np.int64)]
    quiet: NDArray[np.float64] = lower + (upper - lower) * (place - below)
    return quiet
