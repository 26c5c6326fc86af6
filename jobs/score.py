"""Features + detector -> RUN/scores, thresholds, pseudo-labels and RUN/review/queue.csv, switched all at once.

python -m jobs.score --run runs/first --thresholds.method mad
"""

from __future__ import annotations

import sys

import pandas as pd
import pyarrow as pa

from jobs.command import run_job, sole_job
from jobs.people import labelled_ids
from xfmr.cluster import cluster, map_groups, n_cpus
from xfmr.evaluation.figures import score_distribution
from xfmr.progress import progress, say
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import KEY, RecordIds
from xfmr.scores.parts import GroupScorer, ScoreParts, group_of
from xfmr.scores.ranges import ScoreRanges, SensorWriter, n_ranges
from xfmr.scores.review import review_queue
from xfmr.scores.scoring import counts_of, load_detector, thresholds_of_run
from xfmr.scores.sets import FIGURE_FILE, ScoreSet
from xfmr.settings import Settings, save_settings
from xfmr.settings.stage_two import ThresholdSettings
from xfmr.storage.models import Models, key_of


@sole_job
def score(settings: Settings) -> None:
    """Score every record of the run and publish scores, thresholds, figure and review queue."""
    store, features = settings.store, FeatureSet(settings.store)
    history_ids = load_detector(features).history_ids  # raises before any work if it is missing or damaged
    store.sweep("score_parts", "score_sets")
    parts = ScoreParts.planned(features, Models(store).required_key("detector"))
    labelled = labelled_ids(settings)
    options = settings.thresholds.model_dump(), settings.forgive_daily, labelled.tolist()
    scores = ScoreSet(store, key_of(parts.detector, options, parts.names))
    if scores.is_current:
        say("score", "skipped, the scores of this detector and these thresholds exist")
    else:
        save_settings(settings)
        with cluster():
            score_groups(parts, features)
            ranges = ScoreRanges(parts, n_ranges(features.n_records, n_cpus()), settings.forgive_daily)
            say("score", publish(ranges, history_ids, labelled, scores, settings.thresholds))
    for path in scores.remove_others():
        say("score", f"the filled-in review queue is kept as {path}")
    parts.remove_others()


def score_groups(parts: ScoreParts, features: FeatureSet) -> None:
    """Score the remaining groups on the cluster, with a live line of records."""
    missing = parts.missing()
    say("score", f"{features.n_records} records in {len(parts.names)} groups, {len(missing)} of them to score")
    if missing:
        with progress(label="score", total=features.count(map(group_of, missing)), unit="records") as line:
            for rows in map_groups(GroupScorer, missing, constructor_args=(parts,)):
                line.update(sum(rows["records"].to_pylist()))


def publish(
    ranges: ScoreRanges, history_ids: RecordIds, labelled: RecordIds, scores: ScoreSet, options: ThresholdSettings
) -> str:
    """Write a set of scores from the scored groups, make it the current one, and return a summary for people."""
    each = map_groups if ranges.n > 1 else map  # a small run is quicker in this process
    scored = pa.concat_tables(each(ranges, ranges.positions)).sort_by("score")
    values, thresholds = scored["score"].to_numpy(), thresholds_of_run(scored, history_ids, options.method)
    writer = SensorWriter(ranges, scores.store, thresholds, options.review_size, labelled)
    candidates = pd.concat(table.to_pandas() for table in each(writer, ranges.positions))
    queue = review_queue(candidates.sort_values(KEY), upper=thresholds.upper, size=options.review_size)
    scores.store.write(FIGURE_FILE, score_distribution(values, thresholds))
    scores.write_origin(thresholds, queue, detector=ranges.parts.detector, n_records=len(values))
    scores.publish()
    return f"{len(values)} records of {scores.n_sensors} sensors: {counts_of(values, thresholds)}; {thresholds}"


if __name__ == "__main__":
    sys.exit(run_job(score, Settings))
