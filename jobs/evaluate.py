"""Scores + labels -> metrics overall, per sensor and per condition: RUN/evaluation.json and RUN/evaluation.png.

    python -m jobs.evaluate --run runs/first --scores new.parquet --labels labels.csv

The same call fits isolation forest, one-class SVM, LOF and PCA error to the log spectra of the same history.
"""

from __future__ import annotations

import sys

import pandas as pd

from jobs.command import run_job
from xfmr import evaluation
from xfmr.errors import XfmrError
from xfmr.evaluation.figures import detection_curves
from xfmr.faults.classifier import FaultClassifier
from xfmr.labels import match_summary, read_labels
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.scoring import load_detector
from xfmr.scores.sets import read_scores
from xfmr.settings import EvaluateSettings
from xfmr.storage import Store
from xfmr.storage.models import Models


def evaluate(settings: EvaluateSettings) -> None:
    """Compare the run's scores, or those in a file that diagnose wrote, with people's labels."""
    run, records = settings.store, labelled_records(settings)
    history_ids = load_detector(FeatureSet(run)).history_ids
    baselines = evaluation.Baselines(run, history_ids, seed=settings.seed, method=settings.thresholds.method)
    predictions = {"xfmr": evaluation.predictions_of(records)} | baselines.predict(run, records)
    truth = evaluation.Truth(records, settings.resamples, settings.seed)
    assessments = {name: evaluation.assess(truth, predicted) for name, predicted in predictions.items()}
    metadata = {
        "scores": settings.scores or "scores",
        "labels": settings.labels,
        "in_history": int(records["record_id"].isin(history_ids).sum()),
        "fault_types": fault_types(FeatureSet(run), records),
    }
    result = evaluation.Result(truth, assessments, evaluation.group_curves(truth, predictions["xfmr"]), metadata)
    write_result(run, result)
    print(result.text())
    say("evaluate", f"written to {run.path('evaluation.json')}")


def labelled_records(settings: EvaluateSettings) -> pd.DataFrame:
    """Read scores and labels, and return the records that have both."""
    if not settings.labels:
        raise XfmrError("nothing to compare with: give --labels FILE")
    scores = evaluation.read_diagnoses(settings.scores) if settings.scores else read_scores(settings.store)
    labels = read_labels(settings.labels, conditions=True)
    records = evaluation.join_labels(scores, labels)
    message = f"{len(records)} of {len(scores)} scored records are labelled, {records['fault'].sum()} as faults"
    say("evaluate", f"{message}; {match_summary(labels, scores)}")
    return records


def fault_types(features: FeatureSet, records: pd.DataFrame) -> dict[str, float | int] | None:
    """Return the quality of the fault types, or None without a classifier."""
    models = Models(features.store)
    if models.current_key("finetune") is None:
        return None
    classifier = FaultClassifier.from_bytes(*models.read("finetune", features.recording))
    return evaluation.fault_type_quality(records, classifier.trained_on.numpy())


def write_result(run: Store, result: evaluation.Result) -> None:
    """Write the result and its curves; without curves, remove the figure of an earlier evaluation."""
    run.write_json("evaluation.json", result.as_json())
    if result.curves:
        run.write("evaluation.png", detection_curves(result.curves, result.overall, result.group_curves))
    else:
        run.remove("evaluation.png")


if __name__ == "__main__":
    sys.exit(run_job(evaluate, EvaluateSettings))
