"""Every step of a run in order: features, encoder, detector, scores, classifier, evaluation.

    python -m jobs.pipeline --archive data/archive --run runs/first --labels labels.csv

A step is skipped if its output exists, so the same command resumes after a crash. The encoders are trained only if
they are needed: by some detectors, and by the classifier if labels are given.
"""

from __future__ import annotations

import sys
import time

from jobs.command import run_job, sole_job
from jobs.evaluate import evaluate
from jobs.featurize import featurize
from jobs.finetune import finetune
from jobs.fit_detector import fit_detector
from jobs.pretrain import pretrain
from jobs.score import score
from xfmr.cluster import cluster
from xfmr.progress import say
from xfmr.settings import EvaluateSettings, Settings
from xfmr.storage.models import Models


@sole_job
def pipeline(settings: Settings) -> None:
    """Run all steps on one cluster."""
    settings.required_archive()
    began = time.monotonic()
    with cluster():
        featurize(settings)
        if settings.leave_out_anomalies and Models(settings.store).current_key("detector"):
            score(settings)  # scores the new records with the current detector
        if settings.labels or settings.detector_needs_encoders:
            pretrain(settings)
        for step in (fit_detector, score, finetune):
            step(settings)
    if settings.labels:
        evaluate(EvaluateSettings(**settings.model_dump()))
    say("pipeline", f"done in {time.monotonic() - began:.0f} s; everything is in {settings.store.path()}")


if __name__ == "__main__":
    sys.exit(run_job(pipeline, Settings))
