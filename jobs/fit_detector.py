"""RUN/features + encoder -> detector: Deep SVDD on what the autoencoder learned. No label is read.

python -m jobs.fit_detector --run runs/first --detector.objective soft_boundary --detector.nu 0.05
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from jobs.command import run_job, sole_job
from jobs.pretrain import stage_one_history
from xfmr.cluster import cluster
from xfmr.detectors.svdd import SvddDetector
from xfmr.inputs import ModelInputs
from xfmr.models.checkpoint import from_bytes
from xfmr.models.networks import build_encoder
from xfmr.progress import say
from xfmr.published import Models, key_of
from xfmr.settings import Settings, save_settings
from xfmr.training.loop import Data, Schedule
from xfmr.training.run import TrainingRun, fit
from xfmr.training.svdd import SvddTask


@sole_job
def fit_detector(settings: Settings) -> None:
    """Train Deep SVDD from the published encoder and publish the detector."""
    models = Models(settings.store)
    encoder = from_bytes(*models.read("pretrain", "jobs.pretrain"), kind="encoder")
    options = settings.detector
    epochs = settings.epochs or options.epochs
    history = stage_one_history(settings).history
    key = key_of(models.current_key("pretrain"), options.model_dump(), epochs, settings.seed, history.digest())
    if models.is_current("detector", key):
        say("fit_detector", "skipped, the detector of these settings and records is there")
        return
    save_settings(settings)
    say("fit_detector", f"Deep SVDD, {options.objective}, {len(history.keys)} records, {epochs} epochs")
    inputs = ModelInputs.restore(encoder.description, encoder.tensors)
    shape = tuple(encoder.description["shape"])
    make_task = partial(
        SvddTask,
        branch=inputs.branch,
        shape=shape,
        encoder=encoder.part("encoder"),
        objective=options.objective,
        nu=options.nu,
        learning_rate=options.learning_rate,
    )
    with cluster():
        run = TrainingRun(settings.store, "detector", key, settings.workers)
        values = Data({"inputs": inputs.standardise(history.values, history.keys)})
        state = fit(run, make_task, values, Schedule(epochs, options.batch_size, settings.seed))
    detector = assemble(state, inputs, shape, soft=options.objective == "soft_boundary")
    path = models.publish("detector", key, detector.to_bytes(), state["progress"]["history"][-1])
    say("fit_detector", f"radius {float(state['task']['radius']):.4g}; detector in {path}")


def assemble(state: dict[str, Any], inputs: ModelInputs, shape: tuple[int, ...], *, soft: bool) -> SvddDetector:
    """Build the detector from the final state of training."""
    encoder = build_encoder(inputs.branch, shape)
    encoder.load_state_dict(state["network"])
    radius = float(state["task"]["radius"]) if soft else 0.0
    return SvddDetector(inputs, shape, encoder, state["task"]["centre"], radius)


if __name__ == "__main__":
    sys.exit(run_job(fit_detector, Settings))
