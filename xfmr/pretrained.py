"""The pretrained encoders of a run, one a fold, as later stages begin from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.errors import XfmrError
from xfmr.folds import FoldedHistory
from xfmr.inputs import ModelInputs
from xfmr.models.checkpoint import StoredModel, from_bytes, to_bytes
from xfmr.published import Models
from xfmr.training.options import Branch

STAGE = "pretrain"


def pretrained_bytes(network: dict[str, Tensor], history: FoldedHistory) -> bytes:
    """Serialise fold members and what they were trained on.

    Args:
        network: State of the :class:`~xfmr.models.members.Members`.
        history: Their records.
    """
    tensors = {f"member.{name}": tensor for name, tensor in network.items()} | history.inputs.tensors()
    ids = {"history.record_ids": torch.from_numpy(history.record_ids)}
    description = {"kind": "encoders", "shape": history.shape, "folds": history.n_folds}
    return to_bytes({**tensors, **ids}, {**description, **history.inputs.description()})


@dataclass(frozen=True)
class Pretrained:
    """Published fold members."""

    stored: StoredModel

    @classmethod
    def read(cls, models: Models) -> Pretrained:
        """Read the current ones of a run.

        Raises:
            XfmrError: Where there are none, or their file is damaged.
        """
        return cls(from_bytes(*models.read(STAGE, "jobs.pretrain"), kind="encoders"))

    @cached_property
    def inputs(self) -> ModelInputs:
        """From features to the encoders' input."""
        return ModelInputs.restore(self.stored.description, self.stored.tensors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the encoders' input."""
        return tuple(self.stored.description["shape"])

    @property
    def n_folds(self) -> int:
        """Number of folds, and of members."""
        return int(self.stored.description["folds"])

    @property
    def record_ids(self) -> NDArray[np.int64]:
        """Ids of the history, (n,): each member has seen those of the other folds, the scalers all."""
        return self.stored.tensors["history.record_ids"].numpy()

    def encoder(self, fold: int) -> dict[str, Tensor]:
        """Return the weights of a fold's encoder, which was trained on the other folds."""
        return self.stored.part(f"member.{fold}.encoder")

    def check(self, branch: Branch, n_folds: int) -> None:
        """Refuse encoders that do not fit what is asked for.

        Raises:
            XfmrError: Where they are of another branch, or another number of folds.
        """
        for name, trained, asked in (("branch", self.inputs.branch, branch), ("folds", self.n_folds, n_folds)):
            if trained != asked:
                raise XfmrError(
                    f"{self.stored.name} was trained with --{name} {trained}, not {asked}: run jobs.pretrain again, "
                    f"or give --{name} {trained}"
                )

    def check_records(self, record_ids: NDArray[np.int64]) -> None:
        """Refuse encoders of another history, whose members may have seen what now is in their fold.

        Raises:
            XfmrError: Where the records are others.
        """
        if not np.array_equal(record_ids, self.record_ids):
            raise XfmrError(
                f"{self.stored.name} was trained on other records than the history now has (new features, or other "
                "--labels or --pretrain.max-records): run jobs.pretrain again"
            )
