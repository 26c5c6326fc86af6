"""RUN/features -> encoders: networks learn what this fleet's records are made of. No label is read.

    python -m jobs.pretrain --run runs/first --branch spectrum --epochs 60 --workers 2
    python -m jobs.pretrain --run runs/first --branch dual --pretrain.objective contrastive

One network a fold (--folds), each trained without the records of its fold, so that each record of the history can be
scored by one that has not seen it. With --labels, the records held out for validation and test are struck; nothing
else of the file is used.
"""

from __future__ import annotations

import sys
from functools import partial

from jobs.command import run_job, sole_job
from jobs.struck import struck_ids
from xfmr.cluster import cluster, cluster_if_named
from xfmr.detectors.fitting import fit_encoders
from xfmr.detectors.pretrained import STAGE
from xfmr.history.of_run import branch_history
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.settings import Settings, save_settings
from xfmr.storage.models import Models, key_of
from xfmr.training.loop import Schedule
from xfmr.training.run import TrainingRun, fit


@sole_job
def pretrain(settings: Settings) -> None:
    """Train the encoders of the branch and publish them."""
    with cluster_if_named():
        stage_one, options = branch_history(settings, struck_ids(settings)), settings.pretrain
    history, epochs = stage_one.history, settings.epochs or options.epochs
    inputs_of = (history.inputs.view, settings.sample_rate_hz, history.digest)
    key = key_of(*inputs_of, settings.seed, epochs, options.model_dump())
    models = Models(settings.store)
    if models.is_current(STAGE, key):
        say("pretrain", "skipped, the encoders of these settings and records are there")
        return
    save_settings(settings)
    n_records, n_aside = len(history.keys), len(stage_one.set_aside)
    say("pretrain", f"{n_records} records, {n_aside} set aside as unlike their sensor's rest")
    words = f"branch {settings.branch}, {options.objective}, {history.n_folds} folds"
    say("pretrain", f"{words}, {epochs} epochs, {settings.workers} workers")
    run = TrainingRun(settings.store, STAGE, key, settings.workers)
    schedule = Schedule(epochs, options.batch_size, settings.seed)
    with cluster():
        model, final = fit_encoders(history, options, schedule, partial(fit, run))
    models.write_set_aside(STAGE, key, stage_one.set_aside)
    signals = FeatureSet(settings.store).signals
    path = models.publish(STAGE, key, model, {"records": n_records, **final}, signals=signals)
    say("pretrain", f"loss {final['loss']:.4g} after {epochs} epochs; encoders in {path}")


if __name__ == "__main__":
    sys.exit(run_job(pretrain, Settings))
