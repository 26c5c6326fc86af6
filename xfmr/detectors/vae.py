"""Variational autoencoder: the score is its residual plus a tenth of its divergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from xfmr.detectors.base import Detector
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.plan import DetectorPlan, Planner
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel
from xfmr.networks.members import VariationalError
from xfmr.networks.vae import build_vae
from xfmr.settings.stage_one import VaeSettings
from xfmr.storage.models import key_of
from xfmr.training.loop import Data, Schedule
from xfmr.training.trainer import Trainer
from xfmr.training.vae import VaeTask


def plan(planner: Planner) -> DetectorPlan:
    """Plan variational autoencoders, which need no pretraining."""
    history, options = planner.history, planner.settings.vae
    schedule = planner.schedule(options)
    key = key_of("vae", history.inputs.view, options.model_dump(), schedule, history.digest)
    summary = f"variational autoencoder, {planner.extent}, {schedule.epochs} epochs"
    return DetectorPlan(
        key, summary, history.set_aside, partial(fit_vae, history, options, schedule, planner.trainer, key)
    )


def restore(model: StoredModel, read: Callable[[bytes, str], Detector]) -> DeepDetector:
    """Rebuild the detector from its file; it holds no other detector, so ``read`` is not used."""
    return DeepDetector.restore(model, _member)


def fit_vae(
    history: FoldedHistory, options: VaeSettings, schedule: Schedule, trainer: Trainer, key: str = "vae"
) -> DeepDetector:
    """Train variational autoencoders, one per fold."""
    make_task = partial(
        VaeTask,
        shape=history.shape,
        n_members=history.n_folds,
        beta=options.beta,
        warm_up_epochs=options.warm_up_epochs,
        learning_rate=options.learning_rate,
        seed=schedule.seed,
    )
    state = trainer.train(key, make_task, Data(history.columns()), schedule)
    networks = nn.ModuleList(build_vae(history.shape) for _ in range(history.n_folds))
    networks.load_state_dict(state["network"])
    return DeepDetector.calibrated("vae", [VariationalError(network) for network in networks], history)


def _member(branch: str, shape: Sequence[int]) -> nn.Module:
    return VariationalError(build_vae(shape))
