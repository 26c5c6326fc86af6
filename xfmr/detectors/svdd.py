"""Deep SVDD as a detector: the distance of a record's embedding from the hypersphere's centre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.inputs import ModelInputs
from xfmr.models.checkpoint import from_bytes, to_bytes
from xfmr.models.inference import run_network
from xfmr.models.losses import squared_distance
from xfmr.models.networks import build_encoder


@dataclass(frozen=True)
class SvddDetector:
    """A fitted Deep SVDD.

    Args:
        inputs: From features to the encoder's input.
        shape: The encoder's input shape.
        encoder: Maps inputs to embeddings.
        centre: Of the hypersphere, shape (d,).
        radius: Of the soft boundary; 0 with the one-class objective.
    """

    inputs: ModelInputs
    shape: tuple[int, ...]
    encoder: nn.Module
    centre: Tensor
    radius: float

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read."""
        return self.inputs.columns

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table: distance to the centre less the radius, float32 (n,)."""
        if len(table) == 0:
            return np.empty(0, np.float32)
        embedding = run_network(self.encoder, self.inputs(table))
        return (squared_distance(embedding, self.centre).sqrt() - self.radius).numpy()

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
        tensors = {f"encoder.{name}": tensor for name, tensor in self.encoder.state_dict().items()}
        description = {"kind": "svdd", "shape": self.shape, "radius": self.radius, **self.inputs.description()}
        return to_bytes({**tensors, **self.inputs.tensors(), "centre": self.centre}, description)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> SvddDetector:
        """Read what :meth:`to_bytes` wrote.

        Raises:
            XfmrError: Where the file is damaged.
        """
        model = from_bytes(data, name, kind="svdd")
        description = model.description
        shape = tuple(description["shape"])
        encoder = build_encoder(description["branch"], shape)
        model.load_into(encoder, "encoder")
        inputs = ModelInputs.restore(description, model.tensors)
        return cls(inputs, shape, encoder, model.tensors["centre"], float(description["radius"]))
