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

# Below this many records a sensor takes the fleet's median and MAD. With 30, a short history of one load (12 records
# a sensor) of the gearbox told faults from loads worse: sensors differ more than so few records err.
MIN_HISTORY = 10
CLIP = 10.0
MAD_TO_SIGMA = 1.4826
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

        A value's scale is 1.4826 MAD + 5 % of the median of all values' 1.4826 MADs.

        Args:
            values: The history, shape (n, d), n > 0.
            keys: Each row's sensor.
        """
        own = {key: rows for key, rows in sorted(rows_by_key(keys).items()) if len(rows) >= MIN_HISTORY}
        statistics = [robust_statistics(values[index]) for index in own.values()] + [robust_statistics(values)]
        return cls(
            sensors=tuple(own),
            median=np.stack([median for median, _ in statistics]),
            scale=np.stack([scale for _, scale in statistics]),
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
    sigma = MAD_TO_SIGMA * np.median(np.abs(values - median), axis=0)
    # Without any spread at all (one record, or copies of one) a unit scale keeps differences in log10 of power.
    scale = sigma + _FLOOR * np.median(sigma) if np.median(sigma) > 0 else np.ones_like(sigma)
    return median.astype(np.float32), scale.astype(np.float32)
