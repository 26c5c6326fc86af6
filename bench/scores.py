"""Scores of many sensors: all of jobs.score on synthetic features, and the shuffle to a file a sensor alone.

    python -m bench.scores [RECORDS] [SENSORS]

The features are those of noise, the same for every group, so a bank of any run scores them; that takes 9 kB a record
of disk. The shuffle alone is a second set of other thresholds, for which no group is scored again.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from jobs.fit_detector import fit_detector
from jobs.score import score
from xfmr import features
from xfmr.cluster import cluster
from xfmr.feature_set import SUCCESS, feature_file
from xfmr.harmonics import HARMONIC_COLUMNS
from xfmr.schema import fixed_size_column
from xfmr.score_sets import read_scores
from xfmr.settings import Settings, ThresholdSettings
from xfmr.storage import Store
from xfmr.training.options import PretrainSettings

RECORDS, SENSORS = 500_000, 5_000
RATE_HZ = 8192.0
# About 100 MB of input.
GROUP_RECORDS = 1400
# Fitting the bank is not what is measured.
FITTED_TO = 20_000


def write_features(run: Store, n_records: int, n_sensors: int) -> None:
    """Write the features of records that come one from each sensor in turn, a minute between two of the same."""
    rng = np.random.default_rng(0)
    signals = rng.standard_normal((GROUP_RECORDS, 8192)).astype(np.float32)
    values = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=HARMONIC_COLUMNS)
    columns = {name: fixed_size_column(part) for name, part in values.items()}
    groups = []
    for first in range(0, n_records, GROUP_RECORDS):
        rows = np.arange(first, min(first + GROUP_RECORDS, n_records))
        identity = {
            "fleet": pa.array([""] * len(rows)),
            "sensor_id": pa.array([f"tr{i // 8:04}-s{i % 8}" for i in rows % n_sensors]),
            "data_time": pa.array(rows // n_sensors * 60_000_000, pa.timestamp("us", tz="UTC")),
            "record_id": pa.array(rng.integers(-(2**63), 2**63, len(rows))),
            "flat": pa.array([False] * len(rows)),
        }
        group = f"{first:09}"
        table = pa.table(identity | {name: part[: len(rows)] for name, part in columns.items()})
        run.write_table(feature_file(group), table, use_dictionary=["fleet", "sensor_id"], compression_level=1)
        groups.append(group)
    run.write_json(SUCCESS, {"groups": groups, "kept": n_records})


def main() -> None:
    """Print seconds."""
    n_records, n_sensors = map(int, [*sys.argv[1:], *map(str, (RECORDS, SENSORS)[len(sys.argv) - 1 :])])
    with tempfile.TemporaryDirectory() as folder, cluster():
        settings = Settings(run=folder, pretrain=PretrainSettings(max_records=FITTED_TO))
        write_features(settings.store, n_records, n_sensors)
        fit_detector(settings)
        other = settings.model_copy(update={"thresholds": ThresholdSettings(method="percentile")})
        took = {}
        for name, asked in {"all of score": settings, "the shuffle alone": other}.items():
            began = time.monotonic()
            score(asked)
            took[name] = time.monotonic() - began
        began = time.monotonic()
        assert len(read_scores(settings.store)) == n_records
        took["all scores read back"] = time.monotonic() - began
        n_files = len(list(Path(folder, "scores").glob("*/*.parquet")))
    print(f"{n_records} records of {n_sensors} sensors, {n_files} files")
    for name, seconds in took.items():
        print(f"{name}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
