"""RUN/features -> encoder: a network learns what this fleet's records are made of. No label is read.

    python -m jobs.pretrain --run runs/first --branch spectrum --epochs 60 --workers 2
    python -m jobs.pretrain --run runs/first --branch dual --pretrain.objective contrastive

With --labels, the records held out for validation and test are struck; nothing else of the file is used.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pyarrow as pa
import torch

from jobs.command import run_job, sole_job
from xfmr.cluster import cluster
from xfmr.feature_set import FeatureSet
from xfmr.history import RecordIds, ViewedHistory, load_clean_history
from xfmr.labels import held_out_ids, read_labels
from xfmr.models.checkpoint import to_bytes
from xfmr.progress import say
from xfmr.published import Models, key_of
from xfmr.settings import Settings, save_settings
from xfmr.training.contrastive import ContrastiveTask
from xfmr.training.loop import Data, Schedule
from xfmr.training.pretrain import PretrainTask
from xfmr.training.run import TrainingRun, fit
from xfmr.views import View, input_shape


@sole_job
def pretrain(settings: Settings) -> None:
    """Train the encoder of the branch and publish it."""
    clean, options = stage_one_history(settings), settings.pretrain
    history, epochs = clean.history, settings.epochs or options.epochs
    key = key_of(clean.inputs.view, settings.seed, epochs, options.model_dump(), history.digest())
    models = Models(settings.store)
    if models.is_current("pretrain", key):
        say("pretrain", "skipped, the encoder of these settings and records is there")
        return
    save_settings(settings)
    say("pretrain", f"{len(history.keys)} records, {len(clean.set_aside)} set aside as unlike their sensor's rest")
    say("pretrain", f"branch {settings.branch}, {options.objective}, {epochs} epochs, {settings.workers} workers")
    values = clean.inputs.scale(history.values, history.keys)
    shape = input_shape(values)
    task = {"ae": PretrainTask, "contrastive": ContrastiveTask}[options.objective]
    make_task = partial(
        task, branch=settings.branch, shape=shape, learning_rate=options.learning_rate, seed=settings.seed
    )
    with cluster():
        run = TrainingRun(settings.store, "pretrain", key, settings.workers)
        state = fit(run, make_task, Data({"inputs": values}), Schedule(epochs, options.batch_size, settings.seed))
    encoder = {name: tensor for name, tensor in state["network"].items() if name.startswith("encoder.")}
    trained_on = {"history.record_ids": torch.tensor(history.record_ids)}
    description = {"kind": "encoder", "objective": options.objective, "shape": shape, **clean.inputs.description()}
    model = to_bytes({**encoder, **clean.inputs.tensors(), **trained_on}, description)
    settings.store.write_table(f"models/{run.name}/set_aside.parquet", pa.Table.from_pandas(clean.set_aside))
    final = state["progress"]["history"][-1]
    path = models.publish("pretrain", key, model, {"records": len(history.keys), **final})
    say("pretrain", f"loss {final['loss']:.4g} after {epochs} epochs; encoder in {path}")


def stage_one_history(settings: Settings) -> ViewedHistory:
    """Load what stage one may learn from: everything but held-out records and those unlike their sensor's rest."""
    features, most = FeatureSet(settings.store), settings.pretrain.max_records
    view = View(settings.branch, settings.image_size, settings.image_scale)
    return load_clean_history(features, view, struck=struck_ids(settings), max_records=most)


def struck_ids(settings: Settings) -> RecordIds:
    """Name the records that validation and test hold out, which stage one must not see."""
    if not settings.labels:
        return np.empty(0, np.int64)
    return held_out_ids(read_labels(settings.labels), FeatureSet(settings.store))


if __name__ == "__main__":
    sys.exit(run_job(pretrain, Settings))
