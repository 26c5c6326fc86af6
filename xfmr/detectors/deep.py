"""Deep detectors: one network a fold, and scores in sigmas of what the history scores when it is held out."""

from __future__ import annotations

from collections.abc import Sequence
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
from xfmr.networks.members import MemberKind, build_member
from xfmr.normal import as_sensors
from xfmr.views.inputs import ModelInputs, sensor_keys


@dataclass(frozen=True)
class DeepDetector:
    """Fold members with held-out calibration.

    Args:
        kind: What the members are.
        inputs: From features to the members' input.
        shape: The members' input shape.
        members: Each maps inputs to positive scores (n,), and was fitted without the records of its fold.
        calibration: Of the history's held-out scores.
        history_ids: Ids of all records it was fitted to, ascending, (m,).
        folds: The fold of each of them, (m,).
    """

    kind: MemberKind
    inputs: ModelInputs
    shape: tuple[int, ...]
    members: tuple[nn.Module, ...]
    calibration: Calibration
    history_ids: NDArray[np.int64]
    folds: NDArray[np.int64]

    @classmethod
    def calibrated(cls, kind: MemberKind, members: Sequence[nn.Module], history: FoldedHistory) -> DeepDetector:
        """Calibrate members by what each makes of the fold that it has not seen."""
        scores = _member_scores(members, history.values)
        held_out = scores[history.folds, np.arange(len(history.folds))]
        ids, first = np.unique(history.record_ids, return_index=True)
        calibration = Calibration.fit(held_out, history.keys)
        return cls(kind, history.inputs, history.shape, tuple(members), calibration, ids, history.folds[first])

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read."""
        return self.inputs.columns

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, float32 (n,): in sigmas of the sensor's held-out history.

        A new record's score is the mean over the members, a record's of the history that of the one member that has
        not seen it.
        """
        if len(table) == 0:
            return np.empty(0, np.float32)
        sigmas = self.calibration.apply(_member_scores(self.members, self.inputs(table)), sensor_keys(table))
        ids = table["record_id"].to_numpy().astype(np.int64)
        place = np.searchsorted(self.history_ids, ids).clip(max=len(self.history_ids) - 1)
        held_out = sigmas[self.folds[place], np.arange(len(ids))]
        scores: NDArray[np.float64] = np.where(self.history_ids[place] == ids, held_out, sigmas.mean(axis=0))
        return scores.astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
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
    def restore(cls, model: StoredModel) -> DeepDetector:
        """Rebuild from what :meth:`to_bytes` wrote.

        Raises:
            XfmrError: Where the weights are not those of the members that the file names.
        """
        text, tensors = model.description, model.tensors
        kind, shape = text["kind"], tuple(text["shape"])
        members = nn.ModuleList(build_member(kind, text["branch"], shape) for _ in range(text["members"]))
        model.load_into(members, "member")
        return cls(
            kind,
            ModelInputs.restore(text, tensors),
            shape,
            tuple(members),
            Calibration(as_sensors(text["calibrated"]), *tensors["calibration"].numpy()),
            tensors["history_ids"].numpy(),
            tensors["folds"].numpy(),
        )


def _member_scores(members: Sequence[nn.Module], inputs: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return what each member makes of each row: (k, n)."""
    return np.stack([run_network(member, inputs).double().numpy() for member in members])
