"""Models for tests, made at once: random or hand-set weights, without training and without Ray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from archives import Run

from xfmr.classifier import FaultClassifier
from xfmr.detectors.svdd import SvddDetector
from xfmr.inputs import ModelInputs, sensor_keys
from xfmr.models.networks import EMBEDDING_SIZE, Classifier, build_encoder
from xfmr.published import Models
from xfmr.schema import LOG_SPECTRUM_SIZE
from xfmr.scoring import THRESHOLDS_FILE
from xfmr.storage import Store
from xfmr.views import View, spectra

SHAPE = (LOG_SPECTRUM_SIZE,)
HISTORY = np.array([1, -2])
CLASSES = ("normal", "worn", "锈")


def inputs_of(run: Run) -> ModelInputs:
    """Make the model inputs of the spectrum branch from all records of a run."""
    table = run.table("log_spectrum")
    return ModelInputs.fit(View("spectrum", 32, "log"), spectra(table), sensor_keys(table))


def detector(inputs: ModelInputs, *, radius: float = 0.0, seed: int = 0) -> SvddDetector:
    """Make a detector of random weights."""
    torch.manual_seed(seed)
    return SvddDetector(
        inputs, SHAPE, build_encoder("spectrum", SHAPE), torch.full((EMBEDDING_SIZE,), 0.1), radius, HISTORY
    )


def classifier(inputs: ModelInputs, *, trained_on: Sequence[int] = (), seed: int = 0) -> FaultClassifier:
    """Make a classifier of random weights."""
    torch.manual_seed(seed)
    network = Classifier(build_encoder("spectrum", SHAPE), len(CLASSES))
    return FaultClassifier(inputs, SHAPE, network, CLASSES, torch.tensor(trained_on, dtype=torch.int64))


def publish_detector(run: Run) -> SvddDetector:
    """Publish a detector in a run, with thresholds between its scores."""
    made = detector(inputs_of(run))
    Models(run.store).publish("detector", "d0", made.to_bytes(), {})
    write_thresholds(run.store, *np.quantile(made.score(run.table("log_spectrum")), [0.3, 0.7]).tolist())
    return made


def publish_classifier(run: Run) -> FaultClassifier:
    """Publish a classifier in a run."""
    made = classifier(inputs_of(run), trained_on=[1, -2])
    Models(run.store).publish("finetune", "f0", made.to_bytes(), {})
    return made


def write_thresholds(store: Store, lower: float, upper: float) -> None:
    """Write a run's thresholds as the score job does."""
    facts = {"key": "k", "detector": Models(store).current_key("detector")}
    store.write_json(THRESHOLDS_FILE, {**facts, "lower": lower, "upper": upper, "method": "mad"})
