"""Labels + pseudo-labels -> fault classifier, on the pretrained encoder.

    python -m jobs.finetune --run runs/first --labels labels.csv

Labelled records are split by time into training, validation and test; the best epoch is chosen on validation and
judged once on test.
"""

from __future__ import annotations

import sys
from functools import partial

import torch

from jobs.command import run_job
from xfmr.classifier import FaultClassifier
from xfmr.cluster import cluster
from xfmr.feature_set import FeatureSet
from xfmr.inputs import ModelInputs
from xfmr.labels import NORMAL, check_disjoint, match_records, read_labels
from xfmr.models.checkpoint import StoredModel, from_bytes
from xfmr.progress import say
from xfmr.published import Models, key_of
from xfmr.scoring import read_scores
from xfmr.settings import Settings, save_settings
from xfmr.supervision import Supervision, drawing_chance, judge, supervise, training_data
from xfmr.training.finetune import FinetuneTask
from xfmr.training.loop import Schedule
from xfmr.training.run import TrainingRun, fit


def finetune(settings: Settings) -> None:
    """Train the fault classifier and publish it."""
    if not settings.labels:
        say("finetune", "nothing to do without --labels")
        return
    models, features, options = Models(settings.store), FeatureSet(settings.store), settings.finetune
    encoder = from_bytes(*models.read("pretrain", "jobs.pretrain"), kind="encoder")
    labelled = match_records(read_labels(settings.labels), features)
    supervision = supervise(labelled, read_scores(settings.store), options)
    check_disjoint(encoder.tensors["history.record_ids"].numpy(), supervision.held_out)
    epochs = settings.epochs or options.epochs
    key = key_of(models.current_key("pretrain"), options.model_dump(), epochs, settings.seed, supervision.digest())
    if models.is_current("finetune", key):
        say("finetune", "skipped, the classifier of these labels and settings is there")
        return
    save_settings(settings)
    say("finetune", str(supervision))
    classifier = train(
        settings, features, encoder, supervision, TrainingRun(settings.store, "finetune", key, settings.workers)
    )
    facts = {part: judge(classifier, features, supervision, part) for part in ("validation", "test")}
    path = models.publish("finetune", key, classifier.to_bytes(), facts)
    say("finetune", "; ".join(f"{part}: {fact}" for part, fact in facts.items()) + f"; classifier in {path}")


def train(
    settings: Settings, features: FeatureSet, encoder: StoredModel, supervision: Supervision, run: TrainingRun
) -> FaultClassifier:
    """Train on the cluster and return the classifier of the best epoch."""
    options = settings.finetune
    inputs, shape = ModelInputs.restore(encoder.description, encoder.tensors), tuple(encoder.description["shape"])
    training = training_data(features, supervision, inputs, "train")
    make_task = partial(
        FinetuneTask,
        branch=inputs.branch,
        shape=shape,
        encoder=encoder.part("encoder"),
        n_classes=len(supervision.classes),
        normal=supervision.classes.index(NORMAL),
        frozen_epochs=options.frozen_epochs,
        learning_rate=options.learning_rate,
        chance=torch.tensor(drawing_chance(supervision.part("train"))),
        seed=settings.seed,
    )
    with cluster():
        validation = training_data(features, supervision, inputs, "validation")
        schedule = Schedule(settings.epochs or options.epochs, options.batch_size, settings.seed)
        state = fit(run, make_task, training, schedule, validation=validation)
    trained_on = torch.tensor(supervision.part("train")["record_id"].to_numpy())
    description = {"shape": shape, "classes": supervision.classes}
    return FaultClassifier.assemble(
        inputs, StoredModel(run.name, description, {**state["task"], "trained_on": trained_on})
    )


if __name__ == "__main__":
    sys.exit(run_job(finetune, Settings))
