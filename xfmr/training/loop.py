"""The one train loop: any task, any number of workers, resumable from every checkpoint.

The order of the records depends on seed and epoch alone. The workers share each global batch, and their gradients add
up to that of the whole batch. So the result does not depend on interruptions nor, up to rounding, on the number of
workers. This module does not import Ray: :mod:`xfmr.training.worker` runs the loop in a Ray Train worker,
:class:`xfmr.training.trainer.LocalTrainer` runs it in this process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.networks.encoders import to_device, to_inputs

Batch = dict[str, Any]
"""Tensors by name; the inputs of a branch with several parts are a dictionary of tensors."""
Metrics = dict[str, float]
State = dict[str, Any]
"""State of a training run: ``network``, ``optimiser``, ``task`` and ``progress``."""


@dataclass(frozen=True)
class Data:
    """Arrays of the same length: ``inputs`` and the further columns that the task reads."""

    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["inputs"])

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> Batch:
        """Move some rows to a device, and add their positions as ``rows``."""
        moved = {name: to_inputs(column[rows], device) for name, column in self.columns.items()}
        return {**moved, "rows": torch.from_numpy(rows).to(device)}


@dataclass(frozen=True)
class Schedule:
    """Number of epochs, batch size over all workers together, and seed."""

    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Worker:
    """One of ``world`` workers."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def alone(cls) -> Worker:
        """Return a worker that trains alone, in this process."""
        return cls(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def total(self, values: Tensor) -> Tensor:
        """Sum a tensor over all workers."""
        if self.world > 1:
            torch.distributed.all_reduce(values)
        return values

    def broadcast_flag(self, flag: bool) -> bool:
        """Return the first worker's flag on every worker."""
        return bool(self.total(torch.tensor(float(flag and self.rank == 0), device=self.device)))

    def gather(self, values: Tensor) -> Tensor:
        """Concatenate one-dimensional tensors of any lengths over all workers."""
        if self.world == 1:
            return values
        gathered: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(gathered, values.cpu())
        return torch.cat(gathered).to(values.device)

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this worker's share of some rows."""
        return rows[self.rank :: self.world]


class Task(ABC):
    """A network, its losses and its work between epochs."""

    network: nn.Module
    # True if some parameters get no gradient in some steps.
    partly_frozen = False
    # Records to compare epochs by; never trained on.
    validation: Data | None = None

    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser of the network's parameters."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of each record of a batch, shape (n,); ``network`` may be wrapped for several workers."""

    def begin(self, data: Data, worker: Worker) -> None:
        """Prepare the first epoch; not called when training resumes."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare an epoch."""

    def order(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the rows of an epoch, in order."""
        return torch.randperm(n, generator=generator)

    def end_epoch(self, worker: Worker) -> Metrics:
        """Finish an epoch and return its metrics, the same on every worker.

        Raises:
            XfmrError: If training must stop.
        """
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return the task's state for a checkpoint, besides the network."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the output of :meth:`state`."""


@dataclass
class Progress:
    """The finished epochs and their metrics."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def add(self, metrics: Metrics) -> None:
        """Count a finished epoch."""
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **metrics})


@dataclass
class Training:
    """A training run in one worker.

    Args:
        task: The task, its network on the worker's device.
        network: The task's network, wrapped if there are several workers.
        optimiser: Optimiser of the network's parameters.
        data: All records; each worker takes its share of every batch.
        schedule: Epochs, batch size and seed.
        worker: This process.
        progress: The finished epochs.
    """

    task: Task
    network: nn.Module
    optimiser: torch.optim.Optimizer
    data: Data
    schedule: Schedule
    worker: Worker
    progress: Progress

    @classmethod
    def of(cls, task: Task, data: Data, schedule: Schedule, worker: Worker) -> Training:
        """Prepare a training run before its first epoch."""
        to_device(task.network, worker.device)
        return cls(task, task.network, task.optimiser(), data, schedule, worker, Progress())

    def state(self) -> State:
        """Return the state for a checkpoint."""
        return {
            "network": self.task.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "task": self.task.state(),
            "progress": asdict(self.progress),
        }

    def restore(self, state: State) -> None:
        """Restore the state of a checkpoint."""
        self.task.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.task.restore(state["task"])
        self.progress = Progress(**state["progress"])

    def epochs(self) -> Iterator[Metrics]:
        """Train the remaining epochs and yield the metrics of each."""
        while self.progress.epoch < self.schedule.epochs:
            self.progress.add(self._epoch(self.progress.epoch))
            yield self.progress.history[-1]

    def _epoch(self, epoch: int) -> Metrics:
        """Train one epoch."""
        task, worker = self.task, self.worker
        task.begin_epoch(epoch)
        self.network.train()
        loss_sum = torch.zeros(2, dtype=torch.float64, device=worker.device)
        for rows in self._batches(epoch):
            losses = task.losses(self.network, self.data.batch(worker.share(rows), worker.device))
            # Gradients are averaged over workers, so each worker scales its sum of losses by the number of workers.
            loss = losses.sum() * (worker.world / len(rows))
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            loss_sum += torch.stack([losses.detach().double().sum(), torch.tensor(float(len(losses))).to(loss_sum)])
        total, count = worker.total(loss_sum).tolist()
        return {"loss": total / count, **task.end_epoch(worker)}

    def _batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the rows of each global batch."""
        generator = torch.Generator().manual_seed(self.schedule.seed * 1_000_003 + epoch)
        order = self.task.order(len(self.data), generator).numpy()
        for start in range(0, len(order), self.schedule.batch_size):
            yield order[start : start + self.schedule.batch_size]
