"""What a model sees of a record: its branch's features, scaled the same way wherever they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.normal import SensorKey, as_sensors
from xfmr.normal.daytime import Times
from xfmr.schema import SENSOR_COLUMNS
from xfmr.settings.options import Branch
from xfmr.views.scalers import Scaler
from xfmr.views.views import View, packed, unpacked


def sensor_keys(table: pa.Table) -> list[SensorKey]:
    """Return the sensor of each row."""
    return list(zip(*(table[name].to_pylist() for name in SENSOR_COLUMNS), strict=True))


def record_times(table: pa.Table) -> Times:
    """Return the time of each row in UTC."""
    times: Times = table["data_time"].to_numpy()
    return times


@dataclass(frozen=True)
class ModelInputs:
    """The way from stored features to a model's input.

    Args:
        view: What is read of a record.
        scalers: What was learned from the history, for each part of the view.
    """

    view: View
    scalers: Mapping[str, Scaler]

    @classmethod
    def fit(cls, view: View, values: NDArray[Any], keys: Sequence[SensorKey]) -> ModelInputs:
        """Learn the scalers from a history.

        Args:
            view: What was read.
            values: What it read, n > 0 rows.
            keys: Each row's sensor.
        """
        parts = unpacked(values, view.parts)
        return cls(view, {name: part.scaler.fit(parts[name], keys) for name, part in view.parts.items()})

    @property
    def branch(self) -> Branch:
        """The branch whose networks take these inputs."""
        return self.view.branch

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read."""
        return self.view.columns

    def scale(self, values: NDArray[Any], keys: Sequence[SensorKey]) -> NDArray[Any]:
        """Apply what was learned to what the view read."""
        parts = unpacked(values, self.scalers)
        return packed({name: scaler.apply(parts[name], keys) for name, scaler in self.scalers.items()})

    def __call__(self, table: pa.Table) -> NDArray[Any]:
        """Prepare the rows of a features table: float32 vectors, uint8 images, or (:func:`.packed`) both."""
        return self.scale(self.view.read(table), sensor_keys(table))

    def description(self) -> dict[str, Any]:
        """Return what is not an array, for a model's header."""
        sensors = {name: scaler.sensors for name, scaler in self.scalers.items()}
        return {**asdict(self.view), "sensors": sensors}

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays, for a model's file."""
        return {
            f"scaler.{part}.{name}": torch.from_numpy(array)
            for part, scaler in self.scalers.items()
            for name, array in scaler.arrays().items()
        }

    @classmethod
    def restore(cls, description: dict[str, Any], tensors: dict[str, Tensor]) -> ModelInputs:
        """Rebuild from :meth:`description` and :meth:`tensors`."""
        view = View(*(description[field.name] for field in fields(View)))
        return cls(view, {name: _scaler(view, name, description, tensors) for name in view.parts})


def _scaler(view: View, part: str, description: dict[str, Any], tensors: dict[str, Tensor]) -> Scaler:
    sensors = as_sensors(description["sensors"][part])
    start = f"scaler.{part}."
    arrays = {name.removeprefix(start): t.numpy() for name, t in tensors.items() if name.startswith(start)}
    return view.parts[part].scaler.restore(sensors, arrays)
