"""Truth table against outputs: ours beside plain baselines, overall and per sensor.

    python -m jobs.evaluate --run runs/first --scores new.parquet --labels labels.csv

Isolation forest and one-class SVM are fitted in the same call on the log spectra of the same history. The result
stands on the console and in RUN/evaluation.json.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

import pandas as pd

from jobs.command import run_job
from xfmr.classifier import FaultClassifier
from xfmr.errors import XfmrError
from xfmr.evaluation import (
    Baselines,
    fault_type_quality,
    judge_against,
    overall_table,
    quality_by_sensor,
    read_diagnoses,
    sensor_table,
)
from xfmr.labels import read_labels
from xfmr.progress import say
from xfmr.published import Models
from xfmr.scoring import load_detector, read_scores
from xfmr.settings import EvaluateSettings


def evaluate(settings: EvaluateSettings) -> None:
    """Judge the run's scores, or a file that diagnose wrote, by people's labels."""
    if not settings.labels:
        raise XfmrError("nothing to compare with: give --labels FILE")
    run, models = settings.store, Models(settings.store)
    scores = read_diagnoses(settings.scores) if settings.scores else read_scores(run)
    judged = judge_against(scores, read_labels(settings.labels))
    say("evaluate", f"{len(judged)} of {len(scores)} scored records are labelled, {judged['fault'].sum()} as faults")
    history = load_detector(models).history_ids
    results = {"xfmr": quality_by_sensor(judged)}
    baselines = Baselines(run, history, seed=settings.seed, method=settings.thresholds.method)
    results |= dict(baselines.judge(run, judged))
    if len(results) == 1:
        say("evaluate", "no baselines: the features of these records are not in the run (diagnose keeps them)")
    report = {
        "scores": settings.scores or "scores",
        "labels": settings.labels,
        "in_history": int(judged["record_id"].isin(history).sum()),
        "detectors": {d: {s: asdict(q) for s, q in sensors.items()} for d, sensors in results.items()},
        "fault_types": fault_types(models, judged),
    }
    run.write_json("evaluation.json", report)
    print(overall_table(results), sensor_table(results), sep="\n\n")
    if report["in_history"]:
        say("evaluate", f"{report['in_history']} of these records were in the history the detector learned from")
    if report["fault_types"]:
        say("evaluate", f"fault types of records not trained on: {report['fault_types']}")
    say("evaluate", f"written to {run.path('evaluation.json')}")


def fault_types(models: Models, judged: pd.DataFrame) -> dict[str, float | int] | None:
    """Judge the fault types, where there is a classifier."""
    if models.current_key("finetune") is None:
        return None
    classifier = FaultClassifier.from_bytes(*models.read("finetune", "jobs.finetune"))
    return fault_type_quality(judged, classifier.trained_on.numpy())


if __name__ == "__main__":
    sys.exit(run_job(evaluate, EvaluateSettings))
