"""Features + detector -> RUN/scores, thresholds, pseudo-labels and the review queue.

    python -m jobs.score --run runs/first --thresholds.method mad

Each sensor's scores are one file, RUN/scores/sensor_id=<id>/scores.parquet; what a person should look at first stands
in RUN/review/queue.csv, with an empty column for the label. All of it is switched in one step when it is whole.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pyarrow as pa

from jobs.command import run_job, sole_job
from xfmr.cluster import cluster, map_groups, n_cpus
from xfmr.featurizing.feature_set import FeatureSet
from xfmr.labels import KEY, review_queue
from xfmr.progress import progress, say
from xfmr.published import Models, key_of
from xfmr.report import score_distribution
from xfmr.scores.parts import GroupScorer, ScoreParts
from xfmr.scores.ranges import ScoreRanges, SensorWriter, n_ranges
from xfmr.scores.scoring import counts_of, load_detector, thresholds_of
from xfmr.scores.sets import FIGURE_FILE, ScoreSet
from xfmr.settings import Settings, save_settings


@sole_job
def score(settings: Settings) -> None:
    """Score every record of the run and publish scores, thresholds, figure and review queue."""
    store, features = settings.store, FeatureSet(settings.store)
    load_detector(Models(store))  # one that is missing or damaged shows here, before any work
    detector = Models(store).required_key("detector", "jobs.fit_detector")
    store.sweep("score_parts", "score_sets")
    parts = ScoreParts.planned(features, detector)
    made = ScoreSet(store, key_of(detector, settings.thresholds.model_dump(), settings.forgive_daily, parts.names))
    if made.is_current:
        say("score", "skipped, the scores of this detector and these thresholds are there")
    else:
        save_settings(settings)
        with cluster():
            score_groups(parts, features.n_records)
            say("score", publish(parts, features.n_records, made, settings))
    for path in made.remove_others():
        say("score", f"the review queue that was written in is kept as {path}")
    parts.remove_others()


def score_groups(parts: ScoreParts, n_records: int) -> None:
    """Score the groups that are not scored yet on the cluster, with a live line of records."""
    missing = parts.missing()
    say("score", f"{n_records} records in {len(parts.names)} groups, {len(missing)} of them to score")
    if missing:
        with progress(label="score", total=n_records, unit="records") as line:
            for rows in map_groups(GroupScorer, missing, constructor_args=(parts,)):
                line.update(sum(rows["records"].to_pylist()))


def publish(parts: ScoreParts, n_records: int, made: ScoreSet, settings: Settings) -> str:
    """Make a whole set of the scored groups and put it in use; the answer says how many records fell where."""
    options = settings.thresholds
    ranges = ScoreRanges(parts, n_ranges(n_records, n_cpus()), settings.forgive_daily)
    each = map_groups if ranges.n > 1 else map  # what is small is quicker in this process
    scores = np.sort(pa.concat_tables(each(ranges, ranges.positions))["score"].to_numpy())
    thresholds = thresholds_of(scores, options.method)
    writer = SensorWriter(ranges, made.store, thresholds, options.review_size)
    first = pd.concat(table.to_pandas() for table in each(writer, ranges.positions))
    queue = review_queue(first.sort_values(KEY), upper=thresholds.upper, size=options.review_size)
    made.store.write(FIGURE_FILE, score_distribution(scores, thresholds))
    made.write_facts(thresholds, queue, {"detector": parts.detector, "records": len(scores)})
    made.publish()
    return f"{len(scores)} records of {made.n_sensors} sensors: {counts_of(scores, thresholds)}; {thresholds}"


if __name__ == "__main__":
    sys.exit(run_job(score, Settings))
