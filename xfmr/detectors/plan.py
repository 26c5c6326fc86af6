"""Which detector a run's settings ask for: all that it depends on is read, and nothing fitted yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import pandas as pd

from xfmr.detectors import Detector
from xfmr.detectors.bank import fit_bank
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.detectors.fitting import Train, fit_ae, fit_svdd, fit_vae
from xfmr.detectors.pretrained import STAGE, Pretrained
from xfmr.history.of_run import StageOne, bank_history, branch_history, view_of
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, RecordIds
from xfmr.settings import Settings
from xfmr.settings.options import DetectorKind, SvddSettings, VaeSettings
from xfmr.storage.models import Models, key_of
from xfmr.training.loop import Schedule

TrainAs = Callable[[str], Train]
"""Says how to train what has a key."""


@dataclass(frozen=True)
class DetectorPlan:
    """A detector that can be fitted.

    Args:
        key: Hash of all that it depends on.
        words: What it is made of, for people.
        set_aside: Records that it does not learn from, with their ``distance``.
        fit: Does the work.
    """

    key: str
    words: str
    set_aside: pd.DataFrame
    fit: Callable[[], Detector]


def plan_detector(settings: Settings, struck: RecordIds, train_as: TrainAs) -> DetectorPlan:
    """Plan the detector of a run.

    Raises:
        XfmrError: Where what it begins from is missing, damaged or of other settings.
    """
    return _Planner(settings, struck, train_as).plan(settings.detector)


class _Planner:
    """Reads once what several members of an ensemble begin from."""

    def __init__(self, settings: Settings, struck: RecordIds, train_as: TrainAs) -> None:
        self.settings = settings
        self.struck = struck
        self.models = Models(settings.store)
        self.train_as = train_as

    def plan(self, kind: DetectorKind) -> DetectorPlan:
        plans: dict[DetectorKind, Callable[[], DetectorPlan]] = {
            "bank": self._bank,
            "ae": self._ae,
            "svdd": self._svdd,
            "vae": self._vae,
            "ensemble": self._ensemble,
        }
        return plans[kind]()

    @cached_property
    def _stage_one(self) -> StageOne:
        return branch_history(self.settings, self.struck)

    @cached_property
    def _pretrained(self) -> Pretrained:
        pretrained = Pretrained.read(self.models)
        pretrained.check(view_of(self.settings), self.settings.n_folds, self.settings.pretrain.objective)
        pretrained.check_history(self._stage_one.history.digest)
        return pretrained

    def _bank(self) -> DetectorPlan:
        options, rate, clean = (
            self.settings.bank,
            self.settings.sample_rate_hz,
            bank_history(self.settings, self.struck),
        )
        signals = FeatureSet(self.settings.store).signals
        key = key_of("bank 6", options.model_dump(), rate, signals, clean.digest())
        words = f"bank of at most {options.size} of {len(clean.history.keys)} records"
        fit = partial(fit_bank, clean, mains_hz=options.mains_hz, sample_rate_hz=rate, size=options.size)
        return DetectorPlan(key, words, clean.set_aside, fit)

    def _ae(self) -> DetectorPlan:
        pretrained, history = self._pretrained, self._stage_one.history
        key = key_of("ae", self.models.current_key(STAGE), history.digest)
        words = f"reconstruction error of the pretrained autoencoders, {self._counts}"
        return DetectorPlan(key, words, self._stage_one.set_aside, partial(fit_ae, pretrained, history))

    def _svdd(self) -> DetectorPlan:
        pretrained, history, options = self._pretrained, self._stage_one.history, self.settings.svdd
        schedule = self._schedule(options)
        key = key_of("svdd", self.models.current_key(STAGE), options.model_dump(), schedule, history.digest)
        words = f"Deep SVDD, {options.objective}, {self._counts}, {schedule.epochs} epochs"
        fit = partial(fit_svdd, pretrained, history, options, schedule, self.train_as(key))
        return DetectorPlan(key, words, self._stage_one.set_aside, fit)

    def _vae(self) -> DetectorPlan:
        history, options = self._stage_one.history, self.settings.vae
        schedule = self._schedule(options)
        key = key_of("vae", history.inputs.view, options.model_dump(), schedule, history.digest)
        words = f"variational autoencoder, {self._counts}, {schedule.epochs} epochs"
        fit = partial(fit_vae, history, options, schedule, self.train_as(key))
        return DetectorPlan(key, words, self._stage_one.set_aside, fit)

    def _ensemble(self) -> DetectorPlan:
        kinds, weights = zip(*self.settings.ensemble.weights.items(), strict=True)
        plans = [self.plan(kind) for kind in kinds]
        key = key_of("ensemble", [plan.key for plan in plans], weights)
        words = "; ".join(f"{weight:g} x {plan.words}" for weight, plan in zip(weights, plans, strict=True))
        set_aside = pd.concat([plan.set_aside for plan in plans]).drop_duplicates(IDENTITY_COLUMNS)

        def fit() -> Detector:
            return EnsembleDetector(tuple(plan.fit() for plan in plans), weights)

        return DetectorPlan(key, f"ensemble of {words}", set_aside, fit)

    @property
    def _counts(self) -> str:
        return f"{len(self._stage_one.history.keys)} records, {self.settings.n_folds} folds"

    def _schedule(self, options: SvddSettings | VaeSettings) -> Schedule:
        return Schedule(self.settings.epochs or options.epochs, options.batch_size, self.settings.seed)
