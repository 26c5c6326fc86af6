"""Deep detectors fitted to a history: each kind's way from records to fold members."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.pretrained import Pretrained, pretrained_bytes
from xfmr.history.folds import FoldedHistory
from xfmr.networks.encoders import build_autoencoder, build_encoder
from xfmr.networks.members import ReconstructionError, SphereDistance, VariationalError
from xfmr.networks.vae import build_vae
from xfmr.settings.options import PretrainSettings, SvddSettings, VaeSettings
from xfmr.training.contrastive import ContrastiveTask
from xfmr.training.loop import Data, MakeTask, Metrics, Schedule, State
from xfmr.training.pretrain import PretrainTask
from xfmr.training.svdd import SvddTask, default_learning_rate
from xfmr.training.vae import VaeTask

Train = Callable[[MakeTask, Data, Schedule], State]
"""Trains what the first argument makes: on a cluster, or :func:`xfmr.training.loop.train_alone`."""


def fit_encoders(
    history: FoldedHistory, options: PretrainSettings, schedule: Schedule, train: Train
) -> tuple[bytes, Metrics]:
    """Pretrain an encoder a fold.

    Returns:
        What :meth:`~xfmr.detectors.pretrained.Pretrained.of_bytes` reads, and the metrics of the last epoch.
    """
    make_task = partial(
        {"ae": PretrainTask, "contrastive": ContrastiveTask}[options.objective],
        branch=history.inputs.branch,
        shape=history.shape,
        n_members=history.n_folds,
        learning_rate=options.learning_rate,
        seed=schedule.seed,
    )
    state = train(make_task, Data(history.columns()), schedule)
    return pretrained_bytes(state["network"], history, options.objective), state["progress"]["history"][-1]


def fit_ae(pretrained: Pretrained, history: FoldedHistory) -> DeepDetector:
    """Take the autoencoders as they are: a record's score is its reconstruction error."""
    autoencoders = nn.ModuleList(
        build_autoencoder(history.inputs.branch, history.shape) for _ in range(history.n_folds)
    )
    pretrained.stored.load_into(autoencoders, "member")
    return DeepDetector.calibrated("ae", [ReconstructionError(network) for network in autoencoders], history)


def fit_svdd(
    pretrained: Pretrained, history: FoldedHistory, options: SvddSettings, schedule: Schedule, train: Train
) -> DeepDetector:
    """Train Deep SVDD, each member from the encoder that has not seen its fold either.

    Raises:
        XfmrError: Where a sphere collapsed.
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
    state = train(make_task, Data(history.columns()), schedule)
    encoders = nn.ModuleList(build_encoder(history.inputs.branch, history.shape) for _ in range(history.n_folds))
    encoders.load_state_dict(state["network"])
    spheres = zip(encoders, state["task"]["centres"], state["task"]["radii"], strict=True)
    return DeepDetector.calibrated("svdd", [SphereDistance(*sphere) for sphere in spheres], history)


def fit_vae(history: FoldedHistory, options: VaeSettings, schedule: Schedule, train: Train) -> DeepDetector:
    """Train variational autoencoders; a record's score is its residual and a tenth of its divergence."""
    make_task = partial(
        VaeTask,
        shape=history.shape,
        n_members=history.n_folds,
        beta=options.beta,
        warm_up_epochs=options.warm_up_epochs,
        learning_rate=options.learning_rate,
        seed=schedule.seed,
    )
    state = train(make_task, Data(history.columns()), schedule)
    networks = nn.ModuleList(build_vae(history.shape) for _ in range(history.n_folds))
    networks.load_state_dict(state["network"])
    return DeepDetector.calibrated("vae", [VariationalError(network) for network in networks], history)
