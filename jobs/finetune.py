"""Labels + pseudo-labels -> fault classifier, on the pretrained encoder.

    python -m jobs.finetune --run runs/first --labels labels.csv

It starts from the encoder of the history's first fold. Labelled records are split by time into training, validation
and test; the best epoch is chosen on validation and measured once on test.
"""

from __future__ import annotations

import sys

import numpy as np

from jobs.command import run_job, sole_job
from jobs.people import labelled_records
from xfmr.detectors.pretrained import STAGE, Pretrained
from xfmr.faults.fitting import held_out_quality, train_classifier
from xfmr.faults.split import check_disjoint
from xfmr.faults.supervision import supervise
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.scoring import load_detector
from xfmr.scores.sets import read_scores
from xfmr.settings import Settings, save_settings
from xfmr.storage.models import Models, key_of
from xfmr.training.loop import Schedule
from xfmr.training.run import ClusterTrainer


@sole_job
def finetune(settings: Settings) -> None:
    """Train the fault classifier and publish it."""
    if not settings.labels:
        say("finetune", "nothing to do without --labels")
        return
    models, features, options = Models(settings.store), FeatureSet(settings.store), settings.finetune
    encoder, detector = Pretrained.read(models, features.recording), load_detector(features)
    labelled = labelled_records(settings)
    supervision = supervise(labelled, read_scores(settings.store), options)
    for stage, record_ids in ((STAGE, encoder.record_ids), ("detector", detector.history_ids)):
        check_disjoint(np.concatenate([record_ids, models.set_aside_ids(stage)]), supervision.held_out)
    schedule = Schedule(settings.epochs or options.epochs, options.batch_size, settings.seed)
    encoder_key = models.current_key(STAGE)
    key = key_of(encoder_key, options.model_dump(), schedule.epochs, schedule.seed, supervision.digest())
    if models.is_current("finetune", key):
        say("finetune", "skipped, the classifier of these labels and settings exists")
        return
    save_settings(settings)
    if left_out := len(labelled) - supervision.n_people:
        say("finetune", f"{left_out} labels left out: the same signal has another label elsewhere")
    say("finetune", f"{supervision}; encoder of the first of {encoder.n_folds} folds")
    trainer = ClusterTrainer(settings.store, "finetune", settings.workers)
    classifier = train_classifier(features, encoder, supervision, options, schedule, trainer, key)
    quality = {part: held_out_quality(classifier, features, supervision, part) for part in ("validation", "test")}
    path = models.publish("finetune", key, classifier.to_bytes(), quality, recording=features.recording)
    say("finetune", "; ".join(f"{part}: {figures}" for part, figures in quality.items()) + f"; classifier in {path}")


if __name__ == "__main__":
    sys.exit(run_job(finetune, Settings))
