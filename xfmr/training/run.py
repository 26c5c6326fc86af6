"""The driver's side of training: start workers, show epochs live, hand back the final state."""

from __future__ import annotations

import csv
import io
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import ray
from ray.train import CheckpointConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.queue import Queue

from xfmr.cluster import n_cpus, n_gpus, user_error
from xfmr.errors import XfmrError
from xfmr.progress import progress
from xfmr.storage import Store
from xfmr.training.loop import STATE_FILE, Data, MakeTask, Schedule, State, Task, load_state, train

# Workers import torch before they start, and an autoscaled cluster may have to find a machine for them first.
_START_TIMEOUT_S = 600
_MOST_THREADS = 8


@dataclass(frozen=True)
class TrainingRun:
    """Where a stage is trained, by how many workers, and under what name its console line runs.

    Args:
        store: The run.
        stage: Such as ``pretrain``.
        key: Hash of all that the result depends on.
        workers: Number of workers.
    """

    store: Store
    stage: str
    key: str
    workers: int

    @property
    def name(self) -> str:
        """Folder below ``models``."""
        return f"{self.stage}-{self.key}"


def fit(
    run: TrainingRun, make_task: MakeTask, data: Data, schedule: Schedule, *, validation: Data | None = None
) -> State:
    """Train a task on the cluster, going on from the run's last checkpoint where there is one.

    The epochs' metrics are written to ``models/<stage>-<key>/metrics.csv``.

    Args:
        run: Where and how wide.
        make_task: Makes the task, once in each worker.
        data: All records.
        schedule: Epochs, batch size and seed.
        validation: Records the task may judge epochs by.

    Returns:
        The final state, tensors on the CPU.

    Raises:
        XfmrError: That the task raised; or where a worker died, or a local cluster is too small, which would wait for
            ever.
    """
    if run.workers > n_cpus() and "RAY_ADDRESS" not in os.environ:
        raise XfmrError(f"--workers {run.workers}: this machine has {n_cpus()} CPUs, and each worker needs one")
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(_START_TIMEOUT_S))
    queue = Queue(actor_options={"num_cpus": 0})
    stored = {"data": ray.put(data.columns), "validation": ray.put(validation.columns) if validation else None}
    config = {"make_task": make_task, "schedule": schedule, "queue": queue, **stored}
    watcher = Thread(target=_watch, args=(queue, run, schedule.epochs, len(data)), daemon=True)
    watcher.start()
    try:
        result = _trainer(run, config).fit()
    except Exception as error:
        raise (user_error(error) or _failure(run, error)) from error
    finally:
        queue.put(None)
        watcher.join(timeout=10)
        queue.shutdown()
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        state = load_state(Path(folder) / STATE_FILE)
    run.store.write(f"models/{run.name}/metrics.csv", _csv(state["progress"]["history"]))
    return state


def _failure(run: TrainingRun, error: Exception) -> XfmrError:
    """Write down what happened, and say what to do: a worker died, or there is a bug."""
    name = f"models/{run.name}/error.txt"
    run.store.write(name, "".join(traceback.format_exception(error)).encode())
    return XfmrError(
        f"{run.stage} failed, {type(error).__name__}: see {run.store.path(name)}; the same command goes on from the "
        "last checkpoint, and starts anew once this folder is removed"
    )


def _trainer(run: TrainingRun, config: dict[str, Any]) -> TorchTrainer:
    gpu = n_gpus() >= run.workers
    cpus = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
    threads = max(1, min(_MOST_THREADS, int(cpus) // run.workers))
    return TorchTrainer(
        _work,
        train_loop_config=config,
        scaling_config=ScalingConfig(
            num_workers=run.workers, use_gpu=gpu, resources_per_worker={"CPU": threads, **({"GPU": 1} if gpu else {})}
        ),
        run_config=RunConfig(
            name=run.name,
            storage_path=run.store.path("models"),
            storage_filesystem=run.store.filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
    )


def _work(config: dict[str, Any]) -> None:
    """Run in each worker."""
    task: Task = config["make_task"]()
    if config["validation"] is not None:
        task.validation = Data(ray.get(config["validation"]))
    train(task, Data(ray.get(config["data"])), config["schedule"], report_to=config["queue"])


def _watch(queue: Queue, run: TrainingRun, epochs: int, n_records: int) -> None:
    """Show each epoch that the first worker reports, and records a second, until there is a None."""
    with progress(label=run.stage, total=epochs * n_records, unit="records") as line:
        while (metrics := queue.get()) is not None:
            if line.n == 0:
                line.unpause()  # the workers' start is no part of the rate
            epoch = int(metrics.pop("epoch"))
            shown = [f"epoch {epoch}/{epochs}", *(f"{name} {value:.4g}" for name, value in metrics.items())]
            line.set_postfix_str(", ".join(shown), refresh=False)
            line.update(epoch * n_records - line.n)


def _csv(history: list[dict[str, float]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[-1]))
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue().encode()
