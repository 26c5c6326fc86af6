"""The trained fault classifier: features in, fault type and confidence out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.networks.checkpoint import StoredModel, from_bytes, to_bytes
from xfmr.networks.encoders import Classifier, build_encoder
from xfmr.networks.inference import run_network
from xfmr.views.inputs import NetworkInputs


@dataclass(frozen=True)
class FaultClassifier:
    """A trained classifier.

    Args:
        inputs: Turns features into the network's input.
        shape: Shape of the network's input.
        network: Maps inputs to logits (n, k).
        classes: The k classes, ``normal`` among them.
        trained_on: Ids of the records it was trained on, int64.
    """

    inputs: NetworkInputs
    shape: tuple[int, ...]
    network: nn.Module
    classes: tuple[str, ...]
    trained_on: Tensor

    @classmethod
    def assemble(cls, inputs: NetworkInputs, stored: StoredModel) -> FaultClassifier:
        """Build the classifier from the description and the tensors under ``network.`` of a stored model."""
        shape, classes = tuple(stored.description["shape"]), tuple(stored.description["classes"])
        network = Classifier(build_encoder(inputs.branch, shape), len(classes))
        stored.load_into(network, "network")
        return cls(inputs, shape, network, classes, stored.tensors["trained_on"])

    @property
    def columns(self) -> list[str]:
        """The feature columns that it reads."""
        return self.inputs.columns

    def predict(self, table: pa.Table) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
        """Return the most probable class of each row of a features table, and its probability: (n,), (n,)."""
        if len(table) == 0:
            return np.empty(0, str), np.empty(0, np.float32)
        probabilities = run_network(self.network, self.inputs(table)).softmax(1)
        confidence, index = probabilities.max(1)
        return np.array(self.classes)[index.numpy()], confidence.numpy()

    def to_bytes(self) -> bytes:
        """Serialise everything that prediction needs."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        description = {
            "kind": "classifier",
            "shape": self.shape,
            "classes": self.classes,
            **self.inputs.description(),
        }
        return to_bytes({**tensors, **self.inputs.tensors(), "trained_on": self.trained_on}, description)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> FaultClassifier:
        """Read the output of :meth:`to_bytes`.

        Args:
            data: Contents of the file.
            name: Name of the file, for messages.

        Raises:
            XfmrError: If the file is damaged or holds no classifier.
        """
        model = from_bytes(data, name, kind="classifier")
        return cls.assemble(NetworkInputs.restore(model.description, model.tensors), model)
