"""The scores of a run as other jobs read them: a set that is switched atomically.

``score_sets/<key>`` holds a file for each sensor, thresholds, figure and review queue. The link ``scored`` points to
the current set, and the names that people know, such as ``scores``, are links through it, so that one rename switches
all of them. On an object store ``scored.json`` takes the link's place, and the other names do not exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from xfmr.errors import XfmrError
from xfmr.schema import SCORES, SENSOR_COLUMNS, path_segment
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.lease import confirm_sole
from xfmr.storage.links import read_link, set_link
from xfmr.storage.models import Models

SCORES_FOLDER = "scores"
THRESHOLDS_FILE = "thresholds.json"
QUEUE_FILE = "review/queue.csv"
FIGURE_FILE = "score_distribution.png"

CURRENT = "scored"
_SETS = "score_sets"
_SHOWN = (SCORES_FOLDER, THRESHOLDS_FILE, "review", FIGURE_FILE)

# Typed by name: pyarrow would take a sensor called 007 for a number.
PARTITIONING = ds.partitioning(pa.schema([SCORES.field(name) for name in SENSOR_COLUMNS]), flavor="hive")

T = TypeVar("T")


def sensor_file(fleet: str, sensor_id: str) -> str:
    """Return the name of a sensor's file within a set, below its fleet if it has one."""
    fleets = [f"fleet={path_segment(fleet)}"] if fleet else []
    return "/".join([SCORES_FOLDER, *fleets, f"sensor_id={path_segment(sensor_id)}", "scores.parquet"])


class Origin(NamedTuple):
    """Key of the detector that made the scores of a set, and the thresholds of their pseudo-labels."""

    detector: str
    thresholds: Thresholds


@dataclass(frozen=True)
class ScoreSet:
    """One set of scores of a run.

    Args:
        run: The run.
        key: Hash of all that the set depends on.
    """

    run: Store
    key: str

    @property
    def store(self) -> Store:
        """The set's folder."""
        return self.run.child(f"{_SETS}/{self.key}")

    @property
    def is_current(self) -> bool:
        """True if it is the current set, and complete."""
        return current_key(self.run) == self.key and bool(self.store.find_json(THRESHOLDS_FILE)) and self._has_scores

    @property
    def _has_scores(self) -> bool:
        return self.store.exists(SCORES_FOLDER)

    @property
    def n_sensors(self) -> int:
        """Number of sensors."""
        return len(self.store.files(SCORES_FOLDER))

    def origin(self) -> Origin:
        """Return the detector and the thresholds of the set."""
        saved = self.store.read_json(THRESHOLDS_FILE)
        return Origin(saved["detector"], Thresholds(saved["lower"], saved["upper"], saved["method"]))

    def scores(self) -> pd.DataFrame:
        """Read all scores: columns of :data:`xfmr.schema.SCORES`.

        Raises:
            XfmrError: If the files are gone.
        """
        paths = [info.path for info in self.store.files(SCORES_FOLDER)]
        if not paths:
            raise XfmrError(f"{self.store.path(SCORES_FOLDER)} is empty: run jobs.score to make it anew")
        table = self.store.child(SCORES_FOLDER).read_tables(paths, SCORES, partitioning=PARTITIONING)
        return pd.DataFrame(table.to_pandas().fillna({"fleet": ""}))

    def write_origin(self, thresholds: Thresholds, queue: pd.DataFrame, *, detector: str, n_records: int) -> None:
        """Write the review queue and then ``thresholds.json``, the last file of a set."""
        text = queue.to_csv(index=False).encode()
        self.store.write(QUEUE_FILE, text)
        origin = {"detector": detector, "records": n_records, **asdict(thresholds)}
        self.store.write_json(THRESHOLDS_FILE, {"key": self.key, "queue": _digest(text), **origin})

    def publish(self) -> None:
        """Make this set, which is complete, the current one."""
        confirm_sole(self.run)
        if self.run.is_local:
            for name in _SHOWN:
                if read_link(self.run, name) is None:
                    set_link(self.run, name, f"{CURRENT}/{name}")
        set_link(self.run, CURRENT, f"{_SETS}/{self.key}")

    def remove_others(self) -> list[str]:
        """Remove all other sets, complete or not.

        Returns:
            Paths of review queues that people have filled in, which are kept.
        """
        confirm_sole(self.run)
        others = [ScoreSet(self.run, key) for key in self.run.folders(_SETS) if key != self.key]
        return [path for other in others if (path := other._remove())]

    def _remove(self) -> str | None:
        """Remove the set; move a queue that was filled in away first, and return its new path."""
        origin, queue = self.store.find_json(THRESHOLDS_FILE), self.store.find(QUEUE_FILE)
        kept = None
        if origin and queue and _digest(queue) != origin["queue"]:
            kept = f"reviewed/{self.key}-{_digest(queue)}.csv"  # the set may come back, and be filled in otherwise
            self.run.write(kept, queue)
        self.run.remove_folder(f"{_SETS}/{self.key}")
        return self.run.path(kept) if kept else None


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def current_key(run: Store) -> str | None:
    """Return the key of the current set, None if there is none."""
    target = read_link(run, CURRENT)
    return None if target is None else target.rpartition("/")[2]


def read_current(run: Store, read: Callable[[ScoreSet], T]) -> T:
    """Read from the current set, and read all again from the new set if it is switched meanwhile.

    Raises:
        XfmrError: If there are no scores, or they are of another detector than the current one.
    """
    while True:
        key = current_key(run)
        if key is None:
            raise XfmrError(f"{run.path()} has no scores: run jobs.score on it first")
        failure = None
        try:
            result = _read_of_current_detector(ScoreSet(run, key), read)
        except XfmrError as error:
            failure = error
        # A set is removed only after the switch to another: all that was read before the switch was complete.
        if current_key(run) == key:
            if failure:
                raise failure
            return result


def _read_of_current_detector(scores: ScoreSet, read: Callable[[ScoreSet], T]) -> T:
    if scores.origin().detector != Models(scores.run).current_key("detector"):
        raise XfmrError(f"the scores in {scores.run.path()} are of an earlier detector: run jobs.score on it first")
    return read(scores)


def read_thresholds(run: Store) -> Thresholds:
    """Read the thresholds of a run's scores; raises what :func:`read_current` does."""
    return read_current(run, ScoreSet.origin).thresholds


def read_scores(run: Store) -> pd.DataFrame:
    """Read all scores of a run, of one set: columns of :data:`xfmr.schema.SCORES`.

    Raises:
        XfmrError: If there are none, or for the reasons that :func:`read_current` gives.
    """
    return read_current(run, ScoreSet.scores)


def read_sensor(run: Store, sensor_id: str, fleet: str = "") -> pd.DataFrame:
    """Read the scores of one sensor, in order of time, from its file.

    Raises:
        XfmrError: If it has none, or for the reasons that :func:`read_current` gives.
    """
    table = read_current(run, lambda scores: scores.store.read_table(sensor_file(fleet, sensor_id)))
    return pd.DataFrame(table.to_pandas())
