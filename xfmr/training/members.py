"""The train task of fold members: one run trains all of them, each on the records of the other folds."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xfmr.networks.encoders import Inputs
from xfmr.networks.members import Members, rows_of
from xfmr.training.loop import Batch, Task


class MemberTask(Task):
    """Train one network per fold on rows with their ``folds``."""

    # Views of a record. A member's input holds the first view of all records, then the second.
    views = 1

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.members = Members(networks)
        self.network: nn.Module = self.members

    def member_inputs(self, batch: Batch) -> tuple[Inputs, ...]:
        """Return the inputs of the members, each of ``views`` x n rows."""
        return (batch["inputs"],)

    @abstractmethod
    def member_losses(self, member: int, output: Any, inputs: Inputs) -> Tensor:
        """Return the loss of each record that a member learns from, shape (m,).

        Args:
            member: Position of the member.
            output: The member's output for its rows.
            inputs: Its m records as they were stored.
        """

    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return each record's mean loss over the members that learn from it."""
        folds: Tensor = batch["folds"]
        total = torch.zeros(len(folds), device=folds.device)
        for member, output in enumerate(network(folds.repeat(self.views), *self.member_inputs(batch))):
            rows = torch.nonzero(folds != member).squeeze(1)
            total = total.index_add(0, rows, self.member_losses(member, output, rows_of(batch["inputs"], rows)))
        return total / (len(self.members) - 1)
