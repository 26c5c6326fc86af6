"""Autoencoder pretraining: the encoders learn to represent the records of the fleet."""

from __future__ import annotations

import torch
from torch import Tensor

from xfmr.networks.encoders import Inputs, build_autoencoder
from xfmr.networks.losses import reconstruction_loss
from xfmr.training.members import MemberTask


class PretrainTask(MemberTask):
    """Reconstruct the inputs from the embedding; each member leaves out its fold."""

    def __init__(
        self, *, branch: str, shape: tuple[int, ...], n_members: int, learning_rate: float, seed: int
    ) -> None:
        torch.manual_seed(seed)
        super().__init__([build_autoencoder(branch, shape) for _ in range(n_members)])
        self.learning_rate = learning_rate

    def optimiser(self) -> torch.optim.Optimizer:
        """Return AdamW over encoders and decoders."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-5)

    def member_losses(self, member: int, output: Inputs, inputs: Inputs) -> Tensor:
        """Return the clamped squared error of each record."""
        return reconstruction_loss(output, inputs)
