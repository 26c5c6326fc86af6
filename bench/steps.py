"""Each step from a line of text to a stored row, in ms a record on one core, beside the plain way where there is one.

python -m bench.steps
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is loaded

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pywt
from scipy import signal as sps

from xfmr import features
from xfmr.archive import ArchiveFile
from xfmr.featurizer import FeatureRows
from xfmr.records import Record, parse_line
from xfmr.synth import FleetSpec, format_signal, sample_signals

RATE_HZ = 8192.0
BATCH = 64
REPEATS = 5

Step = Callable[[], object]


def best_ms(step: Step, n_records: int) -> float:
    """Return the best of some runs, in ms a record: what the machine can do when nothing else disturbs it."""
    step()  # kernels are built and caches filled before the clock runs
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times) / n_records


def plain_parse(line: bytes) -> np.ndarray:
    """Parse a line with the standard library."""
    return np.array([float(token) for token in json.loads(line)["signal_value"].split(",")], dtype=np.float32)


def plain_scalogram(signal: np.ndarray) -> np.ndarray:
    """Compute the whole plane with PyWavelets at its default precision, without the resize."""
    return np.abs(pywt.cwt(signal, np.arange(1, 129), "morl")[0])


def plain_log_spectrum(signal: np.ndarray) -> np.ndarray:
    """Compute the log spectrum with SciPy, one record at a time."""
    centred = signal - signal.mean()
    spectra = [sps.stft(centred, nperseg=n, noverlap=n // 2, boundary=None, padded=False)[2] for n in (128, 256, 512)]
    return np.concatenate([np.log10(np.maximum(np.abs(s) ** 2, 1e-12)).mean(1) for s in spectra])


def write(table: pa.Table) -> int:
    """Write a table as featurize does; return its size in bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", use_dictionary=["fleet", "sensor_id", "path"])
    return len(sink.getvalue())


def main() -> None:
    """Print the table."""
    spec = FleetSpec(n_units=BATCH // 4, sensors_per_unit=4, n_times=1)
    signals = np.concatenate([sample_signals(spec, unit, 0) for unit in range(spec.n_units)])
    times = {"data_time": "2024-06-03T00:00:00Z", "sensor_id": "tr01-s1"}
    lines = [json.dumps({**times, "signal_value": format_signal(signal)}).encode() for signal in signals]
    file = ArchiveFile("", "a.jsonl", 0, 0)
    now = datetime(2024, 6, 3, tzinfo=UTC)
    records = [(file, Record("tr01-s1", now, signal, 8192, n)) for n, signal in enumerate(signals)]
    rows = FeatureRows(RATE_HZ)
    table = rows(records)
    few = signals[:4]

    steps: list[tuple[str, Step, tuple[Step, int] | None]] = [
        (
            "parse",
            lambda: [parse_line(x, line_number=1) for x in lines],
            (lambda: [plain_parse(x) for x in lines[:4]], 4),
        ),
        ("zerone", lambda: features.zerone(signals, sample_rate_hz=RATE_HZ), None),
        (
            "log spectrum",
            lambda: features.log_spectrum(signals, sample_rate_hz=RATE_HZ),
            (lambda: [plain_log_spectrum(x) for x in few], 4),
        ),
        ("health indices", lambda: features.health_indices(signals, sample_rate_hz=RATE_HZ), None),
        ("scalogram", lambda: features.cwt_plane(signals), (lambda: [plain_scalogram(x) for x in few], 4)),
        ("spectrogram", lambda: features.stft_plane(signals), None),
        ("whole row", lambda: rows(records), None),
        ("write", lambda: write(table), None),
    ]
    print(f"{'step':16}{'ms a record':>12}{'plain way':>12}{'ratio':>8}")
    for name, step, plain in steps:
        ours = best_ms(step, BATCH)
        theirs = best_ms(*plain) if plain else None
        print(f"{name:16}{ours:12.3f}" + (f"{theirs:12.3f}{theirs / ours:8.1f}" if theirs else ""))
    print(f"a stored row takes {write(table) / BATCH / 1e3:.1f} kB, its line of text {len(lines[0]) / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
