"""Deep SVDD's parts on one process, in each fold member: centre, radius, collapse."""

import numpy as np
import pytest
import torch

from xfmr.errors import XfmrError
from xfmr.networks.encoders import build_encoder
from xfmr.training.loop import Data, Schedule, Worker
from xfmr.training.svdd import SvddTask, away_from_zero, default_learning_rate

ALONE = Worker(rank=0, world=1, device=torch.device("cpu"))
SHAPE = (6,)
N_MEMBERS = 3


@pytest.fixture
def data() -> Data:
    inputs = np.random.default_rng(0).standard_normal((700, *SHAPE)).astype(np.float32)
    return Data({"inputs": inputs, "folds": np.arange(700) % N_MEMBERS})


def encoders(seed: int = 0) -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(seed)
    return [build_encoder("spectrum", SHAPE).state_dict() for _ in range(N_MEMBERS)]


def nothing() -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(weight) for name, weight in encoders()[0].items()}


def task(objective: str = "one_class", *, weights: list[dict[str, torch.Tensor]] | None = None) -> SvddTask:
    return SvddTask(
        branch="spectrum",
        shape=SHAPE,
        encoders=encoders() if weights is None else weights,
        objective=objective,
        nu=0.1,
        learning_rate=1e-3,
    )


def step(svdd: SvddTask, data: Data) -> torch.Tensor:
    svdd.begin_epoch(0)
    losses = svdd.losses(svdd.network, data.batch(np.arange(len(data)), torch.device("cpu")))
    svdd.end_epoch(ALONE)
    return losses.detach()


def embedded(svdd: SvddTask, data: Data, member: int) -> torch.Tensor:
    """Embed the rows that a member learns from."""
    rows = data.columns["inputs"][data.columns["folds"] != member]
    with torch.no_grad():
        found: torch.Tensor = svdd.members[member](torch.from_numpy(rows))
    return found


def test_the_centre_keeps_its_distance_from_zero() -> None:
    centre = torch.tensor([-2.0, -0.05, 0.0, 0.05, 0.1, 3.0])
    torch.testing.assert_close(away_from_zero(centre), torch.tensor([-2.0, -0.1, 0.1, 0.1, 0.1, 3.0]))


def test_each_centre_is_the_mean_embedding_of_the_other_folds(data: Data) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    for member in range(N_MEMBERS):
        mean = embedded(svdd, data, member).mean(0)
        torch.testing.assert_close(svdd.centres[member], away_from_zero(mean))


def test_each_radius_leaves_the_share_nu_of_the_other_folds_outside(data: Data) -> None:
    svdd = task("soft_boundary")
    svdd.begin(data, ALONE)
    for member in range(N_MEMBERS):
        distance = (embedded(svdd, data, member) - svdd.centres[member]).norm(dim=1)
        assert float((distance > svdd.radii[member]).float().mean()) == pytest.approx(0.1, abs=2 / len(data))


def test_one_class_loss_is_the_mean_squared_distance_of_the_members_that_learn(data: Data) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    losses = step(svdd, data)
    expected = torch.zeros(len(data))
    for member in range(N_MEMBERS):
        distance = (embedded(svdd, data, member) - svdd.centres[member]).square().sum(1)
        expected[data.columns["folds"] != member] += distance / (N_MEMBERS - 1)
    torch.testing.assert_close(losses, expected)


def test_a_member_never_learns_from_its_own_fold(data: Data) -> None:
    """Whatever stands in a fold, its member ends the same, and the others do not."""
    other = Data({**data.columns, "inputs": data.columns["inputs"].copy()})
    other.columns["inputs"][other.columns["folds"] == 1] += 5
    gradients = []
    for rows in (data, other):
        svdd = task()
        svdd.begin(rows, ALONE)
        svdd.begin_epoch(0)
        svdd.losses(svdd.network, rows.batch(np.arange(len(rows)), torch.device("cpu"))).sum().backward()
        gradients.append([next(member.parameters()).grad for member in svdd.members])
    assert torch.equal(gradients[0][1], gradients[1][1])
    assert not torch.equal(gradients[0][0], gradients[1][0])


@pytest.mark.parametrize("fold", range(N_MEMBERS))
def test_an_encoder_that_tells_nothing_apart_is_stopped_at_once(data: Data, fold: int) -> None:
    weights = encoders()
    weights[fold] = nothing()
    with pytest.raises(XfmrError, match=rf"^Deep SVDD collapsed in fold {fold + 1}[^\n]*--svdd\.learning-rate"):
        task(weights=weights).begin(data, ALONE)


@pytest.mark.parametrize("factor", [1e-4, float("nan")])
def test_an_embedding_that_loses_its_spread_is_stopped(data: Data, factor: float) -> None:
    svdd = task()
    svdd.begin(data, ALONE)
    step(svdd, data)
    with torch.no_grad():
        for weight in svdd.members[1].parameters():
            weight.mul_(factor)
    with pytest.raises(XfmrError, match="collapsed in fold 2"):
        step(svdd, data)


def test_what_a_checkpoint_keeps_comes_back(data: Data) -> None:
    first, second = task("soft_boundary"), task("soft_boundary")
    first.begin(data, ALONE)
    second.restore(first.state())
    for name, tensor in first.state().items():
        assert torch.equal(second.state()[name], tensor)


def test_weights_go_the_same_way_in_many_steps_or_few() -> None:
    def rate(n_records: int, epochs: int) -> float:
        return default_learning_rate(n_records, Schedule(epochs, 64, 0))

    assert rate(6400, 60) * 100 * 60 == pytest.approx(rate(1_000_000, 7) * 15_625 * 7) == pytest.approx(0.2)
    assert rate(10, 60) == rate(65, 1) == 1e-3
