"""Encoders and decoders of each branch, small enough to read at a glance.

Every encoder ends in a projection without bias, and the vector encoder has no bias at all: with a bias, Deep SVDD
has a trivial solution that maps every input to the centre (Ruff et al., Deep One-Class Classification, ICML 2018,
proposition 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

EMBEDDING_SIZE = 128
VECTOR_WIDTHS = (256,)
IMAGE_BRANCHES = ("image", "raster")


def mlp(widths: Sequence[int], *, bias: bool) -> nn.Sequential:
    """Stack linear layers of the given widths, LeakyReLU between them and none after the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out, bias=bias), nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1])


class VectorEncoder(nn.Sequential):
    """(n, d) -> (n, 128): a bias-free MLP."""

    def __init__(self, size: int) -> None:
        super().__init__(*mlp([size, *VECTOR_WIDTHS, EMBEDDING_SIZE], bias=False))

    def last_block(self) -> nn.Module:
        """Return the part that fine-tuning unfreezes: the projection to the embedding."""
        return self[-1]


class ImageEncoder(nn.Module):
    """(n, 3, S, S) in 0..1 -> (n, 128): ResNet18 and a bias-free projection.

    Group norm in place of batch norm: a record's embedding must not depend on the records beside it, nor training
    on how a batch is split over workers.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18  # 1.4 s to import, which the other branches need not wait for

        self.trunk = resnet18(norm_layer=_group_norm)
        self.trunk.fc = nn.Identity()
        self.projection = nn.Linear(512, EMBEDDING_SIZE, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images."""
        embedding: Tensor = self.projection(self.trunk(images))
        return embedding

    def last_block(self) -> nn.Module:
        """Return the part that fine-tuning unfreezes: ResNet's last stage and the projection."""
        return nn.ModuleList([self.trunk.layer4, self.projection])


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels)


class ImageDecoder(nn.Module):
    """(n, 128) -> (n, 3, S, S) in 0..1: up from 8 x 8 by transposed convolutions, resized to S at the end."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.start = nn.Linear(EMBEDDING_SIZE, 128 * 8 * 8)
        self.grow = nn.Sequential(_double(128, 64), _double(64, 32), _double(32, 16), nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, embedding: Tensor) -> Tensor:
        """Reconstruct a batch of images."""
        images = self.grow(self.start(embedding).unflatten(1, (128, 8, 8)))
        resized = nn.functional.interpolate(images, size=(self.size, self.size), mode="bilinear", align_corners=False)
        return torch.sigmoid(resized)


def _double(n_in: int, n_out: int) -> nn.Sequential:
    """Double the height and width."""
    return nn.Sequential(
        nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1), nn.GroupNorm(8, n_out), nn.LeakyReLU(0.1)
    )


class Autoencoder(nn.Module):
    """An encoder and the decoder that inverts it."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def forward(self, inputs: Tensor) -> Tensor:
        """Reconstruct a batch."""
        reconstruction: Tensor = self.decoder(self.encoder(inputs))
        return reconstruction


class Classifier(nn.Module):
    """An encoder and a linear head over its embedding: (n, ...) -> logits (n, n_classes).

    With :attr:`frozen` set, the encoder gets no gradient.
    """

    def __init__(self, encoder: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.LeakyReLU(0.1), nn.Linear(EMBEDDING_SIZE, n_classes))
        self.frozen = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits of a batch."""
        embedding = self.encoder(inputs)
        logits: Tensor = self.head(embedding.detach() if self.frozen else embedding)
        return logits


def build_encoder(branch: str, shape: Sequence[int]) -> VectorEncoder | ImageEncoder:
    """Make the encoder of a branch for inputs of ``shape``, such as (451,) or (3, 224, 224)."""
    return ImageEncoder() if branch in IMAGE_BRANCHES else VectorEncoder(shape[0])


def build_autoencoder(branch: str, shape: Sequence[int]) -> Autoencoder:
    """Make the autoencoder of a branch for inputs of ``shape``."""
    decoder: nn.Module
    if branch in IMAGE_BRANCHES:
        decoder = ImageDecoder(shape[-1])
    else:
        decoder = mlp([EMBEDDING_SIZE, *reversed(VECTOR_WIDTHS), shape[0]], bias=True)
    return Autoencoder(build_encoder(branch, shape), decoder)


def as_input(batch: Tensor) -> Tensor:
    """Turn stored values into a network's input: uint8 images to 0..1, anything else as it is."""
    return batch.float() / 255 if batch.dtype == torch.uint8 else batch
