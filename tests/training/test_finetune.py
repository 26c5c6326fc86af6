"""The classifier's task on one process: what is frozen, what is kept, and what macro-F1 is."""

import numpy as np
import pytest
import torch

from xfmr.networks.encoders import build_encoder
from xfmr.training.finetune import FinetuneTask, macro_f1_of
from xfmr.training.loop import Data, Worker

ALONE = Worker(rank=0, world=1, device=torch.device("cpu"))
CPU = torch.device("cpu")


def two_classes(n: int) -> Data:
    """Class 1 has its first value raised."""
    random = np.random.default_rng(n)
    classes = np.arange(n) % 2
    inputs = random.standard_normal((n, 6)).astype(np.float32)
    inputs[:, 0] += 6 * classes
    return Data({"inputs": inputs, "classes": classes, "weights": np.ones(n, np.float32)})


@pytest.fixture
def task() -> FinetuneTask:
    torch.manual_seed(0)
    made = FinetuneTask(
        branch="spectrum",
        shape=(6,),
        encoder=build_encoder("spectrum", (6,)).state_dict(),
        n_classes=2,
        normal=0,
        frozen_epochs=3,
        learning_rate=3e-2,
        chance=torch.full((64,), 1 / 64),
        seed=0,
    )
    made.validation = two_classes(40)
    return made


def epochs(task: FinetuneTask, first: int, last: int) -> list[float]:
    data, optimiser = two_classes(64), task.optimiser()
    found = []
    for epoch in range(first, last):
        task.begin_epoch(epoch)
        rows = task.order(len(data), torch.Generator().manual_seed(epoch)).numpy()
        optimiser.zero_grad()
        task.losses(task.network, data.batch(rows, CPU)).mean().backward()
        optimiser.step()
        found.append(task.end_epoch(ALONE)["validation_macro_f1"])
    return found


def weights(task: FinetuneTask) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in task.classifier.encoder.state_dict().items()}


def test_the_encoder_stays_while_frozen_and_only_its_last_block_follows(task: FinetuneTask) -> None:
    before = weights(task)
    epochs(task, 0, 3)
    frozen = weights(task)
    assert all(torch.equal(frozen[name], before[name]) for name in before)
    epochs(task, 3, 6)
    changed = {name for name, tensor in weights(task).items() if not torch.equal(tensor, before[name])}
    assert changed == {"2.weight"}


def test_it_learns_and_keeps_the_best_epoch(task: FinetuneTask) -> None:
    found = epochs(task, 0, 40)
    assert max(found) > 0.95
    assert float(task.state()["macro_f1"]) == pytest.approx(max(found))
    best = {name.removeprefix("network."): t for name, t in task.state().items() if name != "macro_f1"}
    task.network.load_state_dict(best)
    assert task.validation is not None
    predicted = task.network(torch.from_numpy(task.validation.columns["inputs"])).argmax(1).numpy()
    assert macro_f1_of(task.validation.columns["classes"], predicted) == pytest.approx(max(found))


def test_a_worse_epoch_does_not_replace_the_best(task: FinetuneTask) -> None:
    epochs(task, 0, 40)
    kept = {name: tensor.clone() for name, tensor in task.state().items()}
    with torch.no_grad():
        for parameter in task.classifier.head.parameters():
            parameter.mul_(-1)
    task.end_epoch(ALONE)
    assert all(torch.equal(kept[name], tensor) for name, tensor in task.state().items())


def test_rows_are_drawn_by_their_chance(task: FinetuneTask) -> None:
    task.chance = torch.tensor([0.0, 0.25, 0.75])
    drawn = task.order(4000, torch.Generator().manual_seed(0)).bincount(minlength=3) / 4000
    torch.testing.assert_close(drawn, task.chance, rtol=0, atol=0.03)


def test_macro_f1_counts_the_classes_of_the_truth_alike() -> None:
    truth, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 0, 2])
    assert macro_f1_of(truth, predicted) == pytest.approx(0.5)
