"""A network's input: a branch's view of a record, scaled by statistics of the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.normal import Rows, as_sensors
from xfmr.settings.stage_one import Branch
from xfmr.views.scalers import Scaler
from xfmr.views.views import View, packed, unpacked


@dataclass(frozen=True)
class NetworkInputs:
    """Turns stored features into a network's input.

    Args:
        view: The columns of a record and how they are read.
        scalers: Learned from the history, one for each part of the view.
    """

    view: View
    scalers: Mapping[str, Scaler]

    @classmethod
    def fit(cls, view: View, values: NDArray[Any], rows: Rows) -> NetworkInputs:
        """Learn the scalers from a history.

        Args:
            view: How the values were read.
            values: The history as the view reads it, n > 0 records.
            rows: Their rows.
        """
        parts = unpacked(values, view.parts)
        return cls(view, {name: part.scaler.fit(parts[name], rows) for name, part in view.parts.items()})

    @property
    def branch(self) -> Branch:
        """The branch whose networks take these inputs."""
        return self.view.branch

    @property
    def columns(self) -> list[str]:
        """The feature columns that it reads."""
        return self.view.columns

    def scale(self, values: NDArray[Any], rows: Rows) -> NDArray[Any]:
        """Scale values that the view has read."""
        parts = unpacked(values, self.scalers)
        return packed({name: scaler.apply(parts[name], rows) for name, scaler in self.scalers.items()})

    def __call__(self, table: pa.Table) -> NDArray[Any]:
        """Prepare the rows of a features table: float32 vectors, uint8 images, or (:func:`.packed`) both."""
        return self.scale(self.view.read(table), Rows.of(table))

    def description(self) -> dict[str, Any]:
        """Return view and sensors, for a model's header."""
        sensors = {name: scaler.sensors for name, scaler in self.scalers.items()}
        return {**asdict(self.view), "sensors": sensors}

    def tensors(self) -> dict[str, Tensor]:
        """Return the scalers' arrays, for a model's file."""
        return {
            f"scaler.{part}.{name}": torch.from_numpy(array)
            for part, scaler in self.scalers.items()
            for name, array in scaler.arrays().items()
        }

    @classmethod
    def restore(cls, description: dict[str, Any], tensors: dict[str, Tensor]) -> NetworkInputs:
        """Rebuild from :meth:`description` and :meth:`tensors`."""
        view = View(*(description[field.name] for field in fields(View)))
        return cls(view, {name: _scaler(view, name, description, tensors) for name in view.parts})


def _scaler(view: View, part: str, description: dict[str, Any], tensors: dict[str, Tensor]) -> Scaler:
    sensors = as_sensors(description["sensors"][part])
    start = f"scaler.{part}."
    arrays = {name.removeprefix(start): t.numpy() for name, t in tensors.items() if name.startswith(start)}
    return view.parts[part].scaler.restore(sensors, arrays)
