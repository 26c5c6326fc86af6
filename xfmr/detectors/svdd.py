"""Deep SVDD: the distance of a record's embedding from the centre of a small hypersphere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from xfmr.detectors.base import Detector
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.plan import DetectorPlan, Planner
from xfmr.detectors.pretrained import Pretrained
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel
from xfmr.networks.encoders import EMBEDDING_SIZE, build_encoder
from xfmr.networks.members import SphereDistance
from xfmr.settings.stage_one import SvddSettings
from xfmr.storage.models import key_of
from xfmr.training.loop import Data, Schedule
from xfmr.training.svdd import SvddTask, default_learning_rate
from xfmr.training.trainer import Trainer


def plan(planner: Planner) -> DetectorPlan:
    """Plan a Deep SVDD that starts from the run's pretrained encoders."""
    pretrained, history, options = planner.pretrained, planner.history, planner.settings.svdd
    schedule = planner.schedule(options)
    key = key_of("svdd", planner.pretrained_key, options.model_dump(), schedule, history.digest)
    summary = f"Deep SVDD, {options.objective}, {planner.extent}, {schedule.epochs} epochs"
    fit = partial(fit_svdd, pretrained, history, options, schedule, planner.trainer, key)
    return DetectorPlan(key, summary, history.set_aside, fit)


def restore(model: StoredModel, read: Callable[[bytes, str], Detector]) -> DeepDetector:
    """Rebuild the detector from its file; it holds no other detector, so ``read`` is not used."""
    return DeepDetector.restore(model, _member)


def fit_svdd(
    pretrained: Pretrained,
    history: FoldedHistory,
    options: SvddSettings,
    schedule: Schedule,
    trainer: Trainer,
    key: str = "svdd",
) -> DeepDetector:
    """Train Deep SVDD; each member starts from the encoder that has not seen its fold either.

    Raises:
        XfmrError: If a sphere collapsed.
    """
    make_task = partial(
        SvddTask,
        branch=history.inputs.branch,
        shape=history.shape,
        encoders=[pretrained.encoder(fold) for fold in range(history.n_folds)],
        objective=options.objective,
        nu=options.nu,
        learning_rate=options.learning_rate or default_learning_rate(len(history.values), schedule),
    )
    state = trainer.train(key, make_task, Data(history.columns()), schedule)
    encoders = nn.ModuleList(build_encoder(history.inputs.branch, history.shape) for _ in range(history.n_folds))
    encoders.load_state_dict(state["network"])
    spheres = zip(encoders, state["task"]["centres"], state["task"]["radii"], strict=True)
    return DeepDetector.calibrated("svdd", [SphereDistance(*sphere) for sphere in spheres], history)


def _member(branch: str, shape: Sequence[int]) -> nn.Module:
    return SphereDistance(build_encoder(branch, shape), torch.zeros(EMBEDDING_SIZE), torch.ones(()))
