"""Deep SVDD: pull the embeddings of the history into a small hypersphere (Ruff et al., ICML 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from xfmr.errors import XfmrError
from xfmr.models.checkpoint import StoredModel
from xfmr.models.losses import soft_boundary_loss, squared_distance
from xfmr.models.networks import build_encoder
from xfmr.training.loop import Batch, Data, Metrics, Task, Worker
from xfmr.training.options import SvddSettings

# Entries of the centre nearer to zero than this are moved out to it: a unit at zero is matched by zero weights.
CENTRE_MARGIN = 0.1
# The sphere may shrink, but an embedding whose spread falls below this share of its first value tells records apart
# no longer; a healthy run on the gearbox recordings ends above 0.05.
COLLAPSE_SHARE = 1e-3
_BATCH = 512


class SvddTask(Task):
    """Shrink the distances of the embeddings from their first mean."""

    def __init__(
        self,
        *,
        branch: str,
        shape: tuple[int, ...],
        encoder: dict[str, Tensor],
        objective: str,
        nu: float,
        learning_rate: float,
    ) -> None:
        self.network: nn.Module = build_encoder(branch, shape)
        self.network.load_state_dict(encoder)
        self.objective = objective
        self.nu = nu
        self.learning_rate = learning_rate
        self.centre = torch.zeros(0)
        self.radius = torch.zeros(())
        self.first_spread = torch.zeros(())
        self._distances: list[Tensor] = []
        self._moments = torch.zeros(0)

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW over the encoder."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-6)

    def begin(self, data: Data, worker: Worker) -> None:
        """Set the centre to the mean embedding of all records, and the radius from their distances."""
        moments = torch.stack([_moments(embedding) for embedding in self._embeddings(data, worker)]).sum(0)
        mean, self.first_spread = _mean_and_spread(worker.total(moments))
        self.centre = away_from_zero(mean).float()
        self._check_spread(self.first_spread)
        distances = [squared_distance(embedding, self.centre) for embedding in self._embeddings(data, worker)]
        self.radius = self._radius(worker.gather(torch.cat(distances)))

    def begin_epoch(self, epoch: int) -> None:
        """Forget the last epoch's distances."""
        self._distances = []
        self._moments = torch.zeros(())

    def losses(self, network: nn.Module, batch: Batch) -> Tensor:
        """Squared distance of each record, or its soft-boundary loss."""
        embedding = network(batch["inputs"])
        distance = squared_distance(embedding, self.centre)
        self._distances.append(distance.detach())
        self._moments = self._moments.to(embedding.device) + _moments(embedding.detach())
        if self.objective == "one_class":
            return distance
        return soft_boundary_loss(distance, float(self.radius), self.nu)

    def end_epoch(self, worker: Worker) -> Metrics:
        """Move the soft boundary's radius and watch for collapse."""
        self.radius = self._radius(worker.gather(torch.cat(self._distances)))
        _, spread = _mean_and_spread(worker.total(self._moments))
        self._check_spread(spread)
        return {"radius": float(self.radius), "spread": float(spread)}

    def state(self) -> dict[str, Tensor]:
        """Return centre, radius and the first spread."""
        return {"centre": self.centre, "radius": self.radius, "first_spread": self.first_spread}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take them back."""
        self.centre, self.radius, self.first_spread = state["centre"], state["radius"], state["first_spread"]

    def _radius(self, distances: Tensor) -> Tensor:
        """Radius that leaves a share ``nu`` of the records outside."""
        return distances.sort().values[int((1 - self.nu) * (len(distances) - 1))].sqrt()

    @torch.no_grad()
    def _embeddings(self, data: Data, worker: Worker) -> Iterator[Tensor]:
        for rows in torch.arange(len(data)).split(_BATCH):
            yield self.network(data.batch(worker.share(rows.numpy()), worker.device)["inputs"])

    def _check_spread(self, spread: Tensor) -> None:
        if not float(spread) > COLLAPSE_SHARE * float(self.first_spread):
            raise XfmrError(
                f"Deep SVDD collapsed: the embeddings' spread fell to {float(spread):.3g} from "
                f"{float(self.first_spread):.3g}, so all records look alike; lower --svdd.learning-rate or "
                "--svdd.epochs"
            )


def make_task(encoder: StoredModel, options: SvddSettings) -> Callable[[], SvddTask]:
    """Say how each worker makes the task that trains the sphere from a pretrained encoder."""
    return partial(
        SvddTask,
        branch=encoder.description["branch"],
        shape=tuple(encoder.description["shape"]),
        encoder=encoder.part("encoder"),
        objective=options.objective,
        nu=options.nu,
        learning_rate=options.learning_rate,
    )


def away_from_zero(centre: Tensor) -> Tensor:
    """Move entries nearer to zero than 0.1 to +-0.1, zero itself to +0.1."""
    moved = torch.where(centre < 0, -CENTRE_MARGIN, CENTRE_MARGIN).to(centre)
    return torch.where(centre.abs() < CENTRE_MARGIN, moved, centre)


def _moments(embedding: Tensor) -> Tensor:
    """Count, sum and sum of squares in float64: (n, d) -> (3, d)."""
    values = embedding.double()
    count = values.new_full(values.shape[1:], len(values))
    return torch.stack([count, values.sum(0), values.square().sum(0)])


def _mean_and_spread(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Turn summed moments (3, d) into the mean (d,) and the root mean variance ()."""
    count, total, squares = moments
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0).mean().sqrt()
