"""Reconstruction error of the pretrained autoencoders, without further training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from xfmr.detectors.base import Detector
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.plan import DetectorPlan, Planner
from xfmr.detectors.pretrained import Pretrained
from xfmr.history.folds import FoldedHistory
from xfmr.networks.checkpoint import StoredModel
from xfmr.networks.encoders import build_autoencoder
from xfmr.networks.members import ReconstructionError
from xfmr.storage.models import key_of


def plan(planner: Planner) -> DetectorPlan:
    """Plan a detector of the run's pretrained autoencoders."""
    pretrained, history = planner.pretrained, planner.history
    key = key_of("ae", planner.pretrained_key, history.digest)
    summary = f"reconstruction error of the pretrained autoencoders, {planner.extent}"
    return DetectorPlan(key, summary, history.set_aside, partial(fit_ae, pretrained, history))


def restore(model: StoredModel, read: Callable[[bytes, str], Detector]) -> DeepDetector:
    """Rebuild the detector from its file; it holds no other detector, so ``read`` is not used."""
    return DeepDetector.restore(model, _member)


def fit_ae(pretrained: Pretrained, history: FoldedHistory) -> DeepDetector:
    """Calibrate the pretrained autoencoders by their out-of-fold errors."""
    autoencoders = nn.ModuleList(
        build_autoencoder(history.inputs.branch, history.shape) for _ in range(history.n_folds)
    )
    pretrained.stored.load_into(autoencoders, "member")
    return DeepDetector.calibrated("ae", [ReconstructionError(network) for network in autoencoders], history)


def _member(branch: str, shape: Sequence[int]) -> nn.Module:
    return ReconstructionError(build_autoencoder(branch, shape))
