"""Fold members: networks of one make, each trained without one fold of the records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from xfmr.networks.encoders import EMBEDDING_SIZE, Inputs, build_autoencoder, build_encoder
from xfmr.networks.losses import reconstruction_loss, squared_distance
from xfmr.networks.vae import build_vae

MemberKind = Literal["ae", "svdd", "vae"]

# Weight of the divergence beside the residual in a variational autoencoder's score.
_DIVERGENCE_WEIGHT = 0.1


class Members(nn.ModuleList):
    """One network for each fold, applied to what it may learn from."""

    def forward(self, folds: Tensor, *inputs: Inputs) -> list[Any]:
        """Apply each member to the rows that are not of its fold.

        One member after the other: stacked weights under ``torch.vmap`` took 14.5 ms a step where this takes 12.2
        (five vector autoencoders, 64 records, one core), since they cannot leave out a row.

        Args:
            folds: Fold of each row, shape (n,).
            inputs: What a member takes, each of shape (n, ...).

        Returns:
            The output of each member for its own rows.
        """
        return [member(*(rows_of(each, folds != fold) for each in inputs)) for fold, member in enumerate(self)]


def rows_of(inputs: Inputs, chosen: Tensor) -> Inputs:
    """Choose rows of a network's input, by number or by a mask."""
    if isinstance(inputs, dict):
        return {name: part[chosen] for name, part in inputs.items()}
    return inputs[chosen]


class ReconstructionError(nn.Module):
    """Mean squared residual of an autoencoder, summed over parts: (n, ...) -> (n,)."""

    def __init__(self, autoencoder: nn.Module) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, inputs: Inputs) -> Tensor:
        """Score a batch."""
        return reconstruction_loss(self.autoencoder(inputs), inputs, clamp=math.inf)


class SphereDistance(nn.Module):
    """Distance of an embedding from a hypersphere's centre, in its radii: (n, ...) -> (n,)."""

    centre: Tensor
    radius: Tensor

    def __init__(self, encoder: nn.Module, centre: Tensor, radius: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("centre", centre.clone())
        self.register_buffer("radius", radius.clone())

    def forward(self, inputs: Inputs) -> Tensor:
        """Score a batch."""
        return squared_distance(self.encoder(inputs), self.centre).sqrt() / self.radius


class VariationalError(nn.Module):
    """Mean absolute residual of a variational autoencoder and a tenth of its divergence: (n, ...) -> (n,)."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, inputs: Tensor) -> Tensor:
        """Score a batch, reconstructed from the latents' means."""
        reconstruction, divergence = self.vae(inputs)
        score: Tensor = (reconstruction - inputs).abs().flatten(1).mean(1) + _DIVERGENCE_WEIGHT * divergence
        return score


def build_member(kind: MemberKind, branch: str, shape: Sequence[int]) -> nn.Module:
    """Make what turns inputs of ``shape`` into positive scores (n,), with weights yet to be set."""
    if kind == "ae":
        return ReconstructionError(build_autoencoder(branch, shape))
    if kind == "vae":
        return VariationalError(build_vae(shape))
    return SphereDistance(build_encoder(branch, shape), torch.zeros(EMBEDDING_SIZE), torch.ones(()))
