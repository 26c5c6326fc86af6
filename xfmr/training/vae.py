"""The variational autoencoder's training: absolute residuals and a divergence whose weight is warmed up."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xfmr.networks.encoders import Inputs
from xfmr.networks.losses import absolute_residual
from xfmr.networks.vae import build_vae
from xfmr.training.loop import Batch
from xfmr.training.members import MemberTask


class VaeTask(MemberTask):
    """Reconstruct rows from latents with noise on them.

    Args:
        shape: Of the inputs.
        n_members: Number of folds.
        beta: Weight of the divergence in the end.
        warm_up_epochs: Epochs over which it grows to that from 0, so that the latents are used at all.
        learning_rate: Of AdamW.
        seed: Of weights and noise.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        n_members: int,
        beta: float,
        warm_up_epochs: int,
        learning_rate: float,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        networks = [build_vae(shape) for _ in range(n_members)]
        super().__init__(networks)
        self.latent_shape = networks[0].latent_shape
        self.beta = beta
        self.warm_up_epochs = warm_up_epochs
        self.learning_rate = learning_rate
        self.seed = seed
        self.epoch = 0

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW over encoders and decoders."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-5)

    def begin_epoch(self, epoch: int) -> None:
        """Note the epoch, on which the divergence's weight and the noise depend."""
        self.epoch = epoch

    def member_inputs(self, batch: Batch) -> tuple[Inputs, ...]:
        """Give each record its noise."""
        return batch["inputs"], self._noise(batch["rows"]).to(batch["inputs"].device)

    def member_losses(self, member: int, output: Any, inputs: Inputs) -> Tensor:
        """Mean absolute residual, clamped, and weighted divergence of each record."""
        reconstruction, divergence = output
        assert isinstance(inputs, Tensor)
        weight = self.beta * min(1.0, self.epoch / max(1, self.warm_up_epochs))
        loss: Tensor = absolute_residual(reconstruction, inputs) + weight * divergence
        return loss

    def _noise(self, rows: Tensor) -> Tensor:
        """Draw each row's noise of this epoch, the same in whatever batch and on whichever worker it is."""
        noise = np.empty((len(rows), *self.latent_shape), np.float32)
        for place, row in enumerate(rows.tolist()):
            stream = np.random.Philox(key=self.seed, counter=[0, row, self.epoch, 0])
            np.random.Generator(stream).standard_normal(out=noise[place], dtype=np.float32)
        return torch.from_numpy(noise)
