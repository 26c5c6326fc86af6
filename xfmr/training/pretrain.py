"""Autoencoder pretraining: the encoder learns what records of this fleet are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xfmr.models.losses import reconstruction_loss
from xfmr.models.networks import build_autoencoder
from xfmr.training.loop import Batch, Task


class PretrainTask(Task):
    """Reconstruct the inputs through the embedding."""

    def __init__(self, *, branch: str, shape: tuple[int, ...], learning_rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        self.network: nn.Module = build_autoencoder(branch, shape)
        self.learning_rate = learning_rate

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW over encoder and decoder."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-5)

    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Clamped squared error of each record."""
        return reconstruction_loss(network(batch["inputs"]), batch["inputs"])
