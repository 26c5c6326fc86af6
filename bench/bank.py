"""Seconds and memory of the jobs to fit the bank, the default detector, and its records per second when scoring.

    python -m bench.bank [RECORDS] [SENSORS]

Features are random, around one spectrum per sensor; the time does not depend on their values. They are scored in two
orders: groups of few sensors with many records each, as in archives sorted by sensor, and groups of as many sensors
as possible.
"""

import resource
import sys
import tempfile
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.scores import GROUP_RECORDS, timed
from jobs.fit_detector import fit_detector
from jobs.score import score_groups
from xfmr.cluster import cluster
from xfmr.features import LOG_SPECTRUM_LENGTH, QUIET_PSD_LENGTH, ZERONE_LENGTH
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.features import features_schema
from xfmr.rows.files import write_rows
from xfmr.rows.row_set import RowSet
from xfmr.schema import RECORD_LENGTH, fixed_size_column
from xfmr.scores.parts import ScoreParts
from xfmr.settings import Settings
from xfmr.storage import Store
from xfmr.storage.models import Models

RECORDS, SENSORS = 200_000, 200
COLUMNS = ["fleet", "unit", "sensor_id", "data_time", "record_id", "flat", "log_spectrum", "zerone", "quiet_psd"]


@dataclass(frozen=True)
class Fleet:
    """Random features.

    Args:
        n_records: Number of records.
        n_sensors: Number of sensors, with equally many records each.
        by_sensor: True to sort records by sensor, False to sort them by time.
    """

    n_records: int
    n_sensors: int
    by_sensor: bool

    def write(self, run: Store) -> None:
        """Write the features as the finished ones of a run."""
        rng, rows_of_run = np.random.default_rng(0), RowSet(run)
        own = rng.standard_normal((self.n_sensors, 1)).astype(np.float32)
        groups = np.array_split(np.arange(self.n_records), -(-self.n_records // GROUP_RECORDS))
        schema = pa.schema([features_schema(RECORD_LENGTH).field(name) for name in COLUMNS])
        for i, rows in enumerate(groups):
            write_rows(run, rows_of_run.file(f"{i:06}"), [self._table(rows, own, schema, rng)], schema)
        counts = {"lines": self.n_records, "kept": self.n_records, "quarantined": 0, "duplicates": 0}
        made = {
            "set": "bench",
            "made_with": {"sample_rate_hz": 8192.0, "record_length": RECORD_LENGTH, "unit_from": None},
            "groups": [f"{i:06}" for i in range(len(groups))],
        }
        run.write_json(rows_of_run.success_file, made | counts)

    def _table(
        self, rows: NDArray[np.int64], own: NDArray[np.float32], schema: pa.Schema, rng: np.random.Generator
    ) -> pa.Table:
        each = self.n_records // self.n_sensors
        place, time = np.divmod(rows, each) if self.by_sensor else np.divmod(rows, self.n_sensors)[::-1]
        sensor = place % self.n_sensors

        def decades(width: int) -> NDArray[np.float32]:
            noise = rng.standard_normal((len(rows), width), np.float32)
            return np.asarray(own[sensor] + noise / 4 - 6, np.float32)

        columns = {
            "fleet": pa.array([""] * len(rows)),
            "unit": pa.array([""] * len(rows)),
            "sensor_id": pa.array([f"tr{i // 8:04}-s{i % 8}" for i in sensor]),
            "data_time": pa.array(time * 600_000_000, pa.timestamp("us", tz="UTC")),
            "record_id": pa.array(rng.integers(-(2**63), 2**63, len(rows))),
            "flat": pa.array(np.zeros(len(rows), bool)),
            "log_spectrum": fixed_size_column(decades(LOG_SPECTRUM_LENGTH)),
            "zerone": fixed_size_column(10 ** decades(ZERONE_LENGTH)),
            "quiet_psd": fixed_size_column(decades(QUIET_PSD_LENGTH)),
        }
        return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def main() -> None:
    """Print durations, memory and rates."""
    n_records, n_sensors = map(int, [*sys.argv[1:], *map(str, (RECORDS, SENSORS)[len(sys.argv) - 1 :])])
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(run=f"{folder}/run")
        Fleet(n_records, n_sensors, by_sensor=True).write(settings.store)
        with timed(f"fitted to {n_records} records of {n_sensors} sensors"):
            fit_detector(settings)
        print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")
        score_all(settings.store, "sensor by sensor")
        Fleet(n_records, n_sensors, by_sensor=False).write(settings.store)
        score_all(settings.store, "time by time")


def score_all(run: Store, order: str) -> None:
    """Score all groups, and print the records per second after the first group."""
    parts = ScoreParts.planned(FeatureSet(run), Models(run).required_key("detector"))
    with cluster():
        score_groups(parts, FeatureSet(run))
    paths = {run.path(parts.file(name)) for name in parts.names}
    written = sorted(info.mtime_ns for info in run.files(parts.folder) if info.path in paths)
    rate = GROUP_RECORDS * (len(written) - 1) / (written[-1] - written[0]) * 1e9
    print(f"scored {order}: {rate:.0f} records a second", flush=True)


if __name__ == "__main__":
    main()
