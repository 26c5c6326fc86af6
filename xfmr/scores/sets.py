"""The scores of a run as other jobs read them: a set that is switched atomically.

``score_sets/<key>`` holds a file for each sensor, thresholds, figure and review queue. The link ``scored`` points to
the current set. The names that people know, such as ``scores``, are links through it, so one rename switches all of
them. On an object store ``scored.json`` takes the link's place, and the other names do not exist.

Example:
    Publish the scores of one sensor, as jobs.score does, and read them back.

    >>> from tempfile import TemporaryDirectory
    >>> from xfmr.schema import Recording
    >>> table = pd.DataFrame(
    ...     {
    ...         "data_time": pd.to_datetime(["2024-03-01 08:00", "2024-03-01 09:00"], utc=True),
    ...         "record_id": [1, 2],
    ...         "score": [0.5, 9.0],
    ...         "pseudo_label": ["normal", "anomaly"],
    ...     }
    ... )
    >>> with TemporaryDirectory() as folder:
    ...     run = Store(folder)
    ...     _ = Models(run).publish("detector", "d0", b"", {}, recording=Recording(8192.0, 8192))
    ...     new = ScoreSet(run, "k0")
    ...     new.store.write_table(sensor_file("tank-1"), pa.Table.from_pandas(table, preserve_index=False))
    ...     new.write_origin(Thresholds(2.0, 4.0, "mad"), table[1:].assign(label=""), detector="d0", n_records=2)
    ...     new.publish()
    ...     thresholds, scores, sensor = read_thresholds(run), read_scores(run), read_sensor(run, "tank-1")
    >>> print(thresholds)
    normal up to 2, anomaly from 4 (mad)
    >>> scores[["sensor_id", "score"]].values.tolist()
    [['tank-1', 0.5], ['tank-1', 9.0]]
    >>> sensor["pseudo_label"].tolist()
    ['normal', 'anomaly']
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

# Typed by name: pyarrow would read a sensor called 007 as a number.
PARTITIONING = ds.partitioning(pa.schema([SCORES.field(name) for name in SENSOR_COLUMNS]), flavor="hive")

T = TypeVar("T")


def sensor_file(sensor_id: str, *, unit: str = "", fleet: str = "") -> str:
    """Return the name of a sensor's file within a set, below its fleet and its unit if it has any."""
    names = {"fleet": fleet, "unit": unit, "sensor_id": sensor_id}
    folders = [f"{column}={path_segment(name)}" for column, name in names.items() if name]
    return "/".join([SCORES_FOLDER, *folders, "scores.parquet"])


class Origin(NamedTuple):
    """Key of the detector that gave the scores of a set, and the thresholds of their pseudo-labels."""

    detector: str
    thresholds: Thresholds


@dataclass(frozen=True)
class ScoreSet:
    """One set of scores of a run.

    Args:
        run: The run.
        key: Hash of everything that the set depends on.
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
            raise XfmrError(f"{self.store.path(SCORES_FOLDER)} is empty: run jobs.score to make it again")
        table = self.store.child(SCORES_FOLDER).read_tables(paths, SCORES, partitioning=PARTITIONING)
        return pd.DataFrame(table.to_pandas().fillna({"fleet": "", "unit": ""}))

    def write_origin(self, thresholds: Thresholds, queue: pd.DataFrame, *, detector: str, n_records: int) -> None:
        """Write the review queue and then ``thresholds.json``, the last file of a set."""
        text = queue.to_csv(index=False).encode()
        self.store.write(QUEUE_FILE, text)
        origin = {"detector": detector, "records": n_records, **asdict(thresholds)}
        self.store.write_json(THRESHOLDS_FILE, {"key": self.key, "queue": _digest(text), **origin})

    def publish(self) -> None:
        """Make this set the current one; it must be complete."""
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
        """Remove the set. Move a filled-in queue away first, and return its new path."""
        origin, queue = self.store.find_json(THRESHOLDS_FILE), self.store.find(QUEUE_FILE)
        kept = None
        if origin and queue and _digest(queue) != origin["queue"]:
            kept = f"reviewed/{self.key}-{_digest(queue)}.csv"  # the set may come back and be filled in differently
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
    """Read from the current set; if it is switched meanwhile, read everything again from the new set.

    Raises:
        XfmrError: If there are no scores, or they come from another detector than the current one.
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
        # A set is removed only after the switch to another: everything read before the switch was complete.
        if current_key(run) == key:
            if failure:
                raise failure
            return result


def _read_of_current_detector(scores: ScoreSet, read: Callable[[ScoreSet], T]) -> T:
    if scores.origin().detector != Models(scores.run).current_key("detector"):
        raise XfmrError(f"the scores in {scores.run.path()} are of an earlier detector: run jobs.score on it first")
    return read(scores)


def read_thresholds(run: Store) -> Thresholds:
    """Read the thresholds of a run's scores.

    Raises:
        XfmrError: If there are none, or for the reasons that :func:`read_current` gives.
    """
    return read_current(run, ScoreSet.origin).thresholds


def read_scores(run: Store) -> pd.DataFrame:
    """Read all scores of a run, from one set: columns of :data:`xfmr.schema.SCORES`.

    Raises:
        XfmrError: If there are none, or for the reasons that :func:`read_current` gives.
    """
    return read_current(run, ScoreSet.scores)


def read_sensor(run: Store, sensor_id: str, *, unit: str = "", fleet: str = "") -> pd.DataFrame:
    """Read the scores of one sensor, in order of time, from its file.

    Raises:
        XfmrError: If it has none, or for the reasons that :func:`read_current` gives.
    """
    table = read_current(run, lambda scores: scores.store.read_table(sensor_file(sensor_id, unit=unit, fleet=fleet)))
    return pd.DataFrame(table.to_pandas())
