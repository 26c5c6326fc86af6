"""Scalers: statistics of a history, which bring a record's values to a network's scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xfmr.features import RASTER_SIZE, raster_image
from xfmr.normal import MIN_HISTORY, Rows, SensorKey, robust_statistics
from xfmr.normal.neighbours import thinned

Arrays = Mapping[str, NDArray[Any]]

# A robust sigma is this many steps of a standardised image's bytes, up to 8 sigmas on either side of the middle.
STEPS_PER_SIGMA = 16
MIDDLE = 128
# Most records for a sensor's statistics: each image already holds many values of every row.
_ENOUGH = 200
# Images scaled at once: float32 takes four times the memory of the bytes that are stored.
_CHUNK = 128


class Scaler(Protocol):
    """Learned once, stored with the model, and applied wherever records are read."""

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors that have statistics of their own."""
        ...

    @classmethod
    def fit(cls, values: NDArray[Any], rows: Rows) -> Scaler:
        """Learn from a history, shape (n, ...)."""
        ...

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> Scaler:
        """Rebuild from :attr:`sensors` and :meth:`arrays`."""
        ...

    def apply(self, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
        """Scale values (n, ...)."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the learned arrays, for a model's file."""
        ...


class Unscaled:
    """The identity, for images that are scaled one by one."""

    sensors: tuple[SensorKey, ...] = ()

    @classmethod
    def fit(cls, values: NDArray[Any], rows: Rows) -> Unscaled:
        """Learn nothing."""
        return cls()

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> Unscaled:
        """Make the identity."""
        return cls()

    def apply(self, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
        """Return the values unchanged."""
        return values

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return no array."""
        return {}


@dataclass(frozen=True)
class RasterRange:
    """Draws Zerone as raster images within the range of a history, one range for all sensors.

    Args:
        low: Smallest value of each of the 1200, shape (1200,).
        high: Largest value, shape (1200,).
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """No sensor has statistics of its own."""
        return ()

    @classmethod
    def fit(cls, values: NDArray[np.float32], rows: Rows) -> RasterRange:
        """Learn the range of each value of a history (n, 1200)."""
        return cls(values.min(axis=0), values.max(axis=0))

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> RasterRange:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["low"], arrays["high"])

    def apply(self, values: NDArray[np.float32], rows: Rows) -> NDArray[np.uint8]:
        """Draw Zerone vectors (n, 1200) as images, uint8 (n, 3, 150, 150)."""
        images = np.empty((len(values), 3, RASTER_SIZE, RASTER_SIZE), np.uint8)
        for start in range(0, len(values), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            images[chunk] = np.rint(raster_image(values[chunk], low=self.low, high=self.high) * 255)
        return images

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the range."""
        return {"low": self.low, "high": self.high}


@dataclass(frozen=True)
class RowStandardiser:
    """Expresses each row of an image in robust sigmas of its sensor: a row is a frequency, a column a time.

    Times within a record are not comparable between records, so a row's statistics are of all its pixels.

    Args:
        sensors: The k sensors with a history of their own.
        median: Shape (k + 1, 3, S); the last is the fleet's.
        scale: Shape (k + 1, 3, S), positive.
    """

    sensors: tuple[SensorKey, ...]
    median: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(cls, values: NDArray[np.uint8], rows: Rows) -> RowStandardiser:
        """Learn the statistics of the images (n, 3, S, S) of a history, n > 0."""
        own = {sensor: place for sensor, place in rows.by_sensor().items() if len(place) >= MIN_HISTORY}
        places = [*own.values(), np.arange(len(values))]
        median, scale = zip(*(_row_statistics(values[thinned(place, _ENOUGH)]) for place in places), strict=True)
        return cls(tuple(own), np.stack(median), np.stack(scale))

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> RowStandardiser:
        """Rebuild from :attr:`sensors` and :meth:`arrays`."""
        return cls(sensors, arrays["median"], arrays["scale"])

    def apply(self, values: NDArray[np.uint8], rows: Rows) -> NDArray[np.uint8]:
        """Standardise images (n, 3, S, S): 128 is the row's median, 16 steps per sigma, clipped at 8 sigmas."""
        place, scaled = rows.places_in(self.sensors), np.empty_like(values)
        for start in range(0, len(values), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            sigmas = (values[chunk] - self.median[place[chunk], ..., None]) / self.scale[place[chunk], ..., None]
            scaled[chunk] = np.rint(MIDDLE + STEPS_PER_SIGMA * sigmas).clip(0, 255)
        return scaled

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the statistics."""
        return {"median": self.median, "scale": self.scale}


def _row_statistics(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the median and the scale of each row: (n, 3, S, S) -> (3, S) twice."""
    pixels = images.transpose(0, 3, 1, 2).reshape(-1, images.shape[1] * images.shape[2]).astype(np.float32)
    median, scale = robust_statistics(pixels)
    return median.reshape(images.shape[1:3]), scale.reshape(images.shape[1:3])
