"""Deep SVDD as a detector: the distance of a record's embedding from the hypersphere's centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.inputs import ModelInputs
from xfmr.models.checkpoint import StoredModel, to_bytes
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
        history_ids: Ids of the records it was trained on, shape (m,).
    """

    inputs: ModelInputs
    shape: tuple[int, ...]
    encoder: nn.Module
    centre: Tensor
    radius: float
    history_ids: NDArray[np.int64]

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
        ids = torch.from_numpy(self.history_ids)
        description = {"kind": "svdd", "shape": self.shape, "radius": self.radius, **self.inputs.description()}
        return to_bytes({**tensors, **self.inputs.tensors(), "centre": self.centre, "ids": ids}, description)

    @classmethod
    def restore(cls, model: StoredModel) -> SvddDetector:
        """Rebuild from what :meth:`to_bytes` wrote.

        Raises:
            XfmrError: Where the weights are not those of the encoder that the file names.
        """
        description = model.description
        shape = tuple(description["shape"])
        encoder = build_encoder(description["branch"], shape)
        model.load_into(encoder, "encoder")
        inputs = ModelInputs.restore(description, model.tensors)
        return cls(
            inputs,
            shape,
            encoder,
            model.tensors["centre"],
            float(description["radius"]),
            model.tensors["ids"].numpy(),
        )


def assemble(state: dict[str, Any], pretrained: StoredModel, *, soft: bool) -> SvddDetector:
    """Build the detector from the final state of training.

    Args:
        state: ``network`` and ``task``, as :func:`xfmr.training.run.fit` returns them.
        pretrained: The encoder that training began with, and how its inputs are made.
        soft: Whether the objective was the soft boundary, whose radius the score is measured from.
    """
    inputs = ModelInputs.restore(pretrained.description, pretrained.tensors)
    shape = tuple(pretrained.description["shape"])
    encoder = build_encoder(inputs.branch, shape)
    encoder.load_state_dict(state["network"])
    radius = float(state["task"]["radius"]) if soft else 0.0
    ids = pretrained.tensors["history.record_ids"].numpy()
    return SvddDetector(inputs, shape, encoder, state["task"]["centre"], radius, ids)
