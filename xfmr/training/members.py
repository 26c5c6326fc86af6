"""The train task of fold members: all in one run, each on the records of the other folds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xfmr.models.members import Members
from xfmr.training.loop import Batch, Task


class MemberTask(Task):
    """Train one network a fold on rows that carry their ``folds``."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.members = Members(networks)
        self.network: nn.Module = self.members

    def member_inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return what the members take, each of shape (n, ...)."""
        return (batch["inputs"],)

    @abstractmethod
    def member_losses(self, member: int, output: Any, inputs: Tensor) -> Tensor:
        """Return one loss for each of a member's rows, shape (m,).

        Args:
            member: Which of the members.
            output: What it makes of its rows.
            inputs: Its rows, (m, ...).
        """

    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean loss of each record over the members that learn from it."""
        inputs, folds = batch["inputs"], batch["folds"]
        total = torch.zeros(len(folds), device=folds.device)
        for member, output in enumerate(network(folds, *self.member_inputs(batch))):
            rows = torch.nonzero(folds != member).squeeze(1)
            total = total.index_add(0, rows, self.member_losses(member, output, inputs[rows]))
        return total / (len(self.members) - 1)
