"""The ensemble: a weighted mean of other detectors' calibrated scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.base import Detector
from xfmr.networks.checkpoint import StoredModel, to_bytes


@dataclass(frozen=True)
class EnsembleDetector:
    """Detectors whose scores are averaged.

    Args:
        members: Each scores in sigmas of held-out history.
        weights: Positive, one a member.
    """

    members: tuple[Detector, ...]
    weights: tuple[float, ...]

    @property
    def columns(self) -> list[str]:
        """The feature columns that any member reads."""
        return list(dict.fromkeys(column for member in self.members for column in member.columns))

    @property
    def history_ids(self) -> NDArray[np.int64]:
        """Ids of the records that any member knows, ascending."""
        return reduce(np.union1d, [member.history_ids for member in self.members])

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, float32 (n,)."""
        scores = np.stack([member.score(table) for member in self.members])
        return np.average(scores, axis=0, weights=self.weights).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise the members, each whole as its own file would be."""
        files = [torch.frombuffer(bytearray(member.to_bytes()), dtype=torch.uint8) for member in self.members]
        tensors = {f"member.{place}": file for place, file in enumerate(files)}
        return to_bytes(tensors, {"kind": "ensemble", "weights": self.weights})

    @classmethod
    def restore(cls, model: StoredModel, read: Callable[[bytes, str], Detector]) -> EnsembleDetector:
        """Rebuild from what :meth:`to_bytes` wrote.

        Args:
            model: The ensemble's file.
            read: Reads a member's file, of a name.
        """
        weights = tuple(model.description["weights"])
        files = [model.tensors[f"member.{place}"].numpy().tobytes() for place in range(len(weights))]
        return cls(tuple(read(file, model.name) for file in files), weights)
