"""Scores on their way from groups of records to sensors.

A task scores one group and writes its rows in the order of their shard, a hash of fleet and sensor; a second task
reads one range of shards from all groups and writes the files of its sensors. What lies between stands in
``score_parts/<detector>``: no row passes through the driver, which reads the scores alone, as float32; a killed job
goes on with the groups that are left; and when an archive grows, only its new groups are scored.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.detectors import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.featurizing.feature_set import FeatureSet, feature_file
from xfmr.labels import review_queue
from xfmr.published import Models
from xfmr.schema import IDENTITY_COLUMNS, SCORES, SENSOR_COLUMNS
from xfmr.scores.scoring import with_pseudo_labels
from xfmr.scores.sets import sensor_file
from xfmr.storage import Store
from xfmr.storage.threads import in_threads
from xfmr.thresholds import Thresholds

_FOLDER = "score_parts"
_N_SHARDS = 2**16
# Of a part that holds many sensors only the row groups that a range of shards touches are read.
_ROW_GROUP_ROWS = 512
# A range of shards is one task, with its rows in memory: 100 MB. Smaller runs are cut so that all CPUs have work.
_MOST_ROWS, _FEWEST_ROWS = 1_000_000, 20_000

_PART = pa.schema([*(SCORES.field(name) for name in [*IDENTITY_COLUMNS, "score"]), pa.field("shard", pa.uint16())])
_OF_A_SENSOR = [field.name for field in SCORES if field.name not in SENSOR_COLUMNS]


@dataclass(frozen=True)
class ScoreParts:
    """The scores of a run's groups by one detector.

    Args:
        run: The run.
        detector: The detector's key.
        names: A part for each group, named by the group and the version of its features.
    """

    run: Store
    detector: str
    names: tuple[str, ...]

    @classmethod
    def planned(cls, features: FeatureSet, detector: str) -> ScoreParts:
        """Name the parts that the features as they are now call for."""
        files = {info.path: f"{info.size} {info.mtime_ns}" for info in features.store.files("features")}
        versions = {group: files[features.store.path(feature_file(group))] for group in features.groups}
        digests = {group: hashlib.blake2b(text.encode(), digest_size=4) for group, text in versions.items()}
        return cls(features.store, detector, tuple(f"{group}-{digests[group].hexdigest()}" for group in versions))

    @property
    def folder(self) -> str:
        """The parts' folder within the run."""
        return f"{_FOLDER}/{self.detector}"

    def file(self, name: str) -> str:
        """Name a part's file within the run."""
        return f"{self.folder}/{name}.parquet"

    def missing(self) -> list[str]:
        """Name the parts that are still to be made."""
        there = {info.path for info in self.run.files(self.folder)}
        return [name for name in self.names if self.run.path(self.file(name)) not in there]

    def write(self, name: str, scored: pa.Table) -> None:
        """Write a part: rows of :data:`xfmr.schema.IDENTITY_COLUMNS` and ``score``."""
        rows = scored.append_column("shard", pa.array(_shards(scored))).select(_PART.names).cast(_PART)
        self.run.write_table(self.file(name), rows.sort_by("shard"), row_group_size=_ROW_GROUP_ROWS)

    def scores(self) -> NDArray[np.float32]:
        """Read all scores, shape (n,)."""
        scores: NDArray[np.float32] = self._read(columns=["score"])["score"].to_numpy()
        return scores

    def of_shards(self, first: int, end: int) -> pa.Table:
        """Read the rows of a range of shards, in order of sensor and time."""
        rows = self._read(columns=_PART.names[:-1], filter=(pc.field("shard") >= first) & (pc.field("shard") < end))
        return rows.sort_by([(name, "ascending") for name in (*SENSOR_COLUMNS, "data_time")])

    def _read(self, **options: object) -> pa.Table:
        paths = [self.run.path(self.file(name)) for name in self.names]
        try:
            return self.run.child(self.folder).read_tables(paths, _PART, **options)
        except XfmrError as error:
            raise XfmrError(f"{error}; remove {self.run.path(self.folder)} and run again") from error

    def remove_others(self) -> None:
        """Remove the parts of other detectors and of features that are no more."""
        for detector in self.run.folders(_FOLDER):
            if detector != self.detector:
                self.run.remove_folder(f"{_FOLDER}/{detector}")
        planned = {self.run.path(self.file(name)) for name in self.names}
        unplanned = [info.path for info in self.run.files(self.folder) if info.path not in planned]
        list(in_threads(self.run.filesystem.delete_file, unplanned))


class GroupScorer:
    """Scores one group of features after another with a detector loaded once.

    Args:
        parts: The parts to make.
    """

    def __init__(self, parts: ScoreParts) -> None:
        self.parts, self.features = parts, FeatureSet(parts.run)
        self.detector = detector_from_bytes(*Models(parts.run).open("detector", parts.detector))

    def __call__(self, name: str) -> pa.Table:
        """Make a part; the answer is its number of rows."""
        table = self.features.read(name.rpartition("-")[0], self.detector.columns)
        scores = pa.array(self.detector.score(table), pa.float32())
        self.parts.write(name, table.select(IDENTITY_COLUMNS).append_column("score", scores))
        return pa.table({"records": [len(table)]})


def _shards(table: pa.Table) -> NDArray[np.uint16]:
    """Return each row's shard, the same wherever the sensor stands, shape (n,)."""
    sensors = table.select(SENSOR_COLUMNS).to_pandas()
    distinct, code = np.unique(sensors["fleet"] + "\0" + sensors["sensor_id"], return_inverse=True)
    hashes = np.array([zlib.crc32(name.encode()) % _N_SHARDS for name in distinct], np.uint16)
    return hashes[code]


def n_ranges(n_records: int, n_cpus: int) -> int:
    """Return into how many ranges of shards to cut the rows of a run."""
    return max(-(-n_records // _MOST_ROWS), min(2 * n_cpus, -(-n_records // _FEWEST_ROWS)))


@dataclass(frozen=True)
class SensorWriter:
    """Writes the files of the sensors of one range of shards after another.

    Args:
        parts: All scores.
        target: Folder of the set of scores that is being made.
        thresholds: Of all scores.
        n_ranges: How many ranges there are.
        review_size: How many records the review queue takes.
    """

    parts: ScoreParts
    target: Store
    thresholds: Thresholds
    n_ranges: int
    review_size: int

    def __call__(self, position: str) -> pa.Table:
        """Write the files of a range; the answer are those of its rows that a person should look at first."""
        first, end = (_N_SHARDS * i // self.n_ranges for i in (int(position), int(position) + 1))
        rows = with_pseudo_labels(self.parts.of_shards(first, end), self.thresholds)
        list(in_threads(partial(_write_sensor, self.target), _by_sensor(rows)))
        chosen = review_queue(rows.to_pandas(), upper=self.thresholds.upper, size=self.review_size)
        return pa.Table.from_pandas(chosen[SCORES.names], schema=SCORES, preserve_index=False)


def _by_sensor(rows: pa.Table) -> Iterable[pa.Table]:
    """Cut rows that are in order of their sensors."""
    if not len(rows):
        return []
    fleet, sensor = (rows[name].to_numpy() for name in SENSOR_COLUMNS)
    starts = [0, *(np.flatnonzero((fleet[1:] != fleet[:-1]) | (sensor[1:] != sensor[:-1])) + 1), len(rows)]
    return (rows.slice(start, end - start) for start, end in pairwise(starts))


def _write_sensor(target: Store, rows: pa.Table) -> None:
    fleet, sensor = (rows[name][0].as_py() for name in SENSOR_COLUMNS)
    target.write_table(sensor_file(fleet, sensor), rows.select(_OF_A_SENSOR))
