"""Training on a cluster, the driver's side: start workers, show epochs live, return the final state."""

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

from xfmr.cluster import cluster, n_cpus, n_gpus, user_error
from xfmr.errors import XfmrError
from xfmr.progress import progress
from xfmr.storage import Store
from xfmr.training.loop import Data, Schedule, State, Task
from xfmr.training.trainer import MakeTask
from xfmr.training.worker import STATE_FILE, load_state, train

# Workers import torch before they start, and an autoscaled cluster may first have to add a machine.
_START_TIMEOUT_S = 600
_MOST_THREADS = 8


@dataclass(frozen=True)
class ClusterTrainer:
    """Trains the models of one stage on a run's cluster, each in ``models/<stage>-<key>``.

    Args:
        store: The run.
        stage: Name of the stage, such as ``pretrain``.
        workers: Number of workers.
    """

    store: Store
    stage: str
    workers: int

    def train(
        self, key: str, make_task: MakeTask, data: Data, schedule: Schedule, *, validation: Data | None = None
    ) -> State:
        """Train a task from the last checkpoint under its key, see :meth:`xfmr.training.trainer.Trainer.train`.

        The metrics of each epoch are written to ``metrics.csv``.

        Raises:
            XfmrError: If the task raises one, a worker dies, or a local cluster has fewer CPUs than workers, so that
                training would never start.
        """
        with cluster():
            self._check_cpus()
            state = self._fit(f"{self.stage}-{key}", make_task, data, schedule, validation)
        self.store.write(f"models/{self.stage}-{key}/metrics.csv", _csv(state["progress"]["history"]))
        return state

    def _check_cpus(self) -> None:
        if self.workers > n_cpus() and "RAY_ADDRESS" not in os.environ:
            raise XfmrError(f"--workers {self.workers}: this machine has {n_cpus()} CPUs, and each worker needs one")

    def _fit(self, name: str, make_task: MakeTask, data: Data, schedule: Schedule, validation: Data | None) -> State:
        """Run Ray Train while a thread shows the epochs."""
        os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(_START_TIMEOUT_S))
        queue = Queue(actor_options={"num_cpus": 0})
        stored = {"data": ray.put(data.columns), "validation": ray.put(validation.columns) if validation else None}
        config = {"make_task": make_task, "schedule": schedule, "queue": queue, **stored}
        watcher = Thread(target=_watch, args=(queue, self.stage, schedule.epochs, len(data)), daemon=True)
        watcher.start()
        try:
            result = self._ray_trainer(name, config).fit()
        except Exception as error:
            raise (user_error(error) or self._failure(name, error)) from error
        finally:
            queue.put(None)
            watcher.join(timeout=10)
            queue.shutdown()
        assert result.checkpoint is not None
        with result.checkpoint.as_directory() as folder:
            return load_state(Path(folder) / STATE_FILE)

    def _failure(self, name: str, error: Exception) -> XfmrError:
        """Write the traceback to a file, and return an error that names the file and the remedy."""
        file = f"models/{name}/error.txt"
        self.store.write(file, "".join(traceback.format_exception(error)).encode())
        return XfmrError(
            f"{self.stage} failed, {type(error).__name__}: see {self.store.path(file)}; the same command goes on "
            "from the last checkpoint; to start from the beginning, remove this folder first"
        )

    def _ray_trainer(self, name: str, config: dict[str, Any]) -> TorchTrainer:
        gpu = n_gpus() >= self.workers
        cpus = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
        threads = max(1, min(_MOST_THREADS, int(cpus) // self.workers))
        return TorchTrainer(
            _work,
            train_loop_config=config,
            scaling_config=ScalingConfig(
                num_workers=self.workers,
                use_gpu=gpu,
                resources_per_worker={"CPU": threads, **({"GPU": 1} if gpu else {})},
            ),
            run_config=RunConfig(
                name=name,
                storage_path=self.store.path("models"),
                storage_filesystem=self.store.filesystem,
                checkpoint_config=CheckpointConfig(num_to_keep=1),
            ),
            torch_config=TorchConfig(backend="nccl" if gpu else "gloo"),
        )


def _work(config: dict[str, Any]) -> None:
    """Train in one worker."""
    task: Task = config["make_task"]()
    if config["validation"] is not None:
        task.validation = Data(ray.get(config["validation"]))
    train(task, Data(ray.get(config["data"])), config["schedule"], report_to=config["queue"])


def _watch(queue: Queue, stage: str, epochs: int, n_records: int) -> None:
    """Show each epoch that the first worker reports, with records per second, until None arrives."""
    with progress(label=stage, total=epochs * n_records, unit="records") as line:
        while (metrics := queue.get()) is not None:
            if line.n == 0:
                line.unpause()  # the rate excludes the time that the workers took to start
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
