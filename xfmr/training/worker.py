"""The train loop in a Ray Train worker: resume from a checkpoint, report epochs, write checkpoints."""

from __future__ import annotations

import io
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import ray.train
import ray.train.torch
import torch

from xfmr.errors import XfmrError
from xfmr.training.loop import Data, Schedule, State, Task, Training, Worker

# A checkpoint takes about 30 ms on a local disk. At this interval its share of the time is small, and a crash loses
# little work.
_CHECKPOINT_INTERVAL_S = 10.0
STATE_FILE = "state.pt"


def train(task: Task, data: Data, schedule: Schedule, *, report_to: Any) -> None:
    """Train on this Ray Train worker, from the last checkpoint if any.

    Args:
        task: The task, the same on every worker.
        data: All records; each worker takes its share of every batch.
        schedule: Epochs, batch size and seed.
        report_to: Queue to which the first worker puts the metrics of each epoch.
    """
    worker = this_worker()
    training = Training.of(task, data, schedule, worker)
    if (checkpoint := ray.train.get_checkpoint()) is None:
        task.begin(data, worker)
    else:
        with checkpoint.as_directory() as folder:
            training.restore(load_state(Path(folder) / STATE_FILE, worker.device))
    training.network = ray.train.torch.prepare_model(
        task.network, parallel_strategy_kwargs={"find_unused_parameters": task.partly_frozen}
    )
    saved_at = time.monotonic()
    for metrics in training.epochs():
        if worker.rank == 0:
            report_to.put(metrics)
        due = time.monotonic() - saved_at > _CHECKPOINT_INTERVAL_S or training.progress.epoch == schedule.epochs
        if worker.broadcast_flag(due):
            _report(training)
            saved_at = time.monotonic()


def this_worker() -> Worker:
    """Return this process's Ray Train worker."""
    context = ray.train.get_context()
    return Worker(context.get_world_rank(), context.get_world_size(), ray.train.torch.get_device())


def load_state(path: Path, device: torch.device | str = "cpu") -> State:
    """Read a checkpoint's state.

    Raises:
        XfmrError: If the file is damaged.
    """
    try:
        return cast(State, torch.load(io.BytesIO(path.read_bytes()), map_location=device, weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise XfmrError(
            f"{path} is not a whole checkpoint: remove the folder {path.parents[1]} and run again"
        ) from error


def _report(training: Training) -> None:
    """Report to Ray Train with the first worker's checkpoint; every worker must report equally often.

    A report waits up to 2 s until the controller polls its workers: too long for every epoch of a small network.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if training.worker.rank == 0:
            torch.save(training.state(), Path(folder) / STATE_FILE)
            checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report(training.progress.history[-1], checkpoint=checkpoint)
