"""The plan of a detector: everything that it depends on is read, and nothing is fitted yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import pandas as pd

from xfmr.detectors.base import Detector
from xfmr.detectors.pretrained import STAGE, Pretrained
from xfmr.history.folds import FoldedHistory
from xfmr.history.of_run import branch_history, view_of
from xfmr.networks.checkpoint import StoredModel
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.settings import Settings
from xfmr.settings.stage_one import DetectorKind, SvddSettings, VaeSettings
from xfmr.storage.models import Models
from xfmr.training.loop import Schedule
from xfmr.training.trainer import Trainer


@dataclass(frozen=True)
class DetectorPlan:
    """A detector that can be fitted.

    Args:
        key: Hash of everything that it depends on: the settings that it reads, the digest of its history, and a
            version such as ``bank 6``, whose number rises when the computation changes.
        summary: One line for people.
        set_aside: Records of the history that it does not learn from, with their ``distance``.
        fit: Fits the detector.
    """

    key: str
    summary: str
    set_aside: pd.DataFrame
    fit: Callable[[], Detector]


class Kind(Protocol):
    """The two functions of a detector's module; its settings and terms are in :mod:`xfmr.settings.stage_one`."""

    def plan(self, planner: Planner) -> DetectorPlan:
        """Plan a detector of a run.

        Raises:
            XfmrError: If the encoders that it starts from are missing, damaged or were trained with other settings.
        """
        ...

    def restore(self, model: StoredModel, read: Callable[[bytes, str], Detector]) -> Detector:
        """Rebuild a detector from its file.

        Args:
            model: The file.
            read: Reads a detector within it, from the bytes of its file and a name.
        """
        ...


@dataclass(frozen=True)
class Planner:
    """Plans the detectors of a run. An input of several members, such as the history, is read once.

    Args:
        settings: Settings of the run.
        struck: Ids of records that must not be learned from.
        trainer: Trains networks.
        kinds: All kinds of detector.
    """

    settings: Settings
    struck: RecordIds
    trainer: Trainer
    kinds: Mapping[DetectorKind, Kind]

    def plan(self, kind: DetectorKind) -> DetectorPlan:
        """Plan a detector, see :meth:`Kind.plan`."""
        return self.kinds[kind].plan(self)

    @property
    def features(self) -> FeatureSet:
        """The run's features."""
        return FeatureSet(self.settings.store)

    @cached_property
    def history(self) -> FoldedHistory:
        """The history for the branch's networks."""
        return branch_history(self.settings, self.struck)

    @cached_property
    def pretrained(self) -> Pretrained:
        """The run's pretrained encoders, checked against settings and history."""
        pretrained = Pretrained.read(self._models, self.features.recording)
        pretrained.check(view_of(self.settings), self.settings.n_folds, self.settings.pretrain.objective)
        pretrained.check_history(self.history.digest)
        return pretrained

    @property
    def pretrained_key(self) -> str | None:
        """Key of the run's pretrained encoders."""
        return self._models.current_key(STAGE)

    @property
    def extent(self) -> str:
        """Size of the history, such as ``1650 records, 5 folds``."""
        return f"{len(self.history.rows)} records, {self.history.n_folds} folds"

    def schedule(self, options: SvddSettings | VaeSettings) -> Schedule:
        """Return the schedule of a detector's training."""
        return Schedule(self.settings.epochs or options.epochs, options.batch_size, self.settings.seed)

    @property
    def _models(self) -> Models:
        return Models(self.settings.store)
