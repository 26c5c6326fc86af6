"""Fold members: one network per fold, each trained without the records of its fold."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from xfmr.networks.encoders import Inputs
from xfmr.networks.losses import reconstruction_loss, squared_distance

# Weight of the divergence relative to the residual in the score of a variational autoencoder.
_DIVERGENCE_WEIGHT = 0.1


class Members(nn.ModuleList):
    """One network per fold, each applied to the records of the other folds."""

    def forward(self, folds: Tensor, *inputs: Inputs) -> list[Any]:
        """Apply each member to the rows outside its fold.

        The members run one after another: 12.2 ms per step. Stacked weights under ``torch.vmap`` cannot skip a row
        and took 14.5 ms (five vector autoencoders, 64 records, one core).

        Args:
            folds: Fold of each row, shape (n,).
            inputs: Inputs of a member, each of shape (n, ...).

        Returns:
            Each member's output for its rows.
        """
        return [member(*(rows_of(each, folds != fold) for each in inputs)) for fold, member in enumerate(self)]


def rows_of(inputs: Inputs, chosen: Tensor) -> Inputs:
    """Return the rows of a network's input at some positions, or where a mask is True."""
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
    """Distance of an embedding from the centre of a hypersphere, in radii: (n, ...) -> (n,)."""

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
    """Mean absolute residual of a variational autoencoder plus a tenth of its divergence: (n, ...) -> (n,)."""

    def __init__(self, vae: nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, inputs: Tensor) -> Tensor:
        """Score a batch by its reconstruction from the means of the latents."""
        reconstruction, divergence = self.vae(inputs)
        score: Tensor = (reconstruction - inputs).abs().flatten(1).mean(1) + _DIVERGENCE_WEIGHT * divergence
        return score
