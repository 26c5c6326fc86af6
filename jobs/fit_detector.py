"""RUN/features -> detector of records unlike the history. Labels are used only to exclude held-out records.

    python -m jobs.fit_detector --run runs/first --detector bank
    python -m jobs.fit_detector --run runs/first --detector svdd --svdd.objective soft_boundary --svdd.nu 0.05

The detectors `ae` and `svdd` also need the encoders of jobs.pretrain.
"""

from __future__ import annotations

import sys

from jobs.command import run_job, sole_job
from jobs.struck import left_out, struck_ids
from xfmr.cluster import cluster_if_named
from xfmr.detectors.kinds import plan_detector
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.settings import Settings, save_settings
from xfmr.storage.models import Models
from xfmr.training.run import ClusterTrainer


@sole_job
def fit_detector(settings: Settings) -> None:
    """Fit the detector that the settings ask for and publish it."""
    models = Models(settings.store)
    trainer = ClusterTrainer(settings.store, "detector", settings.workers)
    with cluster_if_named():
        plan = plan_detector(settings, struck_ids(settings), trainer)
    if models.is_current("detector", plan.key):
        say("fit_detector", "skipped, the detector of these settings and records exists")
        return
    save_settings(settings)
    if settings.leave_out_anomalies:
        say("fit_detector", f"{len(left_out(settings))} records left out as anomalies by the current scores")
    say("fit_detector", f"{plan.summary}; {len(plan.set_aside)} more set aside as unlike the rest of their sensor")
    detector = plan.fit()
    models.write_set_aside("detector", plan.key, plan.set_aside)
    summary = {"kind": settings.detector, "records": len(detector.history_ids)}
    recording = FeatureSet(settings.store).recording
    path = models.publish("detector", plan.key, detector.to_bytes(), summary, recording=recording)
    say("fit_detector", f"{settings.detector} fitted to {summary['records']} records; detector in {path}")


if __name__ == "__main__":
    sys.exit(run_job(fit_detector, Settings))
