"""Deep SVDD's parts on one process: centre, radius, collapse."""

import numpy as np
import pytest
import torch

from xfmr.errors import XfmrError
from xfmr.models.networks import build_encoder
from xfmr.training.loop import Data, Worker
from xfmr.training.svdd import SvddTask, away_from_zero

ALONE = Worker(rank=0, world=1, device=torch.device("cpu"))
SHAPE = (6,)


@pytest.fixture
def data() -> Data:
    return Data({"inputs": np.random.default_rng(0).standard_normal((700, *SHAPE)).astype(np.float32)})


def task(objective: str = "one_class", *, encoder: dict[str, torch.Tensor] | None = None) -> SvddTask:
    torch.manual_seed(0)
    weights = build_encoder("spectrum", SHAPE).state_dict() if encoder is None else encoder
    return SvddTask(branch="spectrum", shape=SHAPE, encoder=weights, objective=objective, nu=0.1, learning_rate=1e-3)


def step(svdd: SvddTask, data: Data) -> torch.Tensor:
    svdd.begin_epoch(0)
    losses = svdd.losses(svdd.network, data.batch(np.arange(len(data)), torch.device("cpu")))
    svdd.end_epoch(ALONE)
    return losses.detach()


def test_the_centre_keeps_its_distance_from_zero() -> None:
    centre = torch.tensor([-2.0, -0.05, 0.0, 0.05, 0.1, 3.0])
    torch.testing.assert_close(away_from_zero(centre), torch.tensor([-2.0, -0.1, 0.1, 0.1, 0.1, 3.0]))


def test_the_centre_is_the_mean_embedding(data: Data) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    with torch.no_grad():
        mean = svdd.network(torch.from_numpy(data.columns["inputs"])).mean(0)
    torch.testing.assert_close(svdd.centre, away_from_zero(mean))


def test_the_radius_leaves_the_share_nu_outside(data: Data) -> None:
    svdd = task("soft_boundary")
    svdd.begin(data, ALONE)
    with torch.no_grad():
        embedding = svdd.network(torch.from_numpy(data.columns["inputs"]))
    distance = (embedding - svdd.centre).norm(dim=1)
    assert float((distance > svdd.radius).float().mean()) == pytest.approx(0.1, abs=2 / len(data))


def test_one_class_loss_is_the_squared_distance(data: Data) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    losses = step(svdd, data)
    with torch.no_grad():
        embedding = svdd.network(torch.from_numpy(data.columns["inputs"]))
    torch.testing.assert_close(losses, (embedding - svdd.centre).square().sum(1))


def test_an_encoder_that_tells_nothing_apart_is_stopped_at_once(data: Data) -> None:
    nothing = {
        name: torch.zeros_like(weight) for name, weight in build_encoder("spectrum", SHAPE).state_dict().items()
    }
    with pytest.raises(XfmrError, match=r"^Deep SVDD collapsed[^\n]*--svdd\.learning-rate"):
        task(encoder=nothing).begin(data, ALONE)


@pytest.mark.parametrize("factor", [1e-4, float("nan")])
def test_an_embedding_that_loses_its_spread_is_stopped(data: Data, factor: float) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    step(svdd, data)
    with torch.no_grad():
        for weight in svdd.network.parameters():
            weight.mul_(factor)
    with pytest.raises(XfmrError, match="collapsed"):
        step(svdd, data)


def test_what_a_checkpoint_keeps_comes_back(data: Data) -> None:
    first, second = task("soft_boundary"), task("soft_boundary")
    first.begin(data, ALONE)
    second.restore(first.state())
    assert torch.equal(second.centre, first.centre)
    assert (second.radius, second.first_spread) == (first.radius, first.first_spread)
