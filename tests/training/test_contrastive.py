"""Contrastive pretraining: it tells records apart, on one worker as on two, and a collapse is no silence."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from xfmr.errors import XfmrError
from xfmr.storage import Store
from xfmr.training.contrastive import ContrastiveTask, of_all_workers
from xfmr.training.loop import Data, Schedule, Worker
from xfmr.training.run import ClusterTrainer

ALONE = Worker(rank=0, world=1, device=torch.device("cpu"))
SHAPE = (40,)
FOLDS = np.arange(33) % 2


@pytest.fixture
def data() -> Data:
    inputs = 2 * np.random.default_rng(0).standard_normal((33, *SHAPE)).astype(np.float32)
    return Data({"inputs": inputs, "folds": FOLDS})


@pytest.fixture
def task() -> ContrastiveTask:
    return ContrastiveTask(branch="spectrum", shape=SHAPE, n_members=2, learning_rate=1e-3, seed=0)


def epochs(task: ContrastiveTask, data: Data, n: int) -> list[tuple[float, float]]:
    """Train some epochs of one batch: loss and spread of each."""
    optimiser, found = task.optimiser(), []
    for number in range(n):
        task.begin_epoch(number)
        loss = task.losses(task.network, data.batch(np.arange(len(data)), ALONE.device)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append((loss.item(), task.end_epoch(ALONE)["spread"]))
    return found


def test_it_learns_to_find_the_other_view(task: ContrastiveTask, data: Data) -> None:
    losses, spreads = zip(*epochs(task, data, 30), strict=True)
    assert losses[0] < np.log(2 * len(data) - 1) + 1
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert 0.9 < spreads[-1] <= 1


@pytest.mark.parametrize("factor", [0.0, float("nan")])
def test_a_collapse_is_reported(task: ContrastiveTask, data: Data, factor: float) -> None:
    with torch.no_grad():
        for weight in task.network.parameters():
            weight.mul_(factor)
    with pytest.raises(XfmrError, match=r"^contrastive pretraining collapsed[^\n]*--pretrain\.objective ae$"):
        epochs(task, data, 1)


def test_one_point_of_unit_length_is_a_collapse_too(task: ContrastiveTask, data: Data) -> None:
    same = Data({"inputs": np.repeat(data.columns["inputs"][:1], 33, axis=0), "folds": FOLDS})
    task.augmentation = lambda inputs, rows, epoch: inputs.repeat(2, 1)  # type: ignore[assignment]
    with pytest.raises(XfmrError, match="collapsed"):
        epochs(task, same, 1)


def test_one_worker_is_all_workers() -> None:
    values = torch.randn(3, 2)
    assert of_all_workers(values) == (values, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_find_what_one_finds(tmp_path: Path, data: Data) -> None:
    """33 records in batches of 16: the last one leaves a worker without any, and a member without any at all."""
    make_task = partial(ContrastiveTask, branch="spectrum", shape=SHAPE, n_members=2, learning_rate=1e-3, seed=0)
    schedule = Schedule(epochs=2, batch_size=16, seed=1)
    one, two = (
        ClusterTrainer(Store(str(tmp_path / str(n))), "test", n).train("0", make_task, data, schedule) for n in (1, 2)
    )
    for name, tensor in one["network"].items():
        torch.testing.assert_close(two["network"][name], tensor, rtol=1e-3, atol=1e-5)
    for alone, together in zip(one["progress"]["history"], two["progress"]["history"], strict=True):
        assert together == pytest.approx(alone, rel=1e-4)
