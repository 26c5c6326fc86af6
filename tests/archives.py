"""Archives for tests: short signals, few of them distinct, so that they are quick to write and to featurize."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from xfmr.archive import ArchiveFile, list_archive
from xfmr.archive.ledger import Ledger
from xfmr.archive.plan import Group, numbered, uncounted
from xfmr.archive.reading import count_newlines
from xfmr.archive.units import UnitFrom
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.features import FeatureRows
from xfmr.rows.row_set import FEATURES, Counts, RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.schema import Recording
from xfmr.storage import Store

SAMPLE_RATE_HZ = 8192.0
RECORDING = Recording(SAMPLE_RATE_HZ, 8192)
N_VALUES = 256
START = datetime(2024, 3, 1, 8, tzinfo=UTC)
MB = 1_000_000


def time_at(minute: int) -> datetime:
    """Return the time of a sample."""
    return START + timedelta(minutes=minute)


def values_of(seed: int) -> list[float]:
    """Return the values of one of the signals; seed 0 is a dead sensor's."""
    values = np.random.default_rng(seed).standard_normal(N_VALUES) if seed else np.zeros(N_VALUES)
    return [round(value, 5) for value in values.tolist()]


def line(sensor: str, minute: int, signal: int | list[float], **fields: object) -> bytes:
    """Write a record as one line of JSON, its signal given as values or as the seed of some, with further fields."""
    values = values_of(signal) if isinstance(signal, int) else signal
    return json.dumps(
        {"data_time": time_at(minute).isoformat(), "sensor_id": sensor, "signal_value": values, **fields}
    ).encode()


def many(n: int, size: int, *, first: int = 0) -> list[ArchiveFile]:
    """Return listed files of one size; there are none such on disk."""
    return [ArchiveFile("", f"f{i:04}.json", size, 7) for i in range(first, first + n)]


def write_archive(folder: Path, files: Mapping[str, Iterable[bytes]]) -> Path:
    """Write files of lines below a folder."""
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(text + b"\n" for text in lines))
    return folder


def fleet_files(*, sensors: Sequence[str] = ("s1", "s2"), minutes: int = 6, seed: int = 1) -> dict[str, list[bytes]]:
    """Make the files of a small fleet: one a minute, each with a record of every sensor, all signals distinct."""
    return {
        f"day/m{minute:02}.jsonl": [
            line(sensor, minute, seed + minute * len(sensors) + i) for i, sensor in enumerate(sensors)
        ]
        for minute in range(minutes)
    }


def long_archive(folder: Path, *, n_files: int) -> Path:
    """Write files of five records of full length; every sixth has a damaged line, every tenth one of another file."""
    rng = np.random.default_rng(0)
    signals = [np.round(rng.standard_normal(8192), 4).tolist() for _ in range(8)]
    lines = [line("s1", minute, signals[minute % 8]) for minute in range(5 * n_files)]
    files = {f"{i:03}.jsonl": lines[5 * i : 5 * i + 5] for i in range(n_files)}
    for i, text in enumerate(files.values()):
        text.extend([b"{"] * (i % 6 == 0) + [lines[5 * i - 35]] * (i % 10 == 9))
    return write_archive(folder, files)


class Run:
    """A run that is featurized in this process, without Ray.

    Args:
        folder: The run folder.
        archives: Folder of each fleet's archive.
        group_bytes: Size of a group; 1 makes a group of each file.
        columns: Value columns to compute; few of them for speed.
        record_length: Samples of a record.
        rows_in: Folder of the rows in the run folder.
        unit_from: Place of a record's unit; None if the settings do not say.
    """

    def __init__(
        self,
        folder: Path | str,
        archives: Mapping[str, Path],
        *,
        group_bytes: int = 1,
        columns: Collection[str] = ("signal", "log_spectrum"),
        record_length: int = 8192,
        rows_in: str = FEATURES,
        unit_from: str | None = None,
    ) -> None:
        self.store = Store(str(folder))
        self.ledger = Ledger(self.store)
        self.archives = {fleet: str(path) for fleet, path in archives.items()}
        self.group_bytes = group_bytes
        self.recording = Recording(SAMPLE_RATE_HZ, record_length)
        maker = FeatureRows(self.recording, columns)
        self.unit_from = unit_from
        self.rows = RowSet(self.store, rows_in)
        self.key = f"{maker.key}, {unit_from}"
        self.writer = GroupWriter(self.rows, self.archives, lambda: maker, UnitFrom(unit_from or "none"))

    def plan(self) -> list[Group]:
        """Plan the groups and write the manifest."""
        files = [file for fleet, uri in self.archives.items() for file in list_archive(fleet, uri)]
        groups, _ = self.rows.update_plan(files, key=self.key, group_bytes=self.group_bytes)
        counts = [count_newlines(group.to_json(), self.archives).to_pylist()[0] for group in uncounted(groups)]
        groups = numbered(groups, {count["group"]: count["newlines"] for count in counts})
        self.ledger.write_plan(groups, self.key)
        return groups

    def process(self, groups: Iterable[Group]) -> None:
        """Featurize those groups that are not finished."""
        finished = self.ledger.receipts()
        for group in groups:
            if group.name not in finished:
                self.writer(group.to_json())

    def featurize(self) -> Counts:
        """Bring the features up to date with the archive."""
        self.process(self.plan())
        return self.close()

    def close(self, *, only_set: bool = False) -> Counts:
        """Close the set that was planned last."""
        return self.rows.close(
            made_with={**asdict(self.recording), "unit_from": self.unit_from},
            only_set=only_set,
            unit_from=self.unit_from,
        )

    @property
    def features(self) -> FeatureSet:
        """The closed features."""
        return FeatureSet(self.store, self.rows.folder)

    def table(self, *columns: str) -> pa.Table:
        """Return all kept rows: the identity columns and those asked for."""
        return pa.concat_tables(self.features.tables(columns))

    def kept(self) -> set[tuple[str, str, int]]:
        """Return fleet, path and line of all kept rows."""
        table = self.table("path", "line")
        return set(zip(*(table[name].to_pylist() for name in ("fleet", "path", "line")), strict=True))

    def quarantine(self) -> list[tuple[str, int, str]]:
        """Return path, line and reason of all rejected lines, sorted."""
        tables = [self.store.read_table(self.rows.quarantine_file(group)) for group in self.ledger.receipts()]
        rows = pa.concat_tables(tables).to_pylist()
        return sorted((row["path"], row["line"], row["reason"]) for row in rows)
