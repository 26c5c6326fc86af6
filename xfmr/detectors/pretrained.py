"""Pretrained encoders, one per fold: training, storage, and reading by later stages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.errors import XfmrError
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel, from_bytes, to_bytes
from xfmr.schema import Recording
from xfmr.settings.stage_one import Objective, PretrainSettings
from xfmr.storage.models import Models
from xfmr.training.contrastive import ContrastiveTask
from xfmr.training.loop import Data, Metrics, Schedule
from xfmr.training.pretrain import PretrainTask
from xfmr.training.trainer import Trainer
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View

STAGE = "pretrain"
_TASKS = {"ae": PretrainTask, "contrastive": ContrastiveTask}


def fit_encoders(
    history: FoldedHistory, options: PretrainSettings, schedule: Schedule, trainer: Trainer, key: str = STAGE
) -> tuple[bytes, Metrics]:
    """Pretrain an encoder for each fold.

    Returns:
        The bytes that :meth:`Pretrained.of_bytes` reads, and the metrics of the last epoch.
    """
    make_task = partial(
        _TASKS[options.objective],
        branch=history.inputs.branch,
        shape=history.shape,
        n_members=history.n_folds,
        learning_rate=options.learning_rate,
        seed=schedule.seed,
    )
    state = trainer.train(key, make_task, Data(history.columns()), schedule)
    return pretrained_bytes(state["network"], history, options.objective), state["progress"]["history"][-1]


def pretrained_bytes(network: dict[str, Tensor], history: FoldedHistory, objective: Objective) -> bytes:
    """Serialise fold members, with the ids of the records they were trained on.

    Args:
        network: State of the :class:`~xfmr.networks.members.Members`; only encoders and decoders are stored.
        history: The records.
        objective: The objective of their training.
    """
    kept = {name: tensor for name, tensor in network.items() if name.split(".")[1] in ("encoder", "decoder")}
    tensors = {f"member.{name}": tensor for name, tensor in kept.items()} | history.inputs.tensors()
    ids = {"history.record_ids": torch.tensor(history.rows.ids)}
    description = {"kind": "encoders", "objective": objective, "shape": history.shape, "folds": history.n_folds}
    return to_bytes({**tensors, **ids}, {**description, "history": history.digest, **history.inputs.description()})


@dataclass(frozen=True)
class Pretrained:
    """The pretrained fold members of a run."""

    stored: StoredModel

    @classmethod
    def read(cls, models: Models, recording: Recording) -> Pretrained:
        """Read a run's current encoders.

        Raises:
            XfmrError: If there are none, they are of another recording, or their file is damaged.
        """
        return cls.of_bytes(*models.read(STAGE, recording))

    @classmethod
    def of_bytes(cls, data: bytes, name: str) -> Pretrained:
        """Read the bytes of a file; ``name`` is the file's, for messages.

        Raises:
            XfmrError: If it is damaged.
        """
        return cls(from_bytes(data, name, kind="encoders"))

    @cached_property
    def inputs(self) -> NetworkInputs:
        """Turns features into the encoders' input."""
        return NetworkInputs.restore(self.stored.description, self.stored.tensors)

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

        The scalers have seen all of them, and also the records set aside.
        """
        return self.stored.tensors["history.record_ids"].numpy()

    def encoder(self, fold: int) -> dict[str, Tensor]:
        """Return the weights of the encoder that was trained without a fold."""
        return self.stored.tensors_under(f"member.{fold}.encoder")

    def check(self, view: View, n_folds: int, objective: Objective) -> None:
        """Raise if the encoders were trained with other settings than these.

        Raises:
            XfmrError: If a setting differs; the message names the first one.
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
        """Raise if the encoders were trained on other records: a member may have seen records now in its fold.

        Raises:
            XfmrError: If the history differs.
        """
        if self.stored.description["history"] != digest:
            raise XfmrError(
                f"{self.stored.name} was trained on other records than the history now has (new features, other "
                "sensors or times, or other --labels or --max-records): run jobs.pretrain again"
            )
