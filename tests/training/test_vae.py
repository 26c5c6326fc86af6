"""The variational autoencoder's training: warm-up, and noise that does not know who draws it."""

import numpy as np
import pytest
import torch

from xfmr.training.loop import Data, Schedule
from xfmr.training.trainer import LocalTrainer
from xfmr.training.vae import VaeTask

SHAPE = (6,)
CPU = torch.device("cpu")


@pytest.fixture
def data() -> Data:
    random = np.random.default_rng(0)
    inputs = (random.standard_normal((120, 2)) @ random.standard_normal((2, *SHAPE))).astype(np.float32)
    return Data({"inputs": inputs, "folds": np.arange(120) % 2})


def task(beta: float = 1.0, seed: int = 0) -> VaeTask:
    return VaeTask(shape=SHAPE, n_members=2, beta=beta, warm_up_epochs=4, learning_rate=1e-2, seed=seed)


def losses(vae: VaeTask, data: Data, rows: list[int], epoch: int) -> torch.Tensor:
    vae.begin_epoch(epoch)
    return vae.losses(vae.network, data.batch(np.array(rows), CPU)).detach()


def test_a_record_has_the_same_noise_in_any_batch(data: Data) -> None:
    vae = task()
    torch.testing.assert_close(losses(vae, data, [3, 50, 90], 1)[1:], losses(vae, data, [50, 90], 1))


def test_each_epoch_record_and_seed_has_other_noise(data: Data) -> None:
    """Warm-up over, nothing else differs."""
    first = losses(task(), data, [3, 3], 10)
    torch.testing.assert_close(first[0], first[1])
    assert not torch.allclose(first, losses(task(), data, [3, 3], 11))
    vae, rows = task(), torch.tensor([3, 4])
    noise = vae._noise(rows)
    assert not torch.equal(noise[0], noise[1])
    vae.seed = 1
    assert not torch.equal(vae._noise(rows), noise)


def test_the_divergence_is_warmed_up(data: Data) -> None:
    rows = list(range(20))
    free = losses(task(beta=0.0), data, rows, 0)
    torch.testing.assert_close(losses(task(beta=1.0), data, rows, 0), free)
    light, full = (losses(task(beta=0.5), data, rows, 4), losses(task(beta=1.0), data, rows, 4))
    torch.testing.assert_close(full - light, light - losses(task(beta=0.0), data, rows, 4))
    assert (full > light).all()


def test_it_learns_to_rebuild_what_two_values_make(data: Data) -> None:
    history = LocalTrainer().train("k", lambda: task(beta=0.01), data, Schedule(60, 32, seed=0))["progress"][
        "history"
    ]
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]
