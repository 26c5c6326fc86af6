"""What is learned from a history to bring a record's values to the scale that a network takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from xfmr.features import RASTER_SIZE, raster_image
from xfmr.normal import SensorKey

Arrays = Mapping[str, NDArray[Any]]

# Images scaled at once: in float32 they take four times the memory that they are held in.
_CHUNK = 128


class Scaler(Protocol):
    """Learned once, kept with the model, and applied alike wherever records are read."""

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors that have statistics of their own."""
        ...

    @classmethod
    def fit(cls, values: NDArray[Any], keys: Sequence[SensorKey]) -> Scaler:
        """Learn from a history (n, ...) and each row's sensor."""
        ...

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> Scaler:
        """Rebuild from :attr:`sensors` and :meth:`arrays`."""
        ...

    def apply(self, values: NDArray[Any], keys: Sequence[SensorKey]) -> NDArray[Any]:
        """Scale values (n, ...)."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learned, for a model's file."""
        ...


class Unscaled:
    """Nothing is learned: images that are scaled one by one."""

    sensors: tuple[SensorKey, ...] = ()

    @classmethod
    def fit(cls, values: NDArray[Any], keys: Sequence[SensorKey]) -> Unscaled:
        """Learn nothing."""
        return cls()

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> Unscaled:
        """Rebuild from nothing."""
        return cls()

    def apply(self, values: NDArray[Any], keys: Sequence[SensorKey]) -> NDArray[Any]:
        """Return the values as they are."""
        return values

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing."""
        return {}


@dataclass(frozen=True)
class RasterRange:
    """Draws Zerone as raster images within the range of a history; no sensor has a range of its own.

    Args:
        low: Smallest value of each of the 1200, shape (1200,).
        high: Largest value, shape (1200,).
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """None has statistics of its own."""
        return ()

    @classmethod
    def fit(cls, values: NDArray[np.float32], keys: Sequence[SensorKey]) -> RasterRange:
        """Learn the range of each value of a history (n, 1200)."""
        return cls(values.min(axis=0), values.max(axis=0))

    @classmethod
    def restore(cls, sensors: tuple[SensorKey, ...], arrays: Arrays) -> RasterRange:
        """Rebuild from :meth:`arrays`."""
        return cls(arrays["low"], arrays["high"])

    def apply(self, values: NDArray[np.float32], keys: Sequence[SensorKey]) -> NDArray[np.uint8]:
        """Draw Zerone vectors (n, 1200) as images, uint8 (n, 3, 150, 150)."""
        images = np.empty((len(values), 3, RASTER_SIZE, RASTER_SIZE), np.uint8)
        for start in range(0, len(values), _CHUNK):
            part = slice(start, start + _CHUNK)
            images[part] = np.rint(raster_image(values[part], low=self.low, high=self.high) * 255)
        return images

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the range."""
        return {"low": self.low, "high": self.high}
