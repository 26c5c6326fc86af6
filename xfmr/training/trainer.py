"""Trainers: the interface, and a trainer that runs in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from xfmr.training.loop import Data, Schedule, State, Task, Training, Worker

MakeTask = Callable[[], Task]
"""Makes the task, the same on every worker."""


class Trainer(Protocol):
    """Trains tasks."""

    def train(
        self, key: str, make_task: MakeTask, data: Data, schedule: Schedule, *, validation: Data | None = None
    ) -> State:
        """Train a task.

        Args:
            key: Hash of everything that the result depends on.
            make_task: Makes the task.
            data: All records.
            schedule: Epochs, batch size and seed.
            validation: Records by which the task compares epochs.

        Returns:
            The final state, with its tensors on the CPU.
        """
        ...


class LocalTrainer:
    """Trains in this process, without Ray or checkpoints; the result is that of any number of workers."""

    def train(
        self, key: str, make_task: MakeTask, data: Data, schedule: Schedule, *, validation: Data | None = None
    ) -> State:
        """Train a task as :meth:`Trainer.train` does; the key is not used."""
        task = make_task()
        task.validation = validation
        training = Training.of(task, data, schedule, Worker.alone())
        task.begin(data, training.worker)
        for _ in training.epochs():
            pass
        return training.state()
