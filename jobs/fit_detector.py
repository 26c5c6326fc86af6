"""RUN/features -> detector: what is normal for each sensor. No label is read.

    python -m jobs.fit_detector --run runs/first --detector bank
    python -m jobs.fit_detector --run runs/first --detector svdd --svdd.objective soft_boundary --svdd.nu 0.05

The bank needs the features alone, `ae` and `svdd` also the encoders of jobs.pretrain.
"""

from __future__ import annotations

import sys

from jobs.command import run_job, sole_job
from jobs.struck import left_out, struck_ids
from xfmr.cluster import cluster, cluster_if_named
from xfmr.detectors.fitting import Train
from xfmr.detectors.plan import plan_detector
from xfmr.progress import say
from xfmr.rows.feature_set import FeatureSet
from xfmr.settings import Settings, save_settings
from xfmr.storage.models import Models
from xfmr.training.loop import Data, MakeTask, Schedule, State
from xfmr.training.run import TrainingRun, fit


@sole_job
def fit_detector(settings: Settings) -> None:
    """Fit the detector asked for and publish it."""
    models = Models(settings.store)
    with cluster_if_named():
        plan = plan_detector(settings, struck_ids(settings), lambda key: train_on_cluster(settings, key))
    if models.is_current("detector", plan.key):
        say("fit_detector", "skipped, the detector of these settings and records is there")
        return
    save_settings(settings)
    if settings.leave_out_anomalies:
        say("fit_detector", f"{len(left_out(settings))} records left out that the scores so far call anomalies")
    say("fit_detector", f"{plan.words}; {len(plan.set_aside)} more set aside as unlike the rest of their sensor")
    detector = plan.fit()
    models.write_set_aside("detector", plan.key, plan.set_aside)
    facts = {"kind": settings.detector, "records": len(detector.history_ids)}
    signals = FeatureSet(settings.store).signals
    path = models.publish("detector", plan.key, detector.to_bytes(), facts, signals=signals)
    say("fit_detector", f"{settings.detector} fitted to {facts['records']} records; detector in {path}")


def train_on_cluster(settings: Settings, key: str) -> Train:
    """Train networks by the run's workers, under a key to go on from after a crash."""

    def train(make_task: MakeTask, data: Data, schedule: Schedule) -> State:
        with cluster():
            return fit(TrainingRun(settings.store, "detector", key, settings.workers), make_task, data, schedule)

    return train


if __name__ == "__main__":
    sys.exit(run_job(fit_detector, Settings))
