"""What the fault classifier learns from: people's labels, pseudo-labels, and who is kept out of training."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from xfmr.detectors.pretrained import Pretrained
from xfmr.errors import XfmrError
from xfmr.faults.classifier import FaultClassifier
from xfmr.faults.split import check_disjoint, split, without_contradictions
from xfmr.networks.checkpoint import StoredModel
from xfmr.networks.inference import run_network
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import KEY, NORMAL
from xfmr.settings.options import FinetuneSettings
from xfmr.training.finetune import FinetuneTask, macro_f1_of
from xfmr.training.loop import Data, Schedule
from xfmr.training.run import TrainingRun, fit
from xfmr.views.inputs import ModelInputs

SOME_FAULT = -1


@dataclass(frozen=True)
class Supervision:
    """Records with what is known of them, one row each.

    Args:
        rows: Columns of :data:`xfmr.labels.KEY`, ``record_id``, ``class`` (index, or -1 for some fault), ``weight``,
            ``pseudo`` (whether that is all) and ``part`` (``train``, ``validation`` or ``test``).
        classes: Names of the classes, ``normal`` among them.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]

    def part(self, name: str) -> pd.DataFrame:
        """Return the rows of one part."""
        return self.rows[self.rows["part"] == name].reset_index(drop=True)

    @property
    def n_people(self) -> int:
        """Number of rows that people have labelled."""
        return int((~self.rows["pseudo"]).sum())

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Ids of the records of validation and test."""
        return self.rows.loc[self.rows["part"] != "train", "record_id"].to_numpy(dtype=np.int64)

    def digest(self) -> str:
        """Return a short hash of rows and classes."""
        hashes = pd.util.hash_pandas_object(self.rows, index=False).to_numpy()
        return hashlib.blake2b(hashes.tobytes() + repr(self.classes).encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        """Count the rows of each part and class."""
        names = self.rows["class"].map(lambda i: "some fault" if i == SOME_FAULT else self.classes[i])
        counts = {part: Counter(names[self.rows["part"] == part]) for part in ("train", "validation", "test")}
        return "; ".join(f"{p}: " + ", ".join(f"{c[name]} {name}" for name in sorted(c)) for p, c in counts.items())


def supervise(labelled: pd.DataFrame, scores: pd.DataFrame, settings: FinetuneSettings) -> Supervision:
    """Put people's labels and pseudo-labels together.

    Args:
        labelled: What :func:`xfmr.labels.match_records` gives; of these, signals that have two labels are left out.
        scores: The run's scores; only rows whose signal no person labelled are used, the surest of each end.
        settings: Weight and number of pseudo-labels.

    Raises:
        XfmrError: Where people's labels give no fault type to learn, or no record to validate with.
    """
    unlabelled = scores[~scores["record_id"].isin(labelled["record_id"])]
    labelled = without_contradictions(labelled)
    parts = split(labelled)
    classes = tuple(sorted({NORMAL, *labelled["label"]}))
    if set(labelled["label"][parts == "train"]) <= {NORMAL} or not (parts == "validation").any():
        raise XfmrError(
            f"{len(labelled)} labelled records are too few to learn from: training needs a fault type besides "
            "normal, and some records must fall into validation; label more"
        )
    people = labelled.assign(**{"class": labelled["label"].map(classes.index)}, weight=1.0, pseudo=False, part=parts)
    pseudo = _pseudo(unlabelled, settings.max_pseudo_labels // 2)
    known = np.where(pseudo["pseudo_label"] == NORMAL, classes.index(NORMAL), SOME_FAULT)
    pseudo = pseudo.assign(**{"class": known}, weight=settings.pseudo_weight, pseudo=True, part="train")
    rows = pd.concat([people, pseudo])[[*KEY, "record_id", "class", "weight", "pseudo", "part"]]
    rows = rows.reset_index(drop=True)
    supervision = Supervision(rows, classes)
    check_disjoint(supervision.part("train")["record_id"].to_numpy(), supervision.held_out)
    return supervision


def _pseudo(scores: pd.DataFrame, most: int) -> pd.DataFrame:
    """Choose the surest of each end: the lowest normal and the highest anomalous scores."""
    normal = scores[scores["pseudo_label"] == NORMAL].sort_values(["score", "record_id"])
    anomaly = scores[scores["pseudo_label"] == "anomaly"].sort_values(["score", "record_id"], ascending=False)
    return pd.concat([normal.head(most), anomaly.head(most)])


def drawing_chance(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return each row's chance of being drawn: classes alike, and within a class people's and pseudo-labels alike."""
    classes = rows["class"].nunique()
    sources = rows.groupby("class")["pseudo"].transform("nunique")
    members = rows.groupby(["class", "pseudo"])["pseudo"].transform("size")
    chance: NDArray[np.float64] = (1.0 / (classes * sources * members)).to_numpy(dtype=np.float64)
    return chance


def load_inputs(features: FeatureSet, rows: pd.DataFrame, inputs: ModelInputs) -> NDArray[Any]:
    """Read the model inputs of the given rows, in their order: (n, ...).

    Raises:
        XfmrError: Where the features no longer hold a record of them.
    """
    wanted = rows[KEY].assign(row=np.arange(len(rows)))
    found: list[NDArray[Any]] = []
    order: list[NDArray[np.int64]] = []
    for table in features.tables(inputs.columns):
        here = table.select(KEY).to_pandas().assign(at=np.arange(len(table))).merge(wanted, on=KEY)
        if len(here):
            found.append(inputs(table.take(here["at"].to_numpy())))
            order.append(here["row"].to_numpy())
    missing = len(rows) - sum(map(len, order))
    if missing:
        raise XfmrError(
            f"{missing} of {len(rows)} records that were scored are no longer in the features: run jobs.score again"
        )
    return np.concatenate(found)[np.argsort(np.concatenate(order))]


def training_data(features: FeatureSet, supervision: Supervision, inputs: ModelInputs, part: str) -> Data:
    """Read one part for the train loop: ``inputs``, ``classes`` and ``weights``."""
    rows = supervision.part(part)
    return Data(
        {
            "inputs": load_inputs(features, rows, inputs),
            "classes": rows["class"].to_numpy(dtype=np.int64),
            "weights": rows["weight"].to_numpy(dtype=np.float32),
        }
    )


def train_classifier(
    run: TrainingRun,
    features: FeatureSet,
    pretrained: Pretrained,
    supervision: Supervision,
    settings: FinetuneSettings,
    schedule: Schedule,
) -> FaultClassifier:
    """Train on the cluster and return the classifier of the best epoch.

    Args:
        run: Where and how wide.
        features: The run's features.
        pretrained: The encoders, of which the first fold's is taken, and their scalers.
        supervision: What is known of which records.
        settings: Learning rate and frozen epochs.
        schedule: Epochs, batch size and seed.
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
        chance=torch.tensor(drawing_chance(rows)),
        seed=schedule.seed,
    )
    training = training_data(features, supervision, inputs, "train")
    validation = training_data(features, supervision, inputs, "validation")
    state = fit(run, make_task, training, schedule, validation=validation)
    tensors = {**state["task"], "trained_on": torch.tensor(rows["record_id"].to_numpy())}
    description = {"shape": shape, "classes": supervision.classes}
    return FaultClassifier.assemble(inputs, StoredModel(run.name, description, tensors))


def judge(
    classifier: FaultClassifier, features: FeatureSet, supervision: Supervision, part: str
) -> dict[str, float | int]:
    """Compare the classifier with people's labels on a held-out part."""
    rows = supervision.part(part)
    if rows.empty:
        return {"records": 0}
    logits = run_network(classifier.network, load_inputs(features, rows, classifier.inputs))
    predicted, truth = logits.argmax(1).numpy(), rows["class"].to_numpy()
    accuracy = float((predicted == truth).mean())
    return {"records": len(rows), "macro_f1": round(macro_f1_of(truth, predicted), 4), "accuracy": round(accuracy, 4)}
