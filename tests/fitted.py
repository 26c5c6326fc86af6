"""Models for tests, made at once: random or hand-set weights, without training and without Ray."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch
from archives import Run, time_at

from xfmr.detectors.calibration import Calibration
from xfmr.detectors.deep import DeepDetector
from xfmr.faults.classifier import FaultClassifier
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.networks.encoders import EMBEDDING_SIZE, Classifier, build_encoder
from xfmr.networks.members import SphereDistance
from xfmr.normal import Rows, SensorKey
from xfmr.schema import SCORES
from xfmr.scores.parts import ScoreParts
from xfmr.scores.ranges import ScoreRanges, SensorWriter
from xfmr.scores.sets import ScoreSet
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.models import Models
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View, spectra

SHAPE = (LOG_SPECTRUM_LENGTH,)
HISTORY = np.array([-2, 1])
CLASSES = ("normal", "worn", "锈")
SENSORS = [
    *(("", "", name) for name in ("../../etc", "a/b", ".", "..", "变压器一", "007", "a=b", "%2e", "a b", "unit=x")),
    *(("..", "", "a"), ("north=1", "", "a"), ("北", "", "a/b")),
    *(("", "114", "1"), ("", "115", "1"), ("北", "..", "1"), ("", "unit=1/2", "1")),
]
"""Fleet, unit and id of sensors that a file system might stumble over."""


def inputs_of(run: Run) -> NetworkInputs:
    """Make the model inputs of the spectrum branch from all records of a run."""
    table = run.table("log_spectrum")
    return NetworkInputs.fit(View("spectrum", 32, "log"), spectra(table), Rows.of(table))


def detector(inputs: NetworkInputs, *, seed: int = 0) -> DeepDetector:
    """Make a Deep SVDD of two folds and random weights; it knows the two records of :data:`HISTORY`."""
    torch.manual_seed(seed)
    centre = torch.full((EMBEDDING_SIZE,), 0.1)
    members = tuple(
        SphereDistance(build_encoder("spectrum", SHAPE), centre, torch.tensor(radius)) for radius in (1.0, 1.5)
    )
    calibration = Calibration((), np.array([0.2]), np.array([0.5]))
    return DeepDetector("svdd", inputs, SHAPE, members, calibration, HISTORY, np.array([0, 1]))


def classifier(inputs: NetworkInputs, *, trained_on: Sequence[int] = (), seed: int = 0) -> FaultClassifier:
    """Make a classifier of random weights."""
    torch.manual_seed(seed)
    network = Classifier(build_encoder("spectrum", SHAPE), len(CLASSES))
    return FaultClassifier(inputs, SHAPE, network, CLASSES, torch.tensor(trained_on, dtype=torch.int64))


def publish_detector(run: Run) -> DeepDetector:
    """Publish a detector in a run, with thresholds between its scores."""
    made = detector(inputs_of(run))
    Models(run.store).publish("detector", "d0", made.to_bytes(), {}, recording=run.recording)
    write_thresholds(run.store, *np.quantile(made.score(run.table("log_spectrum")), [0.3, 0.7]).tolist())
    return made


def publish_classifier(run: Run) -> FaultClassifier:
    """Publish a classifier in a run."""
    made = classifier(inputs_of(run), trained_on=[1, -2])
    Models(run.store).publish("finetune", "f0", made.to_bytes(), {}, recording=run.recording)
    return made


def publish_scores(
    run: Store, scores: pa.Table, *, key: str = "k", thresholds: Thresholds | None = None, n_ranges: int = 1
) -> ScoreSet:
    """Publish rows of scores as the score job does, but in this process and without a figure."""
    detector = Models(run).current_key("detector") or "d0"
    limits = thresholds or Thresholds(1.0, 2.0, "mad")
    parts, made = ScoreParts(run, detector, (key,)), ScoreSet(run, key)
    parts.write(key, scores)
    ranges = ScoreRanges(parts, n_ranges, forgive_daily=True)
    writer = SensorWriter(ranges, made.store, limits, review_size=5, labelled=np.empty(0, np.int64))
    queue = pa.concat_tables(map(writer, ranges.positions)).to_pandas()
    made.write_origin(limits, queue.assign(label=""), detector=detector, n_records=len(scores))
    made.publish()
    return made


def write_thresholds(run: Store, lower: float, upper: float) -> None:
    """Publish a set of scores of which only the thresholds matter."""
    publish_scores(run, scores_of([("", "", "s1")]), thresholds=Thresholds(lower, upper, "mad"))


def scores_of(sensors: Sequence[SensorKey], n_times: int = 3) -> pa.Table:
    """Make scores of sensors, each named by fleet, unit and id, the latest first."""
    rows = [
        (*sensor, time_at(minute), 100 * i + minute, i + minute / 8, "uncertain")
        for i, sensor in enumerate(sensors)
        for minute in reversed(range(n_times))
    ]
    return pa.Table.from_pylist([dict(zip(SCORES.names, row, strict=True)) for row in rows], schema=SCORES)
