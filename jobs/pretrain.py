"""RUN/features -> encoders: networks learn to represent this fleet's records.

    python -m jobs.pretrain --run runs/first --branch spectrum --epochs 60 --workers 2
    python -m jobs.pretrain --run runs/first --branch dual --pretrain.objective contrastive

Each fold (--folds) has its own network, trained without the records of the fold, so that each record of the history
can be scored by a network that has not seen it. Labels are used only to exclude held-out records.
"""

from __future__ import annotations

import sys

from jobs.command import run_job, sole_job
from jobs.struck import struck_ids
from xfmr.cluster import cluster_if_named
from xfmr.detectors.pretrained import STAGE, fit_encoders
from xfmr.history.of_run import branch_history
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.settings import Settings, save_settings
from xfmr.storage.models import Models, key_of
from xfmr.training.loop import Schedule
from xfmr.training.run import ClusterTrainer


@sole_job
def pretrain(settings: Settings) -> None:
    """Train the encoders of the branch and publish them."""
    with cluster_if_named():
        history, options = branch_history(settings, struck_ids(settings)), settings.pretrain
    schedule = Schedule(settings.epochs or options.epochs, options.batch_size, settings.seed)
    inputs_of = (history.inputs.view, settings.sample_rate_hz, history.digest)
    key = key_of(*inputs_of, schedule.seed, schedule.epochs, options.model_dump())
    models = Models(settings.store)
    if models.is_current(STAGE, key):
        say("pretrain", "skipped, the encoders of these settings and records exist")
        return
    save_settings(settings)
    n_records = len(history.rows)
    say("pretrain", f"{n_records} records, {len(history.set_aside)} set aside as unlike the rest of their sensor")
    terms = f"branch {settings.branch}, {options.objective}, {history.n_folds} folds"
    say("pretrain", f"{terms}, {schedule.epochs} epochs, {settings.workers} workers")
    trainer = ClusterTrainer(settings.store, STAGE, settings.workers)
    model, metrics = fit_encoders(history, options, schedule, trainer, key)
    models.write_set_aside(STAGE, key, history.set_aside)
    recording = FeatureSet(settings.store).recording
    path = models.publish(STAGE, key, model, {"records": n_records, **metrics}, recording=recording)
    say("pretrain", f"loss {metrics['loss']:.4g} after {schedule.epochs} epochs; encoders in {path}")


if __name__ == "__main__":
    sys.exit(run_job(pretrain, Settings))
