"""Score parts: the scores of each group, before they are regrouped by sensor.

A task scores one group and writes its rows in order of their shard, a hash of the sensor. Other tasks then read
one range of shards from all groups, see :mod:`xfmr.scores.ranges`. No row passes through the driver. The parts are
kept in ``score_parts/<detector>``, so a killed job resumes with the remaining groups, and when an archive grows, only
its new groups are scored.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, KEY, SCORES, SENSOR_COLUMNS
from xfmr.storage import Store
from xfmr.storage.models import Models
from xfmr.storage.threads import in_threads

_FOLDER = "score_parts"
N_SHARDS = 2**16
# Small, because reading a range of shards reads every row group that it touches.
_ROW_GROUP_ROWS = 512

_PART = pa.schema([*(SCORES.field(name) for name in [*IDENTITY_COLUMNS, "score"]), pa.field("shard", pa.uint16())])


@dataclass(frozen=True)
class ScoreParts:
    """The scores of a run's groups by one detector.

    Args:
        run: The run.
        detector: The detector's key.
        names: One part per group, named by the group and the version of its features.
    """

    run: Store
    detector: str
    names: tuple[str, ...]

    @classmethod
    def planned(cls, features: FeatureSet, detector: str) -> ScoreParts:
        """Name the parts of the current features.

        Raises:
            XfmrError: If the file of a group is missing.
        """
        files = {info.path: f"{info.size} {info.mtime_ns}" for info in features.store.files(features.folder)}
        paths = {group: features.store.path(features.rows.file(group)) for group in features.groups}
        missing = [path for path in paths.values() if path not in files]
        if missing:
            raise XfmrError(f"{missing[0]} is missing: run jobs.featurize to make it again")
        versions = {group: files[path] for group, path in paths.items()}
        digests = {group: hashlib.blake2b(text.encode(), digest_size=4) for group, text in versions.items()}
        return cls(features.store, detector, tuple(f"{group}-{digests[group].hexdigest()}" for group in versions))

    @property
    def folder(self) -> str:
        """Folder of the parts within the run."""
        return f"{_FOLDER}/{self.detector}"

    def file(self, name: str) -> str:
        """Return the name of a part's file within the run."""
        return f"{self.folder}/{name}.parquet"

    def missing(self) -> list[str]:
        """Return the names of the parts that do not exist yet."""
        existing = {info.path for info in self.run.files(self.folder)}
        return [name for name in self.names if self.run.path(self.file(name)) not in existing]

    def write(self, name: str, scored: pa.Table) -> None:
        """Write a part: rows of :data:`xfmr.schema.IDENTITY_COLUMNS` and ``score``."""
        rows = scored.append_column("shard", pa.array(_shards(scored))).select(_PART.names).cast(_PART)
        self.run.write_table(self.file(name), rows.sort_by("shard"), row_group_size=_ROW_GROUP_ROWS)

    def of_shards(self, first: int, end: int) -> pa.Table:
        """Read the rows of a range of shards, in order of sensor and time."""
        rows = self._read(columns=_PART.names[:-1], filter=(pc.field("shard") >= first) & (pc.field("shard") < end))
        return rows.sort_by([(name, "ascending") for name in KEY])

    def _read(self, **options: object) -> pa.Table:
        paths = [self.run.path(self.file(name)) for name in self.names]
        try:
            return self.run.child(self.folder).read_tables(paths, _PART, **options)
        except XfmrError as error:
            raise XfmrError(f"{error}; remove {self.run.path(self.folder)} and run again") from error

    def remove_others(self) -> None:
        """Remove the parts of other detectors and of former features."""
        for detector in self.run.folders(_FOLDER):
            if detector != self.detector:
                self.run.remove_folder(f"{_FOLDER}/{detector}")
        planned = {self.run.path(self.file(name)) for name in self.names}
        unplanned = [info.path for info in self.run.files(self.folder) if info.path not in planned]
        list(in_threads(self.run.filesystem.delete_file, unplanned))


class GroupScorer:
    """Scores one group after another with a detector that it loads once.

    Args:
        parts: The parts to write.
    """

    def __init__(self, parts: ScoreParts) -> None:
        self.parts, self.features = parts, FeatureSet(parts.run)
        self.detector = detector_from_bytes(
            *Models(parts.run).open("detector", parts.detector, self.features.recording)
        )

    def __call__(self, name: str) -> pa.Table:
        """Score a group, write its part, and return its number of records as a row."""
        table = self.features.read(group_of(name), self.detector.columns)
        scores = pa.array(self.detector.score(table), pa.float32())
        self.parts.write(name, table.select(IDENTITY_COLUMNS).append_column("score", scores))
        return pa.table({"records": [len(table)]})


def group_of(part: str) -> str:
    """Return the name of the group whose scores a part holds."""
    return part.rpartition("-")[0]


def _shards(table: pa.Table) -> NDArray[np.uint16]:
    """Return each row's shard, which depends only on the sensor, shape (n,)."""
    sensors = table.select(SENSOR_COLUMNS).to_pandas()
    distinct, code = np.unique(["\0".join(names) for names in sensors.itertuples(index=False)], return_inverse=True)
    hashes = np.array([zlib.crc32(name.encode()) % N_SHARDS for name in distinct], np.uint16)
    return hashes[code]
