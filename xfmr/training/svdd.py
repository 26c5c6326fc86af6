"""Deep SVDD: pull the embeddings of the history into a small hypersphere (Ruff et al., ICML 2018)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from xfmr.errors import XfmrError
from xfmr.networks.encoders import Inputs, build_encoder
from xfmr.networks.losses import soft_boundary_loss, squared_distance
from xfmr.training.loop import Data, Metrics, Schedule, Worker
from xfmr.training.members import MemberTask

# Entries of the centre closer to zero than this are moved out to it: zero weights would match an entry at zero.
CENTRE_MARGIN = 0.1
# The sphere may shrink. But if the embeddings' spread falls below this share of its first value, they no longer
# distinguish records; a healthy run on the gearbox recordings ends above 0.05.
COLLAPSE_SHARE = 1e-3
_BATCH = 512

# AdamW moves a weight by about the learning rate per step, so this is how far it moves in total. Too little leaves
# the autoencoder's embedding unchanged, too much pulls faulty records in with the rest. AUC on two synthetic fleets:
# with 500 records 0.911, 0.941 and 0.942 at 0.05, 0.14 and 0.48; with 1,650 records 0.970, 0.967 and 0.944 at 0.17,
# 0.5 and 1.7. The same total in steps of 0.003 did worse.
_TOTAL_MOVE = 0.2
_MAX_RATE = 1e-3


class SvddTask(MemberTask):
    """Shrink the distances of each member's embeddings from their initial mean.

    Args:
        branch: Branch of the encoders.
        shape: Shape of their inputs.
        encoders: Weights of each member's pretrained encoder.
        objective: ``one_class`` or ``soft_boundary``.
        nu: Share of a member's records that may lie outside its radius.
        learning_rate: Learning rate of AdamW.
    """

    def __init__(
        self,
        *,
        branch: str,
        shape: tuple[int, ...],
        encoders: Sequence[dict[str, Tensor]],
        objective: str,
        nu: float,
        learning_rate: float,
    ) -> None:
        super().__init__([build_encoder(branch, shape) for _ in encoders])
        for network, weights in zip(self.members, encoders, strict=True):
            network.load_state_dict(weights)
        self.objective = objective
        self.nu = nu
        self.learning_rate = learning_rate
        self.centres = torch.zeros(0)
        self.radii = torch.zeros(0)
        self.first_spreads = torch.zeros(0)
        self._distances: list[list[Tensor]] = []
        self._sums: list[Tensor] = []

    def optimiser(self) -> torch.optim.Optimizer:
        """Return AdamW over the encoders."""
        return torch.optim.AdamW(self.network.parameters(), lr=self.learning_rate, weight_decay=1e-6)

    def begin(self, data: Data, worker: Worker) -> None:
        """Set each member's centre to the mean embedding of its records, and its radius from their distances."""
        sums = [torch.stack([_sums_of(e) for e in member]).sum(0) for member in self._embeddings(data, worker)]
        means, self.first_spreads = _means_and_spreads(worker.total(torch.stack(sums)))
        self.centres = away_from_zero(means).float()
        self._check_spreads(self.first_spreads)
        embedded = zip(self._embeddings(data, worker), self.centres, strict=True)
        self.radii = self._radii(
            ([squared_distance(e, centre) for e in member] for member, centre in embedded), worker
        )

    def begin_epoch(self, epoch: int) -> None:
        """Reset the distances and sums of the epoch."""
        self._distances = [[] for _ in self.members]
        self._sums = [torch.zeros(()) for _ in self.members]

    def member_losses(self, member: int, output: Tensor, inputs: Inputs) -> Tensor:
        """Return each record's squared distance, or its soft-boundary loss."""
        distance = squared_distance(output, self.centres[member])
        self._distances[member].append(distance.detach())
        self._sums[member] = self._sums[member].to(output.device) + _sums_of(output.detach())
        if self.objective == "one_class":
            return distance
        return soft_boundary_loss(distance, float(self.radii[member]), self.nu)

    def end_epoch(self, worker: Worker) -> Metrics:
        """Update the radii, and raise if an embedding collapsed."""
        self.radii = self._radii(self._distances, worker)
        _, spreads = _means_and_spreads(worker.total(torch.stack(self._sums)))
        self._check_spreads(spreads)
        return {"radius": float(self.radii.mean()), "spread": float(spreads.mean())}

    def state(self) -> dict[str, Tensor]:
        """Return each member's centre (k, d), radius (k,) and first spread (k,)."""
        return {"centres": self.centres, "radii": self.radii, "first_spreads": self.first_spreads}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Restore the output of :meth:`state`."""
        self.centres, self.radii, self.first_spreads = state["centres"], state["radii"], state["first_spreads"]

    def _radii(self, distances: Iterable[Sequence[Tensor]], worker: Worker) -> Tensor:
        """Return the radii that leave a share ``nu`` of each member's records outside."""
        gathered = [worker.gather(torch.cat([*member])).sort().values for member in distances]
        return torch.stack([d[int((1 - self.nu) * (len(d) - 1))].sqrt() for d in gathered])

    @torch.no_grad()
    def _embeddings(self, data: Data, worker: Worker) -> list[tuple[Tensor, ...]]:
        """Embed this worker's records: one tensor per batch for each member."""
        batches = torch.arange(len(data)).split(_BATCH)
        moved = (data.batch(worker.share(rows.numpy()), worker.device) for rows in batches)
        return list(zip(*(self.network(batch["folds"], batch["inputs"]) for batch in moved), strict=True))

    def _check_spreads(self, spreads: Tensor) -> None:
        """Raise if a member's embeddings no longer distinguish records."""
        kept = spreads > COLLAPSE_SHARE * self.first_spreads
        if not bool(kept.all()):
            member = int(torch.nonzero(~kept)[0])
            raise XfmrError(
                f"Deep SVDD collapsed in fold {member + 1}: the embeddings' spread fell from "
                f"{float(self.first_spreads[member]):.3g} to {float(spreads[member]):.3g}, so all records look "
                f"alike; give a lower --svdd.learning-rate than {self.learning_rate:.2g}"
            )


def default_learning_rate(n_records: int, schedule: Schedule) -> float:
    """Return the default learning rate of a schedule: 0.2 / steps, at most 0.001."""
    steps = schedule.epochs * math.ceil(n_records / schedule.batch_size)
    return min(_MAX_RATE, _TOTAL_MOVE / steps)


def away_from_zero(centre: Tensor) -> Tensor:
    """Move entries closer to zero than 0.1 to +-0.1, and zero itself to +0.1."""
    moved = torch.where(centre < 0, -CENTRE_MARGIN, CENTRE_MARGIN).to(centre)
    return torch.where(centre.abs() < CENTRE_MARGIN, moved, centre)


def _sums_of(embedding: Tensor) -> Tensor:
    """Return count, sum and sum of squares in float64: (n, d) -> (3, d)."""
    values = embedding.double()
    count = values.new_full(values.shape[1:], len(values))
    return torch.stack([count, values.sum(0), values.square().sum(0)])


def _means_and_spreads(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Return means (k, d) and root mean variances (k,) from the sums (k, 3, d)."""
    count, total, squares = sums.unbind(1)
    means = total / count
    return means, (squares / count - means.square()).clamp(min=0).mean(1).sqrt()
