"""Diagnosis of new records in one pass: features, score, pseudo-label, fault type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import NamedTuple

import pyarrow as pa

from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.faults.classifier import FaultClassifier
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.features import FeatureRows
from xfmr.rows.row_set import DIAGNOSED
from xfmr.rows.writer import Batch
from xfmr.schema import DIAGNOSES, IDENTITY_COLUMNS, KEY, Recording
from xfmr.scores.scoring import beyond_usual, with_pseudo_labels
from xfmr.scores.sets import ScoreSet, read_current
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.models import Models

# Features that a diagnosed record keeps: the baselines of evaluate read them.
KEPT_COLUMNS = ["flat", "log_spectrum"]


class Instruments(NamedTuple):
    """The models and thresholds of a pass, the same for all of its records.

    Args:
        detector: Key of the detector.
        thresholds: Thresholds of its scores.
        classifier: Key of the fault classifier, None if there is none.
    """

    detector: str
    thresholds: Thresholds
    classifier: str | None

    @classmethod
    def current(cls, run: Store) -> Instruments:
        """Return the current models and thresholds of a run.

        Raises:
            XfmrError: If there is no detector, or it has not scored the run yet.
        """
        models = Models(run)
        models.required_key("detector")
        return cls(*read_current(run, ScoreSet.origin), models.current_key("finetune"))


class DiagnosisRows:
    """Makes rows of diagnosed records, with a run's detector, thresholds and, if any, fault classifier.

    Args:
        run: The run that holds the models.
        instruments: The models and thresholds to use.
        recording: Recording of the new archive.

    Raises:
        XfmrError: If a model is damaged or was made for another recording.
    """

    def __init__(self, run: Store, instruments: Instruments, recording: Recording) -> None:
        models, self.thresholds = Models(run), instruments.thresholds
        self.detector = detector_from_bytes(*models.open("detector", instruments.detector, recording))
        self.classifier: FaultClassifier | None = None
        if instruments.classifier is not None:
            file = models.open("finetune", instruments.classifier, recording)
            self.classifier = FaultClassifier.from_bytes(*file)
        columns = {*self.detector.columns, *(self.classifier.columns if self.classifier else ()), "log_spectrum"}
        self.features = FeatureRows(recording, tuple(sorted(columns)))

    @property
    def record_length(self) -> int:
        """Samples of a record."""
        return self.features.record_length

    @property
    def schema(self) -> pa.Schema:
        """:data:`xfmr.schema.DIAGNOSES`, path and line of each record, and :data:`KEPT_COLUMNS`."""
        kept = [field for field in self.features.schema if field.name in ("path", "line", *KEPT_COLUMNS)]
        return pa.schema([*DIAGNOSES, *kept])

    def tables(self, batches: Iterable[Batch]) -> Iterator[pa.Table]:
        """Diagnose the records of each batch."""
        return map(self._diagnosed, self.features.tables(batches))

    def _diagnosed(self, table: pa.Table) -> pa.Table:
        scores = pa.array(self.detector.score(table), pa.float32())
        table = with_pseudo_labels(table.append_column("score", scores), self.thresholds)
        fault_type, confidence = pa.nulls(len(table), pa.string()), pa.nulls(len(table), pa.float32())
        if self.classifier is not None:
            names, probabilities = self.classifier.predict(table)
            fault_type, confidence = pa.array(names, pa.string()), pa.array(probabilities, pa.float32())
        table = table.append_column("fault_type", fault_type).append_column("confidence", confidence)
        return table.select(self.schema.names).cast(self.schema)


def merge(work: Store) -> pa.Table:
    """Return all diagnoses of a finished pass, sorted by sensor and time: columns :data:`xfmr.schema.DIAGNOSES`."""
    columns = [name for name in DIAGNOSES.names if name not in IDENTITY_COLUMNS]
    table = pa.concat_tables(FeatureSet(work, DIAGNOSED).tables(columns))
    return table.select(DIAGNOSES.names).sort_by([(name, "ascending") for name in KEY])


def forgiven(diagnoses: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Subtract each sensor's usual scores, see :func:`beyond_usual`, and set the pseudo-labels again.

    Args:
        diagnoses: All diagnoses of an archive.
        thresholds: Thresholds of the scores.
    """
    rest = beyond_usual(diagnoses).drop_columns("pseudo_label")
    return with_pseudo_labels(rest, thresholds).select(diagnoses.schema.names)


def check_output(out: str) -> None:
    """Raise unless a file name ends in .parquet or .jsonl.

    Raises:
        XfmrError: If it has another ending.
    """
    if not out.lower().endswith((".parquet", ".jsonl")):
        raise XfmrError(f"--out {out}: give a file that ends in .parquet or .jsonl")


def write_output(table: pa.Table, out: str) -> None:
    """Write diagnoses as Parquet or JSONL, according to the file's ending; JSONL has ISO 8601 times in UTC."""
    store, name = Store.of_file(out)
    if name.lower().endswith(".parquet"):
        store.write_table(name, table)
        return
    frame = table.to_pandas()
    frame["data_time"] = frame["data_time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = BytesIO()
    # 15 decimals are the most that pandas writes; its default of 10 would cut off digits of a small score.
    frame.to_json(lines, orient="records", lines=True, force_ascii=False, double_precision=15)
    store.write(name, lines.getvalue())
