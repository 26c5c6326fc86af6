"""The pretrained encoders of a run, one a fold, as later stages begin from them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.errors import XfmrError
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel, from_bytes, to_bytes
from xfmr.settings.options import Objective
from xfmr.storage.models import Models
from xfmr.views.inputs import ModelInputs
from xfmr.views.views import View

STAGE = "pretrain"


def pretrained_bytes(network: dict[str, Tensor], history: FoldedHistory, objective: Objective) -> bytes:
    """Serialise fold members and what they were trained on.

    Args:
        network: State of the :class:`~xfmr.networks.members.Members`; heads are left out, encoders and decoders kept.
        history: Their records.
        objective: What they were trained for.
    """
    kept = {name: tensor for name, tensor in network.items() if name.split(".")[1] in ("encoder", "decoder")}
    tensors = {f"member.{name}": tensor for name, tensor in kept.items()} | history.inputs.tensors()
    ids = {"history.record_ids": torch.tensor(history.record_ids)}
    description = {"kind": "encoders", "objective": objective, "shape": history.shape, "folds": history.n_folds}
    return to_bytes({**tensors, **ids}, {**description, "history": history.digest, **history.inputs.description()})


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
        return cls.of_bytes(*models.read(STAGE))

    @classmethod
    def of_bytes(cls, data: bytes, name: str) -> Pretrained:
        """Read what :func:`pretrained_bytes` wrote; ``name`` is the file's, for messages.

        Raises:
            XfmrError: Where it is damaged.
        """
        return cls(from_bytes(data, name, kind="encoders"))

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
        """Ids of the history, (n,): each member has seen those of the other folds.

        The scalers have seen all of them, and the records set aside as well.
        """
        return self.stored.tensors["history.record_ids"].numpy()

    def encoder(self, fold: int) -> dict[str, Tensor]:
        """Return the weights of a fold's encoder, which was trained on the other folds."""
        return self.stored.part(f"member.{fold}.encoder")

    def check(self, view: View, n_folds: int, objective: Objective) -> None:
        """Refuse encoders of other settings than those asked for.

        Raises:
            XfmrError: Naming the first setting that differs.
        """
        trained = {**asdict(self.inputs.view), "folds": self.n_folds}
        asked = {**asdict(view), "folds": n_folds}
        trained["pretrain.objective"], asked["pretrain.objective"] = self.stored.description["objective"], objective
        for name, value in trained.items():
            if value != asked[name]:
                flag = f"--{name.replace('_', '-')}"
                raise XfmrError(
                    f"{self.stored.name} was trained with {flag} {value}, not {asked[name]}: run jobs.pretrain "
                    f"again, or give {flag} {value}"
                )

    def check_history(self, digest: str) -> None:
        """Refuse encoders of another history, whose members may have seen what now is in their fold.

        Raises:
            XfmrError: Where the records are others.
        """
        if self.stored.description["history"] != digest:
            raise XfmrError(
                f"{self.stored.name} was trained on other records than the history now has (new features, other "
                "sensors or times, or other --labels or --pretrain.max-records): run jobs.pretrain again"
            )
