"""What is learned from a history to bring a record's values to the scale that a network takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from xfmr.normal import SensorKey

Arrays = Mapping[str, NDArray[Any]]


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
