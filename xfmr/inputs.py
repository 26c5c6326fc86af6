"""What a model sees of a record: the branch's features, prepared the same way wherever they are used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr import features
from xfmr.normal import SensorKey, Standardiser, as_sensors, level_free
from xfmr.schema import CWT_SHAPE, SENSOR_COLUMNS, stft_shape, to_numpy
from xfmr.training.options import Branch

BRANCH_COLUMNS: dict[Branch, list[str]] = {"spectrum": ["log_spectrum"], "image": ["signal", "cwt", "stft"]}


def sensor_keys(table: pa.Table) -> list[SensorKey]:
    """Return the sensor of each row."""
    return list(zip(*(table[name].to_pylist() for name in SENSOR_COLUMNS), strict=True))


def branch_values(branch: Branch, table: pa.Table, *, image_size: int) -> NDArray[Any]:
    """Assemble what a branch is made of, before anything learned is applied.

    Args:
        branch: ``spectrum`` or ``image``.
        table: Rows with the columns of :data:`BRANCH_COLUMNS`.
        image_size: Side of the image in pixels.

    Returns:
        ``spectrum``: level-free log spectra, float32 (n, 451). ``image``: hetero images, uint8 (n, 3, S, S).
    """
    if branch == "spectrum":
        return level_free(to_numpy(table, "log_spectrum"))
    signals = to_numpy(table, "signal")
    cwt, stft = to_numpy(table, "cwt", CWT_SHAPE), to_numpy(table, "stft", stft_shape(signals.shape[1]))
    images = features.image_from_planes(cwt, stft, signals, size=image_size)
    return np.rint(images * 255).astype(np.uint8)


@dataclass(frozen=True)
class ModelInputs:
    """The way from stored features to a model's input.

    Args:
        branch: ``spectrum`` or ``image``.
        image_size: Side of the image in pixels.
        standardiser: Statistics of the sensors, for ``spectrum``; images are scaled one by one and have none.
    """

    branch: Branch
    image_size: int
    standardiser: Standardiser | None

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read."""
        return BRANCH_COLUMNS[self.branch]

    def standardise(self, values: NDArray[Any], keys: Sequence[SensorKey]) -> NDArray[Any]:
        """Apply what was learned to :func:`branch_values`; same shape."""
        return values if self.standardiser is None else self.standardiser.apply(values, keys)

    def __call__(self, table: pa.Table) -> NDArray[Any]:
        """Prepare the rows of a features table: (n, *shape), float32 or, for images, uint8."""
        return self.standardise(branch_values(self.branch, table, image_size=self.image_size), sensor_keys(table))

    def description(self) -> dict[str, Any]:
        """Return what is not an array, for a model's header."""
        sensors = self.standardiser.sensors if self.standardiser else ()
        return {"branch": self.branch, "image_size": self.image_size, "sensors": sensors}

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays, for a model's file."""
        if self.standardiser is None:
            return {}
        return {
            "standardiser.median": torch.from_numpy(self.standardiser.median),
            "standardiser.scale": torch.from_numpy(self.standardiser.scale),
        }

    @classmethod
    def restore(cls, description: dict[str, Any], tensors: dict[str, Tensor]) -> ModelInputs:
        """Rebuild from :meth:`description` and :meth:`tensors`."""
        standardiser = None
        if "standardiser.median" in tensors:
            median, scale = tensors["standardiser.median"].numpy(), tensors["standardiser.scale"].numpy()
            standardiser = Standardiser(as_sensors(description["sensors"]), median, scale)
        return cls(description["branch"], description["image_size"], standardiser)
