"""New records diagnosed in one pass: features, score, pseudo-label, fault type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple

import pyarrow as pa

from xfmr.detectors import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.faults.classifier import FaultClassifier
from xfmr.features import N_SAMPLES
from xfmr.rows.feature_set import FeatureSet, signals_of
from xfmr.rows.featurizer import Batch, FeatureRows, GroupFeaturizer
from xfmr.schema import DIAGNOSES, IDENTITY_COLUMNS
from xfmr.scores.scoring import beyond_usual, with_pseudo_labels
from xfmr.scores.sets import ScoreSet, read_current
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.models import Models

# What a diagnosed record keeps of its features: evaluate fits its baselines on them.
KEPT_COLUMNS = ["flat", "log_spectrum"]


class Instruments(NamedTuple):
    """What a pass diagnoses by, from its first record to its last, whatever becomes current in the run meanwhile.

    Args:
        detector: Key of the detector.
        thresholds: Of its scores.
        classifier: Key of the fault classifier, where there is one.
    """

    detector: str
    thresholds: Thresholds
    classifier: str | None

    @classmethod
    def current(cls, run: Store) -> Instruments:
        """Take those in use in a run.

        Raises:
            XfmrError: Where there is no detector, or it has not scored the run yet.
        """
        models = Models(run)
        models.required_key("detector")
        return cls(*read_current(run, ScoreSet.facts), models.current_key("finetune"))


class DiagnosisRows:
    """Rows of diagnosed records, by a run's detector, thresholds and, where there is one, fault classifier.

    Args:
        run: The run whose models diagnose.
        instruments: Which of them.
        sample_rate_hz: Sampling rate of the new archive in Hz.
        n_samples: Length of its records in samples.
    """

    def __init__(
        self, run: Store, instruments: Instruments, sample_rate_hz: float, n_samples: int = N_SAMPLES
    ) -> None:
        models, self.thresholds = Models(run), instruments.thresholds
        signals = signals_of({"sample_rate_hz": sample_rate_hz, "record_length": n_samples})
        models.check_signals("detector", instruments.detector, signals)
        self.detector = detector_from_bytes(*models.open("detector", instruments.detector))
        self.classifier: FaultClassifier | None = None
        if instruments.classifier is not None:
            models.check_signals("finetune", instruments.classifier, signals)
            self.classifier = FaultClassifier.from_bytes(*models.open("finetune", instruments.classifier))
        columns = {*self.detector.columns, *(self.classifier.columns if self.classifier else ()), "log_spectrum"}
        self.features = FeatureRows(sample_rate_hz, n_samples, tuple(sorted(columns)))
        self.n_samples = n_samples

    @property
    def schema(self) -> pa.Schema:
        """:data:`xfmr.schema.DIAGNOSES`, where each record was read, and :data:`KEPT_COLUMNS`."""
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


class GroupDiagnoser(GroupFeaturizer):
    """Diagnoses one group after another with models loaded once.

    Args:
        work: Where rows, quarantine and ledger go.
        archives: URI of each fleet's archive.
        rows: What :class:`DiagnosisRows` is made of.
    """

    def __init__(self, work: Store, archives: Mapping[str, str], rows: tuple[Any, ...]) -> None:
        super().__init__(work, archives, DiagnosisRows(*rows))


def merge(work: Store) -> pa.Table:
    """Return all diagnoses of a finished pass, by sensor and time: columns of :data:`xfmr.schema.DIAGNOSES`."""
    columns = [name for name in DIAGNOSES.names if name not in IDENTITY_COLUMNS]
    table = pa.concat_tables(FeatureSet(work).tables(columns))
    return table.select(DIAGNOSES.names).sort_by(
        [(name, "ascending") for name in ("fleet", "sensor_id", "data_time")]
    )


def forgiven(diagnoses: pa.Table, thresholds: Thresholds) -> pa.Table:
    """Take what is usual at its hour off the scores of a whole archive, :func:`beyond_usual`, and label them anew."""
    rest = beyond_usual(diagnoses).drop_columns("pseudo_label")
    return with_pseudo_labels(rest, thresholds).select(diagnoses.schema.names)


def check_output(out: str) -> None:
    """Refuse a file name whose form is not known.

    Raises:
        XfmrError: Unless it ends in .parquet or .jsonl.
    """
    if not out.lower().endswith((".parquet", ".jsonl")):
        raise XfmrError(f"--out {out}: give a file that ends in .parquet or .jsonl")


def write_output(table: pa.Table, out: str) -> None:
    """Write diagnoses as Parquet or JSONL, by the file's ending; times in JSONL are ISO 8601 in UTC."""
    store, name = Store.of_file(out)
    if name.lower().endswith(".parquet"):
        store.write_table(name, table)
        return
    frame = table.to_pandas()
    frame["data_time"] = frame["data_time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lines = BytesIO()
    # 15 decimals are the most that pandas writes; its usual 10 would cut digits off a small score.
    frame.to_json(lines, orient="records", lines=True, force_ascii=False, double_precision=15)
    store.write(name, lines.getvalue())
