"""The one train loop: any task, any number of workers, resumable after every checkpoint.

The order of records is drawn from (seed, epoch) alone and each global batch is shared out over the workers, whose
summed gradients are those of the whole batch. So the result does not depend on the number of workers, up to
rounding, nor on being interrupted.
"""

from __future__ import annotations

import io
import pickle
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray.train
import ray.train.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.errors import XfmrError
from xfmr.networks.encoders import to_device, to_inputs

# Tensors, but for the inputs of a branch of several parts.
Batch = dict[str, Any]
Metrics = dict[str, float]
State = dict[str, Any]
"""Of a training: ``network``, ``optimiser``, ``task`` and ``progress``."""

# A checkpoint costs about 30 ms on a local disk; one this often keeps its share small and little work at risk.
_CHECKPOINT_INTERVAL_S = 10.0
STATE_FILE = "state.pt"


@dataclass(frozen=True)
class Data:
    """Arrays of one length, row for row: ``inputs`` and whatever else the task reads."""

    columns: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.columns["inputs"])

    def batch(self, rows: NDArray[np.int64], device: torch.device) -> Batch:
        """Move some rows to a device, with their numbers as ``rows``."""
        moved = {name: to_inputs(column[rows], device) for name, column in self.columns.items()}
        return {**moved, "rows": torch.from_numpy(rows).to(device)}


@dataclass(frozen=True)
class Schedule:
    """How long and in what steps to train; ``batch_size`` counts the records of all workers together."""

    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Worker:
    """This worker among the others."""

    rank: int
    world: int
    device: torch.device

    @classmethod
    def here(cls) -> Worker:
        """Describe the Ray Train worker that this process is."""
        context = ray.train.get_context()
        return cls(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())

    @classmethod
    def alone(cls) -> Worker:
        """Describe this process as the only worker."""
        return cls(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def total(self, values: Tensor) -> Tensor:
        """Sum a tensor over all workers."""
        if self.world > 1:
            torch.distributed.all_reduce(values)
        return values

    def first_says(self, answer: bool) -> bool:
        """Return the first worker's answer, so that all do the same."""
        return bool(self.total(torch.tensor(float(answer and self.rank == 0), device=self.device)))

    def gather(self, values: Tensor) -> Tensor:
        """Concatenate one-dimensional tensors of any lengths over all workers."""
        if self.world == 1:
            return values
        parts: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(parts, values.cpu())
        return torch.cat(parts).to(values.device)

    def share(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this worker's rows."""
        return rows[self.rank :: self.world]


class Task(ABC):
    """What is trained: a network, its losses, and what happens between epochs."""

    network: nn.Module
    # Whether some parameters may get no gradient in some steps.
    partly_frozen = False
    # Records to judge epochs by, never trained on.
    validation: Data | None = None

    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """Make the optimiser of the network's parameters."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return one loss for each record of a batch, shape (n,); ``network`` may be wrapped for several workers."""

    def begin(self, data: Data, worker: Worker) -> None:
        """Prepare before the first epoch; skipped when training is resumed."""

    def begin_epoch(self, epoch: int) -> None:
        """Prepare an epoch."""

    def order(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw the rows of an epoch, in order."""
        return torch.randperm(n, generator=generator)

    def end_epoch(self, worker: Worker) -> Metrics:
        """Finish an epoch and return metrics, the same on every worker.

        Raises:
            XfmrError: Where training must not go on.
        """
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return what is to be kept besides the network."""
        return {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` returned."""


@dataclass
class Progress:
    """Where training stands: what a checkpoint holds."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def add(self, metrics: Metrics) -> None:
        """Count an epoch."""
        self.epoch += 1
        self.history.append({"epoch": self.epoch, **metrics})


MakeTask = Callable[[], Task]


def train(task: Task, data: Data, schedule: Schedule, *, report_to: Any) -> None:
    """Train on this Ray Train worker, from the last checkpoint where there is one.

    Args:
        task: What to train; made the same on every worker.
        data: All records; each worker takes its share of every batch.
        schedule: Epochs, batch size and seed.
        report_to: A queue that gets the metrics of each epoch, from the first worker.
    """
    worker = Worker.here()
    to_device(task.network, worker.device)
    optimiser = task.optimiser()
    progress = _resume(task, optimiser, worker)
    if progress is None:
        progress = Progress()
        task.begin(data, worker)
    network = ray.train.torch.prepare_model(
        task.network, parallel_strategy_kwargs={"find_unused_parameters": task.partly_frozen}
    )
    saved_at = time.monotonic()
    while progress.epoch < schedule.epochs:
        progress.add(_epoch(task, network, optimiser, data, schedule, progress.epoch, worker))
        if worker.rank == 0:
            report_to.put(progress.history[-1])
        due = time.monotonic() - saved_at > _CHECKPOINT_INTERVAL_S or progress.epoch == schedule.epochs
        if worker.first_says(due):
            _report(task, optimiser, progress, worker)
            saved_at = time.monotonic()


def train_alone(make_task: MakeTask, data: Data, schedule: Schedule) -> State:
    """Train in this process and without Ray, for what is small: the result is that of any number of workers.

    Returns:
        What :func:`load_state` returns of a finished training.
    """
    worker, task, progress = Worker.alone(), make_task(), Progress()
    to_device(task.network, worker.device)
    optimiser = task.optimiser()
    task.begin(data, worker)
    for epoch in range(schedule.epochs):
        progress.add(_epoch(task, task.network, optimiser, data, schedule, epoch, worker))
    return _state(task, optimiser, progress)


def _epoch(
    task: Task,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    data: Data,
    schedule: Schedule,
    epoch: int,
    worker: Worker,
) -> Metrics:
    """Train one epoch and return its metrics."""
    task.begin_epoch(epoch)
    network.train()
    loss_sum = torch.zeros(2, dtype=torch.float64, device=worker.device)
    for rows in _batches(task, len(data), schedule, epoch):
        losses = task.losses(network, data.batch(worker.share(rows), worker.device))
        # Workers' gradients are averaged, so each scales its sum to its part of the whole batch's mean.
        loss = losses.sum() * (worker.world / len(rows))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        loss_sum += torch.stack([losses.detach().double().sum(), torch.tensor(float(len(losses))).to(loss_sum)])
    total, count = worker.total(loss_sum).tolist()
    return {"loss": total / count, **task.end_epoch(worker)}


def _batches(task: Task, n: int, schedule: Schedule, epoch: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each global batch."""
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + epoch)
    order = task.order(n, generator).numpy()
    for start in range(0, len(order), schedule.batch_size):
        yield order[start : start + schedule.batch_size]


def _resume(task: Task, optimiser: torch.optim.Optimizer, worker: Worker) -> Progress | None:
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        state = load_state(Path(folder) / STATE_FILE, worker.device)
    task.network.load_state_dict(state["network"])
    optimiser.load_state_dict(state["optimiser"])
    task.restore(state["task"])
    return Progress(**state["progress"])


def _state(task: Task, optimiser: torch.optim.Optimizer, progress: Progress) -> State:
    return {
        "network": task.network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "task": task.state(),
        "progress": asdict(progress),
    }


def load_state(path: Path, device: torch.device | str = "cpu") -> State:
    """Read a checkpoint's state.

    Raises:
        XfmrError: Where the file is damaged.
    """
    try:
        return cast(State, torch.load(io.BytesIO(path.read_bytes()), map_location=device, weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise XfmrError(
            f"{path} is not a whole checkpoint: remove the folder {path.parents[1]} and run again"
        ) from error


def _report(task: Task, optimiser: torch.optim.Optimizer, progress: Progress, worker: Worker) -> None:
    """Report to Ray Train, which every worker must do equally often, with the first worker's checkpoint.

    A report waits for the controller's next look at its workers, up to 2 s: not for every epoch of a small model.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if worker.rank == 0:
            torch.save(_state(task, optimiser, progress), Path(folder) / STATE_FILE)
            checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report(progress.history[-1], checkpoint=checkpoint)
