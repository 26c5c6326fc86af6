"""Truth table against outputs: ours beside plain baselines, overall, per sensor and per condition.

    python -m jobs.evaluate --run runs/first --scores new.parquet --labels labels.csv

Isolation forest, one-class SVM, LOF and PCA error are fitted in the same call on the log spectra of the same history.
The result stands on the console, in RUN/evaluation.json and in RUN/evaluation.png.
"""

from __future__ import annotations

import sys

import pandas as pd

from jobs.command import run_job
from xfmr import evaluation
from xfmr.errors import XfmrError
from xfmr.evaluation.figures import detection_curves
from xfmr.faults.classifier import FaultClassifier
from xfmr.labels import matched, read_labels
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.scoring import load_detector
from xfmr.scores.sets import read_scores
from xfmr.settings import EvaluateSettings
from xfmr.storage.models import Models


def evaluate(settings: EvaluateSettings) -> None:
    """Judge the run's scores, or a file that diagnose wrote, by people's labels."""
    if not settings.labels:
        raise XfmrError("nothing to compare with: give --labels FILE")
    run = settings.store
    scores = evaluation.read_diagnoses(settings.scores) if settings.scores else read_scores(run)
    labels = read_labels(settings.labels, conditions=True)
    judged = evaluation.judge_against(scores, labels)
    words = f"{len(judged)} of {len(scores)} scored records are labelled, {judged['fault'].sum()} as faults"
    say("evaluate", f"{words}; {matched(labels, scores)}")
    history = load_detector(FeatureSet(run)).history_ids
    baselines = evaluation.Baselines(run, history, seed=settings.seed, method=settings.thresholds.method)
    ours = evaluation.Verdicts(judged["score"].to_numpy(), (judged["pseudo_label"] == "anomaly").to_numpy())
    truth = evaluation.Truth(judged, settings.resamples, settings.seed)
    verdicts = {"xfmr": ours} | baselines.judge(run, judged)
    found = {name: evaluation.assess(truth, said) for name, said in verdicts.items()}
    facts = {
        "scores": settings.scores or "scores",
        "labels": settings.labels,
        "in_history": int(judged["record_id"].isin(history).sum()),
        "fault_types": fault_types(FeatureSet(run), judged),
    }
    result = evaluation.Result(truth, found, evaluation.group_curves(truth, ours), facts)
    run.write_json("evaluation.json", result.as_json())
    if result.curves:
        run.write("evaluation.png", detection_curves(result.curves, result.in_use, result.group_curves))
    else:
        run.remove("evaluation.png")
    print(result.text())
    say("evaluate", f"written to {run.path('evaluation.json')}")


def fault_types(features: FeatureSet, judged: pd.DataFrame) -> dict[str, float | int] | None:
    """Judge the fault types, where there is a classifier."""
    models = Models(features.store)
    if models.current_key("finetune") is None:
        return None
    classifier = FaultClassifier.from_bytes(*models.read("finetune", features.recording))
    return evaluation.fault_type_quality(judged, classifier.trained_on.numpy())


if __name__ == "__main__":
    sys.exit(run_job(evaluate, EvaluateSettings))
