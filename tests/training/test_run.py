"""Training on Ray Train workers: one or two, undisturbed or killed, the result is the same."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from xfmr.errors import XfmrError
from xfmr.networks.encoders import build_encoder
from xfmr.storage import Store
from xfmr.training import worker
from xfmr.training.loop import Data, Schedule, State
from xfmr.training.pretrain import PretrainTask
from xfmr.training.run import ClusterTrainer
from xfmr.training.svdd import SvddTask
from xfmr.training.trainer import LocalTrainer

pytestmark = pytest.mark.usefixtures("ray_cluster")
SHAPE = (6,)
EPOCHS = 4
N_FOLDS = 3


@pytest.fixture
def data() -> Data:
    inputs = np.random.default_rng(0).standard_normal((101, *SHAPE)).astype(np.float32)
    return Data({"inputs": inputs, "folds": np.arange(101) % N_FOLDS})


def encoders() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    return [build_encoder("spectrum", SHAPE).state_dict() for _ in range(N_FOLDS)]


def train_in(folder: Path, *what: Any, workers: int = 1) -> State:
    return ClusterTrainer(Store(str(folder)), "test", workers).train("0", *what)


def test_two_workers_find_what_one_finds(tmp_path: Path, data: Data) -> None:
    """The last batch holds 5 records, so that a worker may have none for some member."""
    make_task = partial(
        SvddTask,
        branch="spectrum",
        shape=SHAPE,
        encoders=encoders(),
        objective="soft_boundary",
        nu=0.1,
        learning_rate=1e-2,
    )
    schedule = Schedule(EPOCHS, batch_size=16, seed=3)
    one, two = (train_in(tmp_path / str(workers), make_task, data, schedule, workers=workers) for workers in (1, 2))
    alone = LocalTrainer().train("k", make_task, data, schedule)
    for part in ("network", "task"):
        for name, tensor in one[part].items():
            torch.testing.assert_close(two[part][name], tensor, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(alone[part][name], tensor, rtol=1e-4, atol=1e-5)
    metrics = (tmp_path / "1/models/test-0/metrics.csv").read_text().splitlines()
    assert metrics[0] == "epoch,loss,radius,spread"
    assert [line.split(",")[0] for line in metrics[1:]] == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_alike(tmp_path: Path, data: Data) -> None:
    marker, log = tmp_path / "marker", tmp_path / "log"

    # Inside the test, since workers cannot import test modules: what is local is sent to them whole.
    class KilledOnce(PretrainTask):
        """Its worker dies in the third epoch, once; it writes down the epochs that are begun."""

        def begin_epoch(self, epoch: int) -> None:
            worker._CHECKPOINT_INTERVAL_S = 0.0
            with log.open("a") as file:
                file.write(f"{epoch} ")
            if epoch == 2 and not marker.exists():
                marker.touch()
                os._exit(1)

    settings: dict[str, Any] = {"branch": "spectrum", "shape": SHAPE, "n_members": N_FOLDS, "learning_rate": 1e-2}
    settings["seed"] = 0
    schedule = Schedule(EPOCHS, batch_size=16, seed=0)
    expected = train_in(tmp_path / "undisturbed", partial(PretrainTask, **settings), data, schedule)
    make_task = partial(KilledOnce, **settings)
    with pytest.raises(XfmrError, match=r"^test failed, WorkerGroupError: see [^\n]*goes on"):
        train_in(tmp_path / "killed", make_task, data, schedule)
    found = train_in(tmp_path / "killed", make_task, data, schedule)

    begun = [int(epoch) for epoch in log.read_text().split()]
    assert begun[:3] == [0, 1, 2]
    assert begun[3] > 0  # the second epoch's checkpoint may have died with its worker, the first one's has not
    assert begun[3:] == list(range(begun[3], EPOCHS))
    for name, tensor in expected["network"].items():
        torch.testing.assert_close(found["network"][name], tensor, rtol=0, atol=1e-6)
    assert found["progress"] == expected["progress"]


@pytest.mark.slow
def test_a_finished_training_is_read_back_and_not_done_again(tmp_path: Path, data: Data) -> None:
    """An ensemble takes a member so that was fitted before on its own."""
    log = tmp_path / "log"

    class Logged(PretrainTask):
        """Writes down the epochs that are begun."""

        def begin_epoch(self, epoch: int) -> None:
            with log.open("a") as file:
                file.write(f"{epoch} ")

    make_task = partial(Logged, branch="spectrum", shape=SHAPE, n_members=N_FOLDS, learning_rate=1e-2, seed=0)
    first, again = (train_in(tmp_path / "a", make_task, data, Schedule(EPOCHS, 16, seed=0)) for _ in range(2))
    assert log.read_text().split() == ["0", "1", "2", "3"]
    for name, tensor in first["network"].items():
        assert torch.equal(again["network"][name], tensor)


def test_what_a_task_raises_reaches_the_caller_in_one_line(tmp_path: Path, data: Data) -> None:
    nothing = [{name: torch.zeros_like(tensor) for name, tensor in weights.items()} for weights in encoders()]
    make_task = partial(
        SvddTask, branch="spectrum", shape=SHAPE, encoders=nothing, objective="one_class", nu=0.1, learning_rate=1e-3
    )
    with pytest.raises(XfmrError, match=r"^Deep SVDD collapsed[^\n]*$"):
        train_in(tmp_path, make_task, data, Schedule(EPOCHS, batch_size=16, seed=0))


def test_more_workers_than_the_machine_has_are_refused(tmp_path: Path, data: Data) -> None:
    make_task = partial(PretrainTask, branch="spectrum", shape=SHAPE, n_members=2, learning_rate=1e-2, seed=0)
    with pytest.raises(XfmrError, match="--workers 3"):
        train_in(tmp_path, make_task, data, Schedule(1, 16, 0), workers=3)
