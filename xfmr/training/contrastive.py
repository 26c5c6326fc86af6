"""Contrastive pretraining (NT-Xent): the encoder learns to recognise a record after augmentation."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xfmr.errors import XfmrError
from xfmr.networks.encoders import ContrastiveNetwork, Inputs, build_encoder
from xfmr.networks.losses import nt_xent
from xfmr.training.augment import Augmentation
from xfmr.training.loop import Batch, Metrics, Worker
from xfmr.training.members import MemberTask

# Spread is the root mean square distance of unit vectors from their mean: 1 if they point in all directions, 0 if all
# are equal. Below this, float32 cannot distinguish them.
LEAST_SPREAD = 1e-3


class ContrastiveTask(MemberTask):
    """Find the other view of each record among the views of the whole batch, over all workers.

    Each member does so among the records of the other folds.
    """

    views = 2

    def __init__(
        self, *, branch: str, shape: tuple[int, ...], n_members: int, learning_rate: float, seed: int
    ) -> None:
        torch.manual_seed(seed)
        super().__init__([ContrastiveNetwork(build_encoder(branch, shape)) for _ in range(n_members)])
        self.learning_rate = learning_rate
        self.augmentation = Augmentation(seed)
        self.epoch = 0
        self._sums: list[Tensor] = []

    def optimiser(self) -> torch.optim.Optimizer:
        """Return AdamW over encoders and heads."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-5)

    def begin_epoch(self, epoch: int) -> None:
        """Set the epoch, so that its views differ from those of other epochs."""
        self.epoch = epoch
        self._sums = [torch.zeros(()) for _ in self.members]

    def member_inputs(self, batch: Batch) -> tuple[Inputs, ...]:
        """Return two views of each record: all first views, then all second views."""
        return (self.augmentation(batch["inputs"], batch["rows"], self.epoch),)

    def member_losses(self, member: int, output: Tensor, inputs: Inputs) -> Tensor:
        """Return the NT-Xent loss of each record."""
        pairs = torch.stack(output.chunk(2), dim=1)
        self._sums[member] = self._sums[member].to(pairs.device) + _sums_of(pairs.detach())
        return nt_xent(pairs, *of_all_workers(pairs))

    def end_epoch(self, worker: Worker) -> Metrics:
        """Return the spread of the views, the least of all members.

        Raises:
            XfmrError: If all views of a member fell on one point.
        """
        sums = worker.total(torch.stack(self._sums))
        count, squares, total = sums.split([1, 1, sums.shape[1] - 2], dim=1)
        spreads = (squares / count - (total / count).square().sum(1, keepdim=True)).clamp(min=0).sqrt()
        spread = float(spreads.min())
        if not spread > LEAST_SPREAD:
            raise XfmrError(
                f"contrastive pretraining collapsed: all views fell on one point (spread {spread:.3g}); "
                "lower --pretrain.learning-rate, or use --pretrain.objective ae"
            )
        return {"spread": spread}


def _sums_of(pairs: Tensor) -> Tensor:
    """Return the number of views, the sum of their squares and their sum, in float64: (m, 2, d) -> (2 + d,)."""
    views = pairs.flatten(0, 1).double()
    return torch.cat([views.new_full((1,), len(views)), views.square().sum()[None], views.sum(0)])


def of_all_workers(values: Tensor) -> tuple[Tensor, int]:
    """Concatenate the rows of all workers; gradients flow back to the worker that each row came from.

    Args:
        values: This worker's rows, (m, ...); m may differ between workers.

    Returns:
        All rows, (n, ...), in order of worker, and the position of this worker's first row.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return values, 0
    counts = torch.zeros(dist.get_world_size(), dtype=torch.int64, device=values.device)
    counts[dist.get_rank()] = len(values)
    dist.all_reduce(counts)
    before, after = int(counts[: dist.get_rank()].sum()), int(counts[dist.get_rank() + 1 :].sum())
    blank = values.new_zeros
    padded = torch.cat([blank(before, *values.shape[1:]), values, blank(after, *values.shape[1:])])
    total: Tensor = _SumOverWorkers.apply(padded)
    return total, before


class _SumOverWorkers(torch.autograd.Function):
    """All-reduce with an all-reduced gradient, since every worker's loss depends on every worker's rows."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total
