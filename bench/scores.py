"""Seconds to shuffle scores of many sensors from scored groups into one file per sensor, and to read them back.

    python -m bench.scores [RECORDS] [SENSORS]

Every group holds records of as many sensors as possible, so each task finds rows in every group. The scores are
random: the detector's own time is not measured.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from jobs.score import publish
from xfmr.cluster import cluster, n_cpus
from xfmr.schema import Recording
from xfmr.scores.parts import ScoreParts
from xfmr.scores.ranges import ScoreRanges, n_ranges
from xfmr.scores.sets import ScoreSet, read_scores, read_sensor
from xfmr.settings.stage_two import ThresholdSettings
from xfmr.storage import Store
from xfmr.storage.models import Models

RECORDS, SENSORS = 500_000, 5_000
# About 100 MB of input.
GROUP_RECORDS = 1400


def write_parts(run: Store, n_records: int, n_sensors: int) -> ScoreParts:
    """Write random scores. Sensors alternate, and a sensor's records are 45 minutes apart."""
    rng = np.random.default_rng(0)
    groups = [np.arange(first, min(first + GROUP_RECORDS, n_records)) for first in range(0, n_records, GROUP_RECORDS)]
    parts = ScoreParts(run, "random", tuple(f"{rows[0]:09}" for rows in groups))
    for name, rows in zip(parts.names, groups, strict=True):
        columns = {
            "fleet": pa.array([""] * len(rows)),
            "unit": pa.array([""] * len(rows)),
            "sensor_id": pa.array([f"tr{i // 8:04}-s{i % 8}" for i in rows % n_sensors]),
            "data_time": pa.array(rows // n_sensors * 45 * 60_000_000, pa.timestamp("us", tz="UTC")),
            "record_id": pa.array(rng.integers(-(2**63), 2**63, len(rows))),
            "score": pa.array(rng.standard_normal(len(rows)), pa.float32()),
        }
        parts.write(name, pa.table(columns))
    return parts


@contextmanager
def timed(label: str) -> Iterator[None]:
    """Print the duration of a block in seconds."""
    began = time.monotonic()
    yield
    print(f"{label}: {time.monotonic() - began:.2f} s", flush=True)


def main() -> None:
    """Print durations and the driver's memory."""
    n_records, n_sensors = map(int, [*sys.argv[1:], *map(str, (RECORDS, SENSORS)[len(sys.argv) - 1 :])])
    with tempfile.TemporaryDirectory() as folder, cluster():
        run = Store(folder)
        Models(run).publish("detector", "random", b"", {}, recording=Recording(8192.0, 8192))
        parts = write_parts(run, n_records, n_sensors)
        none = np.empty(0, np.int64)
        ranges = ScoreRanges(parts, n_ranges(n_records, n_cpus()), True)
        for key in ("first", "again, with Ray's workers up"):
            made = ScoreSet(run, key)
            with timed(f"{n_records} records of {n_sensors} sensors in {len(parts.names)} groups, {key}"):
                publish(ranges, none, none, made, ThresholdSettings())
        with timed("the old set removed"):
            made.remove_others()
        with timed("all scores read back"):
            assert len(read_scores(run)) == n_records
        with timed("one sensor read back"):
            read_sensor(run, "tr0000-s1")
        print(f"driver's memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
