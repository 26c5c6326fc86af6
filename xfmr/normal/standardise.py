"""What is normal for each sensor: level-free spectra, standardised by the sensor's own history.

Sensors differ more from each other than a fault differs from none, so each value is measured in robust sigmas of the
sensor's own past. A sensor with little history borrows the fleet's statistics.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

SensorKey = tuple[str, str]  # fleet, sensor_id

K = TypeVar("K", bound=Hashable)

# Below this many records a sensor's own spread says too little, and the fleet's is taken in its place. With 30, a
# short history of one load (12 records a sensor) of the gearbox told faults from loads worse.
MIN_HISTORY = 10
# A median is worth having earlier: sensors differ more than so few records err.
MIN_MEDIAN = 5
# Records as many as which the fleet's spread counts in a sensor's own. On three synthetic fleets with 8 records a
# sensor AUC is 0.967 so, and 0.866 where such sensors take the fleet's median and spread; with 12 records 0.950 and
# 0.933, with 128 the same to 0.0002. 10 and 50 do hardly worse.
_SHARED_RECORDS = 20
CLIP = 10.0
MAD_TO_SIGMA = 1.4826  # 1 / (3/4 quantile of the standard normal)
# Share of the median MAD added to every scale, so that a value that hardly moves is not blown up.
_FLOOR = 0.05


def level_free(log_spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract each record's own median from its log spectrum, so that the sensor's gain drops out.

    Args:
        log_spectrum: log10 of power, shape (n, d).

    Returns:
        Shape (n, d), dtype float32.
    """
    return (log_spectrum - np.median(log_spectrum, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Standardiser:
    """Median and scale of every value for each known sensor, and for the fleet.

    Args:
        sensors: The k sensors with a history of their own.
        median: Shape (k + 1, d); the last row is the fleet's.
        scale: Shape (k + 1, d), positive.
    """

    sensors: tuple[SensorKey, ...]
    median: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, values: NDArray[np.float32], keys: Sequence[SensorKey]) -> Standardiser:
        """Learn the statistics of a history.

        A value's spread in n records of a sensor is that of n records of the sensor, 1.4826 MAD, and 20 of the whole
        fleet around its sensors' medians, as a root mean square. Its scale is the spread + 5 % of the median of all
        values' spreads.

        Args:
            values: The history, shape (n, d), n > 0.
            keys: Each row's sensor.
        """
        own = {key: rows for key, rows in sorted(rows_by_key(keys).items()) if len(rows) >= MIN_MEDIAN}
        medians = [np.median(values[rows], axis=0) for rows in own.values()]
        scales = _scales([values[rows] - median for rows, median in zip(own.values(), medians, strict=True)])
        fleet_median, fleet_scale = robust_statistics(values)
        return cls(
            sensors=tuple(own),
            median=np.stack([*medians, fleet_median]).astype(np.float32),
            scale=np.stack([*scales, fleet_scale]).astype(np.float32),
        )

    def apply(self, values: NDArray[np.float32], keys: Sequence[SensorKey]) -> NDArray[np.float32]:
        """Express values in robust sigmas of their sensor, clipped at +-10.

        Args:
            values: Shape (n, d).
            keys: Each row's sensor; one without a history of its own takes the fleet's statistics.

        Returns:
            Shape (n, d), dtype float32.
        """
        rows = statistics_rows(self.sensors, keys)
        standardised: NDArray[np.float32] = ((values - self.median[rows]) / self.scale[rows]).clip(-CLIP, CLIP)
        return standardised.astype(np.float32, copy=False)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what was learned, for a model's file."""
        return {"median": self.median, "scale": self.scale}

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Mapping[str, NDArray[np.float32]]) -> Standardiser:
        """Rebuild from :attr:`sensors` and :meth:`arrays`."""
        return cls(sensors, arrays["median"], arrays["scale"])


def statistics_rows(sensors: Sequence[SensorKey], keys: Sequence[SensorKey]) -> NDArray[np.int64]:
    """Return where each key's statistics stand: its place among the sensors, or for an unknown one the last row."""
    position = {sensor: row for row, sensor in enumerate(sensors)}
    return np.array([position.get(key, len(sensors)) for key in keys], dtype=np.int64)


def as_sensors(pairs: Iterable[Sequence[str]]) -> tuple[SensorKey, ...]:
    """Read sensors as a model's header holds them."""
    return tuple((str(fleet), str(sensor)) for fleet, sensor in pairs)


def rows_by_key(keys: Sequence[K]) -> dict[K, NDArray[np.int64]]:
    """Return the rows of each key, in the order in which they first appear."""
    rows: dict[K, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return {key: np.array(index, dtype=np.int64) for key, index in rows.items()}


def robust_statistics(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each column's median and scale, (n, d) -> (d,) twice, as :meth:`Standardiser.fit` says."""
    median = np.median(values, axis=0)
    return median.astype(np.float32), _floored(_sigma(values - median)).astype(np.float32)


def _scales(deviations: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """Return the scale of each sensor's values, (d,) each, from deviations (n, d) from its median."""
    if not deviations:
        return []
    shared = _SHARED_RECORDS * _sigma(np.concatenate(deviations)) ** 2
    return [
        _floored(np.sqrt((len(own) * _sigma(own) ** 2 + shared) / (len(own) + _SHARED_RECORDS))) for own in deviations
    ]


def _sigma(deviations: NDArray[np.float32]) -> NDArray[np.float64]:
    sigma: NDArray[np.float64] = MAD_TO_SIGMA * np.median(np.abs(deviations), axis=0)
    return sigma


def _floored(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    # Without any spread at all (one record, or copies of one) a unit scale keeps differences in log10 of power.
    return sigma + _FLOOR * np.median(sigma) if np.median(sigma) > 0 else np.ones_like(sigma)
