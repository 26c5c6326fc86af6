"""Scores in ranges of sensors, for fitting the thresholds and writing the sensors' files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.schema import SCORES, SENSOR_COLUMNS
from xfmr.scores.parts import N_SHARDS, ScoreParts
from xfmr.scores.review import review_queue
from xfmr.scores.scoring import beyond_usual, with_pseudo_labels
from xfmr.scores.sets import sensor_file
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.threads import in_threads

# One task holds the rows of a range in memory, about 350 MB at most. Smaller runs are cut into more ranges, so that
# every core has work.
_MOST_ROWS, _FEWEST_ROWS = 1_000_000, 20_000
_OF_A_SENSOR = [field.name for field in SCORES if field.name not in SENSOR_COLUMNS]


def n_ranges(n_records: int, n_cpus: int) -> int:
    """Return the number of ranges into which to cut the rows of a run."""
    return max(1, -(-n_records // _MOST_ROWS), min(2 * n_cpus, -(-n_records // _FEWEST_ROWS)))


@dataclass(frozen=True)
class ScoreRanges:
    """All scores of a run in ranges of shards: whole sensors, as many as fit in memory.

    A call returns only the records and scores of a range, which is all that thresholds need.

    Args:
        parts: All scores.
        n: Number of ranges.
        forgive_daily: Subtract from each score the sensor's usual score at that hour, see
            :func:`xfmr.scores.scoring.beyond_usual`.
    """

    parts: ScoreParts
    n: int
    forgive_daily: bool

    @property
    def positions(self) -> list[str]:
        """Names of the ranges."""
        return [str(i) for i in range(self.n)]

    def rows(self, position: str) -> pa.Table:
        """Return the rows of a range, in order of sensor and time."""
        first, end = (N_SHARDS * i // self.n for i in (int(position), int(position) + 1))
        rows = self.parts.of_shards(first, end)
        return beyond_usual(rows) if self.forgive_daily else rows

    def __call__(self, position: str) -> pa.Table:
        """Return ``record_id`` and ``score`` of a range."""
        return self.rows(position).select(["record_id", "score"])


@dataclass(frozen=True)
class SensorWriter:
    """Writes the files of the sensors of one range after another.

    Args:
        ranges: All scores.
        target: Folder of the set of scores under construction.
        thresholds: Thresholds of all scores.
        review_size: Length of the review queue.
        labelled: Ids of records that a person has labelled; they are not queued again.
    """

    ranges: ScoreRanges
    target: Store
    thresholds: Thresholds
    review_size: int
    labelled: NDArray[np.int64]

    def __call__(self, position: str) -> pa.Table:
        """Write the files of a range and return its candidates for review."""
        rows = with_pseudo_labels(self.ranges.rows(position), self.thresholds)
        list(in_threads(partial(_write_sensor, self.target), _by_sensor(rows)))
        open_rows = rows.filter(pa.array(~np.isin(rows["record_id"].to_numpy(), self.labelled)))
        candidates = review_queue(open_rows.to_pandas(), upper=self.thresholds.upper, size=self.review_size)
        return pa.Table.from_pandas(candidates[SCORES.names], schema=SCORES, preserve_index=False)


def _by_sensor(rows: pa.Table) -> Iterable[pa.Table]:
    """Cut rows, which are in order of sensor, into one table per sensor."""
    if not len(rows):
        return []
    names = np.stack([rows[name].to_numpy() for name in SENSOR_COLUMNS])
    starts = [0, *(np.flatnonzero((names[:, 1:] != names[:, :-1]).any(axis=0)) + 1), len(rows)]
    return (rows.slice(start, end - start) for start, end in pairwise(starts))


def _write_sensor(target: Store, rows: pa.Table) -> None:
    sensor = {name: rows[name][0].as_py() for name in SENSOR_COLUMNS}
    target.write_table(sensor_file(**sensor), rows.select(_OF_A_SENSOR))
