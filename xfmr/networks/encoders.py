"""Encoders and decoders of each branch, small enough to read at a glance.

Every encoder ends in a projection without bias, and the vector encoder has no bias at all: with a bias, Deep SVDD
has a trivial solution that maps every input to the centre (Ruff et al., Deep One-Class Classification, ICML 2018,
proposition 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

EMBEDDING_SIZE = 128
PROJECTION_SIZE = 64
VECTOR_WIDTHS = (256,)
IMAGE_BRANCHES = ("image", "raster")

Inputs = Tensor | dict[str, Tensor]
"""Input of a network: for the branch ``dual`` a dictionary of ``image`` and ``vector``, for any other a tensor."""


def mlp(widths: Sequence[int], *, bias: bool) -> nn.Sequential:
    """Stack linear layers of the given widths with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out, bias=bias), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1])


def in_bfloat16_on_gpu(device: torch.device) -> torch.autocast:
    """Return a context that computes convolutions and products in bfloat16 on a GPU and changes nothing on a CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def to_device(network: nn.Module, device: torch.device | str) -> nn.Module:
    """Move a network to a device; on a GPU, put image channels last, the layout that its tensor cores need."""
    if torch.device(device).type == "cuda":
        network = network.to(memory_format=torch.channels_last)
    return network.to(device)


class VectorEncoder(nn.Sequential):
    """(n, d) -> (n, 128): a bias-free MLP."""

    def __init__(self, size: int) -> None:
        super().__init__(*mlp([size, *VECTOR_WIDTHS, EMBEDDING_SIZE], bias=False))

    def last_block(self) -> nn.Module:
        """Return the part that fine-tuning unfreezes: the projection to the embedding."""
        return self[-1]


def vector_decoder(size: int) -> nn.Sequential:
    """Return the decoder (n, 128) -> (n, d): the encoder's widths in reverse, with bias."""
    return mlp([EMBEDDING_SIZE, *reversed(VECTOR_WIDTHS), size], bias=True)


class ImageEncoder(nn.Module):
    """(n, 3, S, S) in 0..1 -> (n, 128): ResNet18 and a bias-free projection.

    On a GPU the trunk runs in bfloat16, channels last. It has group norm instead of batch norm: a record's embedding
    must not depend on the other records of its batch, nor training on how a batch is split over workers.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18  # takes 1.4 s to import, and only image branches need it

        self.trunk = resnet18(norm_layer=group_norm)
        self.trunk.fc = nn.Identity()
        self.projection = nn.Linear(512, EMBEDDING_SIZE, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images."""
        with in_bfloat16_on_gpu(images.device):
            features = self.trunk(images)
        embedding: Tensor = self.projection(features.float())
        return embedding

    def last_block(self) -> nn.Module:
        """Return the part that fine-tuning unfreezes: ResNet's last stage and the projection."""
        return nn.ModuleList([self.trunk.layer4, self.projection])


def group_norm(channels: int) -> nn.GroupNorm:
    """Return the norm layer of a ResNet."""
    return nn.GroupNorm(32, channels)


class ImageDecoder(nn.Module):
    """(n, 128) -> (n, 3, S, S) in 0..1: transposed convolutions from 8 x 8 upwards, then a resize to S."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.start = nn.Linear(EMBEDDING_SIZE, 128 * 8 * 8)
        self.grow = nn.Sequential(
            doubling(128, 64), doubling(64, 32), doubling(32, 16), nn.Conv2d(16, 3, 3, padding=1)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Reconstruct a batch of images."""
        with in_bfloat16_on_gpu(embedding.device):
            images = self.grow(self.start(embedding).unflatten(1, (128, 8, 8))).float()
        resized = nn.functional.interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return torch.sigmoid(resized)


def doubling(n_in: int, n_out: int) -> nn.Sequential:
    """Return layers that double height and width: (n, n_in, h, w) -> (n, n_out, 2 h, 2 w)."""
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1), nn.GroupNorm(8, n_out), nn.LeakyReLU(0.1)
    )


class DualEncoder(nn.Module):
    """An image and a vector of one record -> (n, 128): two encoders, fused by a bias-free projection.

    Takes ``{"image": (n, 3, S, S), "vector": (n, d)}``.
    """

    def __init__(self, vector_size: int) -> None:
        super().__init__()
        self.image = ImageEncoder()
        self.vector = VectorEncoder(vector_size)
        self.projection = nn.Linear(2 * EMBEDDING_SIZE, EMBEDDING_SIZE, bias=False)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embed a batch of images and vectors."""
        both = torch.cat([self.image(inputs["image"]), self.vector(inputs["vector"])], dim=1)
        embedding: Tensor = self.projection(both)
        return embedding

    def last_block(self) -> nn.Module:
        """Return the part that fine-tuning unfreezes: the last block of each encoder, and the fusion."""
        return nn.ModuleList([self.image.last_block(), self.vector.last_block(), self.projection])


class DualDecoder(nn.Module):
    """(n, 128) -> an input of :class:`DualEncoder`."""

    def __init__(self, image_size: int, vector_size: int) -> None:
        super().__init__()
        self.image = ImageDecoder(image_size)
        self.vector = vector_decoder(vector_size)

    def forward(self, embedding: Tensor) -> dict[str, Tensor]:
        """Reconstruct a batch of images and vectors."""
        return {"image": self.image(embedding), "vector": self.vector(embedding)}


class Autoencoder(nn.Module):
    """An encoder and the decoder that inverts it."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, inputs: Inputs) -> Inputs:
        """Reconstruct a batch."""
        reconstruction: Inputs = self.decoder(self.encoder(inputs))
        return reconstruction


class ContrastiveNetwork(nn.Module):
    """An encoder and a projection head: (n, ...) -> (n, 64) of unit length.

    The head is discarded after pretraining: it removes differences such as gain and noise, which the encoder may keep
    (Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, section 4.2).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.LeakyReLU(0.1), mlp([EMBEDDING_SIZE, EMBEDDING_SIZE, PROJECTION_SIZE], bias=False)
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Project a batch onto the unit sphere."""
        return nn.functional.normalize(self.head(self.encoder(inputs)), dim=1)


class Classifier(nn.Module):
    """An encoder and a linear head over its embedding: (n, ...) -> logits (n, n_classes).

    With :attr:`frozen` set, the encoder gets no gradient.
    """

    def __init__(self, encoder: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.LeakyReLU(0.1), nn.Linear(EMBEDDING_SIZE, n_classes))
        self.frozen = False

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the logits of a batch."""
        embedding = self.encoder(inputs)
        logits: Tensor = self.head(embedding.detach() if self.frozen else embedding)
        return logits


Encoder = VectorEncoder | ImageEncoder | DualEncoder


def build_encoder(branch: str, shape: Sequence[int]) -> Encoder:
    """Build the encoder of a branch.

    Args:
        branch: Name of the branch.
        shape: Shape of a record's input, such as (451,) or (3, 224, 224). For ``dual``, the image's shape followed by
            the vector's, such as (3, 224, 224, 451).
    """
    if branch == "dual":
        return DualEncoder(shape[-1])
    return ImageEncoder() if branch in IMAGE_BRANCHES else VectorEncoder(shape[0])


def build_autoencoder(branch: str, shape: Sequence[int]) -> Autoencoder:
    """Build the autoencoder of a branch; the arguments are those of :func:`build_encoder`."""
    decoder: nn.Module
    if branch == "dual":
        decoder = DualDecoder(shape[2], shape[-1])
    else:
        decoder = ImageDecoder(shape[-1]) if branch in IMAGE_BRANCHES else vector_decoder(shape[0])
    return Autoencoder(build_encoder(branch, shape), decoder)


def to_inputs(rows: NDArray[Any], device: torch.device | str) -> Inputs:
    """Move stored rows to a device and turn them into a network's input.

    Args:
        rows: uint8 images (n, 3, S, S), which are scaled to 0..1; float32 vectors (n, d); or a structured array (n,)
            with such fields.
        device: Target device.
    """
    if rows.dtype.names:
        return {name: _to_input(rows[name], device) for name in rows.dtype.names}
    return _to_input(rows, device)


def _to_input(values: NDArray[Any], device: torch.device | str) -> Tensor:
    tensor = torch.from_numpy(np.require(values, requirements=["C", "W"])).to(device)
    if tensor.dtype != torch.uint8:
        return tensor
    fractions = tensor.float() / 255
    return fractions.contiguous(memory_format=torch.channels_last) if fractions.is_cuda else fractions
