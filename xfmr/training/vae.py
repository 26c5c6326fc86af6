"""Training of the variational autoencoder: absolute residuals, and a divergence with a growing weight."""

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
    """Reconstruct records from latents with added noise.

    Args:
        shape: Shape of the inputs.
        n_members: Number of folds.
        beta: Final weight of the divergence.
        warm_up_epochs: Epochs over which the weight grows from 0 to ``beta``, without which the latents may stay
            unused.
        learning_rate: Learning rate of AdamW.
        seed: Seed of weights and noise.
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
        """Return AdamW over encoders and decoders."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-5)

    def begin_epoch(self, epoch: int) -> None:
        """Set the epoch, on which the weight of the divergence and the noise depend."""
        self.epoch = epoch

    def member_inputs(self, batch: Batch) -> tuple[Inputs, ...]:
        """Return the inputs and the noise of each record."""
        return batch["inputs"], self._noise(batch["rows"]).to(batch["inputs"].device)

    def member_losses(self, member: int, output: Any, inputs: Inputs) -> Tensor:
        """Return each record's mean absolute residual, clamped, plus its weighted divergence."""
        reconstruction, divergence = output
        assert isinstance(inputs, Tensor)
        weight = self.beta * min(1.0, self.epoch / max(1, self.warm_up_epochs))
        loss: Tensor = absolute_residual(reconstruction, inputs) + weight * divergence
        return loss

    def _noise(self, rows: Tensor) -> Tensor:
        """Draw each row's noise for this epoch, independent of batch and worker."""
        noise = np.empty((len(rows), *self.latent_shape), np.float32)
        for place, row in enumerate(rows.tolist()):
            stream = np.random.Philox(key=self.seed, counter=[0, row, self.epoch, 0])
            np.random.Generator(stream).standard_normal(out=noise[place], dtype=np.float32)
        return torch.from_numpy(noise)
