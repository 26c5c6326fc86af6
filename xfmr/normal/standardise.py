"""Robust statistics of each sensor: median and scale of every value.

Sensors differ more from each other than a faulty record differs from a healthy one, so each value is measured in
robust sigmas of its sensor's own history. A sensor with little history borrows the fleet's statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xfmr.normal.rows import Rows, SensorKey

# With fewer records, a sensor uses the fleet's spread in place of its own. A limit of 30 told faults from loads worse
# on the gearbox recordings, with a short history of one load (12 records a sensor).
MIN_HISTORY = 10
# A sensor's own median is useful from fewer records on: sensors differ by more than the error of such a median.
MIN_MEDIAN = 5
# The fleet's spread counts as this many records. AUC on three synthetic fleets, compared with taking the fleet's
# median and spread for such sensors: 0.967 against 0.866 with 8 records a sensor, 0.950 against 0.933 with 12, equal
# to 0.0002 with 128. With 10 or 50 in place of 20 it is hardly lower.
_SHARED_RECORDS = 20
CLIP = 10.0
MAD_TO_SIGMA = 1.4826  # 1 / (3/4 quantile of the standard normal)
# This share of the median MAD is added to every scale, so that a nearly constant value is not amplified.
_FLOOR = 0.05


def level_free(log_spectrum: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract each record's own median from its log spectrum, which removes the sensor's gain.

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
    def fit(cls, values: NDArray[np.float32], rows: Rows) -> Standardiser:
        """Learn the statistics of a history.

        The spread of a value in n records of a sensor is the root mean square of the sensor's own, 1.4826 MAD,
        weighted by n, and the fleet's around its sensors' medians, weighted by 20. The scale is the spread + 5 % of
        the median of all values' spreads.

        Args:
            values: The history, shape (n, d), n > 0.
            rows: Its n rows.
        """
        own = {sensor: place for sensor, place in rows.by_sensor().items() if len(place) >= MIN_MEDIAN}
        medians = [np.median(values[place], axis=0) for place in own.values()]
        scales = _scales([values[place] - median for place, median in zip(own.values(), medians, strict=True)])
        fleet_median, fleet_scale = robust_statistics(values)
        return cls(
            sensors=tuple(own),
            median=np.stack([*medians, fleet_median]).astype(np.float32),
            scale=np.stack([*scales, fleet_scale]).astype(np.float32),
        )

    def apply(self, values: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
        """Express values in robust sigmas of their sensor, clipped at +-10.

        Args:
            values: Shape (n, d).
            rows: Their rows; a sensor without statistics of its own takes the fleet's.

        Returns:
            Shape (n, d), dtype float32.
        """
        place = rows.places_in(self.sensors)
        standardised: NDArray[np.float32] = ((values - self.median[place]) / self.scale[place]).clip(-CLIP, CLIP)
        return standardised.astype(np.float32, copy=False)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return median and scale, for a model's file."""
        return {"median": self.median, "scale": self.scale}

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Mapping[str, NDArray[np.float32]]) -> Standardiser:
        """Rebuild from :attr:`sensors` and :meth:`arrays`."""
        return cls(sensors, arrays["median"], arrays["scale"])


def robust_statistics(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each column's median and scale, (n, d) -> (d,) twice, see :meth:`Standardiser.fit`."""
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
