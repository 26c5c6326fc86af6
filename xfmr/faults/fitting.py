"""Training of the fault classifier on people's labels and pseudo-labels, and its quality on held-out records."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from xfmr.detectors.pretrained import Pretrained
from xfmr.errors import XfmrError
from xfmr.faults.classifier import FaultClassifier
from xfmr.faults.split import Part
from xfmr.faults.supervision import Supervision
from xfmr.networks.checkpoint import StoredModel
from xfmr.networks.inference import run_network
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import KEY, NORMAL
from xfmr.settings.stage_three import FinetuneSettings
from xfmr.training.finetune import FinetuneTask, macro_f1_of
from xfmr.training.loop import Data, Schedule
from xfmr.training.trainer import Trainer
from xfmr.views.inputs import NetworkInputs


def train_classifier(
    features: FeatureSet,
    pretrained: Pretrained,
    supervision: Supervision,
    settings: FinetuneSettings,
    schedule: Schedule,
    trainer: Trainer,
    key: str,
) -> FaultClassifier:
    """Train a classifier and return it as of its best epoch.

    Args:
        features: The run's features.
        pretrained: The encoders and their scalers; training starts from the encoder of the first fold.
        supervision: The labelled records.
        settings: Learning rate and frozen epochs.
        schedule: Epochs, batch size and seed.
        trainer: Trains the network.
        key: Hash of everything that the classifier depends on.
    """
    inputs, shape = pretrained.inputs, pretrained.shape
    rows = supervision.part("train")
    make_task = partial(
        FinetuneTask,
        branch=inputs.branch,
        shape=shape,
        encoder=pretrained.encoder(0),
        n_classes=len(supervision.classes),
        normal=supervision.classes.index(NORMAL),
        frozen_epochs=settings.frozen_epochs,
        learning_rate=settings.learning_rate,
        chance=torch.tensor(sampling_weights(rows)),
        seed=schedule.seed,
    )
    training, validation = (training_data(features, supervision, inputs, part) for part in ("train", "validation"))
    state = trainer.train(key, make_task, training, schedule, validation=validation)
    tensors = {**state["task"], "trained_on": torch.tensor(rows["record_id"].to_numpy())}
    description = {"shape": shape, "classes": supervision.classes}
    return FaultClassifier.assemble(inputs, StoredModel(f"classifier {key}", description, tensors))


def sampling_weights(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return each row's probability of being drawn, (n,).

    All classes have the same probability. Within a class, people's labels have the same as pseudo-labels.
    """
    classes = rows["class"].nunique()
    sources = rows.groupby("class")["pseudo"].transform("nunique")
    members = rows.groupby(["class", "pseudo"])["pseudo"].transform("size")
    weights: NDArray[np.float64] = (1.0 / (classes * sources * members)).to_numpy(dtype=np.float64)
    return weights


def load_inputs(features: FeatureSet, rows: pd.DataFrame, inputs: NetworkInputs) -> NDArray[Any]:
    """Read the network inputs of the given records, in their order: (n, ...).

    Raises:
        XfmrError: If the features no longer hold one of them.
    """
    wanted = rows[KEY].assign(row=np.arange(len(rows)))
    values: list[NDArray[Any]] = []
    order: list[NDArray[np.int64]] = []
    for table in features.tables(inputs.columns):
        matches = table.select(KEY).to_pandas().assign(at=np.arange(len(table))).merge(wanted, on=KEY)
        if len(matches):
            values.append(inputs(table.take(matches["at"].to_numpy())))
            order.append(matches["row"].to_numpy())
    missing = len(rows) - sum(map(len, order))
    if missing:
        raise XfmrError(
            f"{missing} of {len(rows)} records that were scored are no longer in the features: run jobs.score again"
        )
    return np.concatenate(values)[np.argsort(np.concatenate(order))]


def training_data(features: FeatureSet, supervision: Supervision, inputs: NetworkInputs, part: Part) -> Data:
    """Read one part for the train loop: ``inputs``, ``classes`` and ``weights``."""
    rows = supervision.part(part)
    return Data(
        {
            "inputs": load_inputs(features, rows, inputs),
            "classes": rows["class"].to_numpy(dtype=np.int64),
            "weights": rows["weight"].to_numpy(dtype=np.float32),
        }
    )


def held_out_quality(
    classifier: FaultClassifier, features: FeatureSet, supervision: Supervision, part: Part
) -> dict[str, float | int]:
    """Compare the classifier with people's labels on validation or test."""
    rows = supervision.part(part)
    if rows.empty:
        return {"records": 0}
    logits = run_network(classifier.network, load_inputs(features, rows, classifier.inputs))
    predicted, truth = logits.argmax(1).numpy(), rows["class"].to_numpy()
    accuracy = float((predicted == truth).mean())
    return {"records": len(rows), "macro_f1": round(macro_f1_of(truth, predicted), 4), "accuracy": round(accuracy, 4)}
