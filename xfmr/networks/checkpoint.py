"""The file of a model: safetensors with the weights and every scaler, and the settings in its header.

safetensors carries no code, so a file from an unknown source can be opened safely. It has no checksum either, so the
header holds a digest of everything else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from xfmr.errors import XfmrError

_REMEDY = "remove its folder and train again"


def to_bytes(tensors: dict[str, Tensor], description: dict[str, Any]) -> bytes:
    """Serialise tensors and their description, which must be JSON."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(description, sort_keys=True)
    # A single metadata entry: safetensors writes several in any order, and equal models should give equal files.
    return bytes(save(contiguous, metadata={"xfmr": f"{_digest(contiguous, text)} {text}"}))


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    """Hash the description and the name, dtype, shape and values of every tensor."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class StoredModel:
    """The contents of a model's file.

    Args:
        name: Name of the file, for messages.
        description: The settings in its header.
        tensors: Weights and scalers by name.
    """

    name: str
    description: dict[str, Any]
    tensors: dict[str, Tensor]

    def tensors_under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``prefix.``, by the rest of their names."""
        start = f"{prefix}."
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def load_into(self, network: nn.Module, prefix: str) -> None:
        """Set a network's weights from the tensors under ``prefix``.

        Raises:
            XfmrError: If they do not fit the network.
        """
        try:
            network.load_state_dict(self.tensors_under(prefix))
        except RuntimeError as error:
            raise XfmrError(f"{self.name} does not hold the weights it should: {_REMEDY}") from error


def from_bytes(data: bytes, name: str, *, kind: str | tuple[str, ...]) -> StoredModel:
    """Read the output of :func:`to_bytes`.

    Args:
        data: Contents of the file.
        name: Name of the file, for messages.
        kind: Kind of model that the description must name, or a choice of several.

    Raises:
        XfmrError: If the file is truncated, damaged, not written by xfmr, or of another kind.
    """
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        digest, _, text = json.loads(data[8 : 8 + length])["__metadata__"]["xfmr"].partition(" ")
        if digest != _digest(tensors, text):
            raise ValueError("its digest does not match")
        description = json.loads(text)
    except (SafetensorError, ValueError, KeyError) as error:
        raise XfmrError(f"{name} is not a whole xfmr model ({error}): {_REMEDY}") from error
    kinds = (kind,) if isinstance(kind, str) else kind
    if description.get("kind") not in kinds:
        raise XfmrError(f"{name} holds a {description.get('kind')}, not a {' or '.join(kinds)}: {_REMEDY}")
    return StoredModel(name, description, tensors)
