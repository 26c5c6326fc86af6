"""Features + detector -> RUN/scores, thresholds, pseudo-labels and the review queue.

    python -m jobs.score --run runs/first --thresholds.method mad

Each sensor's scores are one file, RUN/scores/sensor_id=<id>/scores.parquet; what a person should look at first stands
in RUN/review/queue.csv, with an empty column for the label.
"""

from __future__ import annotations

import sys
from dataclasses import asdict

import numpy as np
import pyarrow as pa

from jobs.command import run_job, sole_job
from xfmr.cluster import cluster, map_groups
from xfmr.feature_set import FeatureSet
from xfmr.labels import review_queue
from xfmr.progress import progress, say
from xfmr.published import Models, key_of
from xfmr.report import score_distribution
from xfmr.scoring import (
    THRESHOLDS_FILE,
    GroupScorer,
    load_detector,
    publish_scores,
    thresholds_of,
    with_pseudo_labels,
)
from xfmr.settings import Settings, save_settings
from xfmr.thresholds import Thresholds


@sole_job
def score(settings: Settings) -> None:
    """Score every record of the run and publish scores, thresholds, figure and review queue."""
    store, features = settings.store, FeatureSet(settings.store)
    load_detector(Models(store))  # one that is missing or damaged shows here, before any work
    detector = Models(store).current_key("detector")
    key = key_of(detector, settings.thresholds.model_dump(), features.groups)
    if store.exists(THRESHOLDS_FILE) and store.exists("scores") and store.read_json(THRESHOLDS_FILE)["key"] == key:
        say("score", "skipped, the scores of this detector and these thresholds are there")
        return
    save_settings(settings)
    say("score", f"{features.n_records} records in {len(features.groups)} groups")
    scored = score_groups(features)
    thresholds = thresholds_of(scored["score"].to_numpy(), settings.thresholds.method)
    scores = with_pseudo_labels(scored, thresholds)
    n_sensors = publish_scores(store, scores)
    store.write("score_distribution.png", score_distribution(scored["score"].to_numpy(), thresholds))
    queue = review_queue(scores.to_pandas(), upper=thresholds.upper, size=settings.thresholds.review_size)
    store.write("review/queue.csv", queue.to_csv(index=False).encode())
    facts = {"key": key, "detector": detector, "records": len(scores)}
    store.write_json(THRESHOLDS_FILE, {**facts, **asdict(thresholds)})
    say("score", summary(scores, thresholds, n_sensors))


def score_groups(features: FeatureSet) -> pa.Table:
    """Score all groups on the cluster, with a live line of records."""
    tables = []
    with cluster(), progress(label="score", total=features.n_records, unit="records") as line:
        for table in map_groups(GroupScorer, features.groups, constructor_args=(features.store,)):
            tables.append(table)
            line.update(len(table))
    return pa.concat_tables(tables)


def summary(scores: pa.Table, thresholds: Thresholds, n_sensors: int) -> str:
    """Say how many records fell on each side of the thresholds."""
    names, counts = np.unique(scores["pseudo_label"].to_numpy(zero_copy_only=False), return_counts=True)
    shares = ", ".join(f"{count} {name}" for name, count in zip(names, counts, strict=True))
    limits = f"normal up to {thresholds.lower:.4g}, anomaly from {thresholds.upper:.4g} ({thresholds.method})"
    return f"{len(scores)} records of {n_sensors} sensors: {shares}; {limits}"


if __name__ == "__main__":
    sys.exit(run_job(score, Settings))
