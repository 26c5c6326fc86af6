"""Deep detectors: one network a fold, and scores in sigmas of the history's out-of-fold scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from xfmr.detectors.calibration import Calibration
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel, to_bytes
from xfmr.networks.inference import run_network
from xfmr.normal import Rows, as_sensors
from xfmr.views.inputs import NetworkInputs

BuildMember = Callable[[str, Sequence[int]], nn.Module]
"""Builds a member of a branch and an input shape, with weights yet to be set."""


@dataclass(frozen=True)
class DeepDetector:
    """Fold members with out-of-fold calibration.

    Args:
        kind: Name of the detector, for its file.
        inputs: Turns features into the members' input.
        shape: Shape of the members' input.
        members: Each maps inputs to positive scores (n,) and was fitted without the records of its fold.
        calibration: Calibration by the history's out-of-fold scores.
        history_ids: Ids of all records it was fitted to, ascending, (m,).
        folds: The fold of each of them, (m,).
    """

    kind: str
    inputs: NetworkInputs
    shape: tuple[int, ...]
    members: tuple[nn.Module, ...]
    calibration: Calibration
    history_ids: NDArray[np.int64]
    folds: NDArray[np.int64]

    @classmethod
    def calibrated(cls, kind: str, members: Sequence[nn.Module], history: FoldedHistory) -> DeepDetector:
        """Calibrate members by the score that each gives to the fold that it has not seen."""
        scores = _member_scores(members, history.values)
        out_of_fold = scores[history.folds, np.arange(len(history.folds))]
        ids, first = np.unique(history.rows.ids, return_index=True)
        calibration = Calibration.fit(out_of_fold, history.rows)
        return cls(kind, history.inputs, history.shape, tuple(members), calibration, ids, history.folds[first])

    @property
    def columns(self) -> list[str]:
        """The feature columns that it reads."""
        return self.inputs.columns

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table in sigmas of the sensor's out-of-fold history, float32 (n,).

        A new record gets the mean score of the members. A record of the history gets the score of the one member that
        has not seen it.
        """
        if len(table) == 0:
            return np.empty(0, np.float32)
        rows = Rows.of(table)
        sigmas = self.calibration.apply(_member_scores(self.members, self.inputs(table)), rows)
        places, known = rows.find_in(self.history_ids)
        out_of_fold = sigmas[self.folds[places], np.arange(len(rows))]
        scores: NDArray[np.float64] = np.where(known, out_of_fold, sigmas.mean(axis=0))
        return scores.astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise everything that scoring needs."""
        members = nn.ModuleList(self.members).state_dict()
        tensors = {f"member.{name}": tensor for name, tensor in members.items()} | self.inputs.tensors()
        calibration = np.stack([self.calibration.median, self.calibration.sigma])
        arrays = {"calibration": calibration, "history_ids": self.history_ids, "folds": self.folds}
        description = {
            "kind": self.kind,
            "shape": self.shape,
            "members": len(self.members),
            "calibrated": self.calibration.sensors,
            **self.inputs.description(),
        }
        return to_bytes({**tensors, **{name: torch.from_numpy(array) for name, array in arrays.items()}}, description)

    @classmethod
    def restore(cls, model: StoredModel, build: BuildMember) -> DeepDetector:
        """Rebuild from the output of :meth:`to_bytes`.

        Args:
            model: The detector's file.
            build: Builds a member.

        Raises:
            XfmrError: If the weights do not fit the members.
        """
        description, tensors = model.description, model.tensors
        shape = tuple(description["shape"])
        members = nn.ModuleList(build(description["branch"], shape) for _ in range(description["members"]))
        model.load_into(members, "member")
        return cls(
            description["kind"],
            NetworkInputs.restore(description, tensors),
            shape,
            tuple(members),
            Calibration(as_sensors(description["calibrated"]), *tensors["calibration"].numpy()),
            tensors["history_ids"].numpy(),
            tensors["folds"].numpy(),
        )


def _member_scores(members: Sequence[nn.Module], inputs: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return each member's score of each input: (k, n)."""
    return np.stack([run_network(member, inputs).double().numpy() for member in members])
