"""A model in one file: safetensors holding the weights and every scaler, with the settings in its header.

safetensors carries no code, so a file from anywhere can be opened. It has no checksum either, so the header holds a
digest of all the rest.
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
    """Serialise tensors and a JSON description of what they are."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(description, sort_keys=True)
    # One entry for both: safetensors writes several in any order, and the same model should be the same file.
    return bytes(save(contiguous, metadata={"xfmr": f"{_digest(contiguous, text)} {text}"}))


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    """Hash the description and every tensor with its name, type and shape."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True)
class StoredModel:
    """What a model's file holds.

    Args:
        tensors: Weights and scalers by name; ``name`` is the file's, for messages.
    """

    name: str
    description: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``prefix.``, without it."""
        start = f"{prefix}."
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def load_into(self, network: nn.Module, prefix: str) -> None:
        """Set a network's weights from the tensors under ``prefix``.

        Raises:
            XfmrError: Where they are not the network's.
        """
        try:
            network.load_state_dict(self.part(prefix))
        except RuntimeError as error:
            raise XfmrError(f"{self.name} does not hold the weights it should: {_REMEDY}") from error


def from_bytes(data: bytes, name: str, *, kind: str | tuple[str, ...]) -> StoredModel:
    """Read what :func:`to_bytes` wrote.

    Args:
        data: The file's content.
        name: The file's name, for messages.
        kind: What the description must call it; of several, one.

    Raises:
        XfmrError: Where the file is truncated, damaged or not one of xfmr's of this kind.
    """
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        digest, _, text = json.loads(data[8 : 8 + length])["__metadata__"]["xfmr"].partition(" ")
        if digest != _digest(tensors, text):
            raise ValueError("its digest is another")
        description = json.loads(text)
    except (SafetensorError, ValueError, KeyError) as error:
        raise XfmrError(f"{name} is not a whole xfmr model ({error}): {_REMEDY}") from error
    kinds = (kind,) if isinstance(kind, str) else kind
    if description.get("kind") not in kinds:
        raise XfmrError(f"{name} holds a {description.get('kind')}, not a {' or '.join(kinds)}: {_REMEDY}")
    return StoredModel(name, description, tensors)
