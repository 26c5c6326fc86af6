"""Fit our detectors to a table of features in this process, with the training loop that the jobs use."""

from typing import Any

import pyarrow as pa

from xfmr.detectors.ae import fit_ae
from xfmr.detectors.bank import BankDetector, fit_bank
from xfmr.detectors.base import Detector
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.detectors.pretrained import Pretrained, fit_encoders, pretrained_bytes
from xfmr.detectors.svdd import fit_svdd
from xfmr.detectors.vae import fit_vae
from xfmr.history.clean import bank_values, clean_bank_history, clean_history
from xfmr.history.folds import FoldedHistory
from xfmr.normal import Rows
from xfmr.settings.stage_one import (
    DEFAULT_FOLDS,
    BankSettings,
    EnsembleSettings,
    ImageScale,
    PretrainSettings,
    SvddSettings,
    VaeSettings,
)
from xfmr.training.loop import Schedule
from xfmr.training.pretrain import PretrainTask
from xfmr.training.trainer import LocalTrainer
from xfmr.views.hum import hum_views
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View, spectra


def fit_ours(past: pa.Table, *, rate_hz: float, seed: int) -> dict[str, Detector]:
    """Fit all detectors of the default branch with their default settings."""
    history = _folded(past, View("spectrum", 224, "log"))
    detectors: dict[str, Detector] = {"bank (default)": fit_bank_alone(past, rate_hz)}
    detectors |= _from_encoders(history, seed, epochs=60)
    detectors["Deep SVDD, not pretrained"] = _svdd(_untrained(history, seed), history, "one_class", 60, seed)
    vae = VaeSettings()
    detectors["VAE"] = fit_vae(history, vae, Schedule(vae.epochs, vae.batch_size, seed), LocalTrainer())
    weights = EnsembleSettings().weights
    members = {"svdd": detectors["Deep SVDD, one class"], "vae": detectors["VAE"]}
    detectors["ensemble"] = EnsembleDetector(tuple(members[kind] for kind in weights), tuple(weights.values()))
    return detectors


def fit_networks(past: pa.Table, *, seed: int) -> dict[str, Detector]:
    """Fit `ae` and one-class `svdd` of the default branch with their default settings."""
    detectors = _from_encoders(_folded(past, View("spectrum", 224, "log")), seed, epochs=60)
    return {"`ae`": detectors["AE error"], "`svdd`": detectors["Deep SVDD, one class"]}


def fit_images(past: pa.Table, scale: ImageScale, *, size: int, epochs: int) -> dict[str, Detector]:
    """Fit AE and Deep SVDD to hetero images, with fewer pixels and epochs than by default."""
    history = _folded(past, View("image", size, scale))
    return {
        f"{name}, {scale} images": detector for name, detector in _from_encoders(history, 0, epochs=epochs).items()
    }


def _from_encoders(history: FoldedHistory, seed: int, *, epochs: int) -> dict[str, Detector]:
    options, schedule = PretrainSettings(), Schedule(epochs, 64, seed)
    pretrained = Pretrained.of_bytes(fit_encoders(history, options, schedule, LocalTrainer())[0], "bench")
    detectors: dict[str, Detector] = {"AE error": fit_ae(pretrained, history)}
    for name, objective in (("one class", "one_class"), ("soft boundary", "soft_boundary")):
        detectors[f"Deep SVDD, {name}"] = _svdd(pretrained, history, objective, epochs, seed)
    return detectors


def _svdd(pretrained: Pretrained, history: FoldedHistory, objective: Any, epochs: int, seed: int) -> Detector:
    schedule = Schedule(epochs, 64, seed)
    return fit_svdd(pretrained, history, SvddSettings(objective=objective), schedule, LocalTrainer())


def _untrained(history: FoldedHistory, seed: int) -> Pretrained:
    task = PretrainTask(
        branch="spectrum", shape=history.shape, n_members=history.n_folds, learning_rate=1e-3, seed=seed
    )
    return Pretrained.of_bytes(pretrained_bytes(task.network.state_dict(), history, "ae"), "bench")


def _folded(past: pa.Table, view: View) -> FoldedHistory:
    """Clean a history by its log spectra and split it into folds."""
    rows, values = Rows.of(past), view.read(past)
    history = clean_history(values, rows, spectra(past))
    return FoldedHistory.of(NetworkInputs.fit(view, values, rows), history, DEFAULT_FOLDS[view.branch], digest="")


def fit_bank_alone(past: pa.Table, rate_hz: float) -> BankDetector:
    """Fit the default detector with its default settings."""
    views = hum_views(mains_hz=50, sample_rate_hz=rate_hz)
    history = clean_bank_history(bank_values(past, views), Rows.of(past), views[0])
    return fit_bank(history, views, size=BankSettings().size)
