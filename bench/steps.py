"""Time of each step from a line of text to a stored row, in ms per record on one core, against `bench.plain`.

    python -m bench.steps

Compare ratios: the two times of a line are measured one after the other, and depend on the machine. Packages of the
extra `peers` are included if installed.
"""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when NumPy is loaded
os.environ["SSQ_PARALLEL"] = "0"

import importlib
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pyarrow as pa

from bench import plain
from xfmr import features
from xfmr.archive.units import Source
from xfmr.records import Record, Reject, parse_line
from xfmr.rows.features import VALUE_COLUMNS, FeatureRows
from xfmr.rows.files import encode_rows
from xfmr.rows.writer import BATCH_RECORDS, Batch
from xfmr.schema import RECORD_LENGTH, Recording
from xfmr.synth import FleetSpec, format_signal, sample_signals

RATE_HZ = 8192.0
FEW = 4
ROUNDS = 7

Step = Callable[[], object]


def best_ms(step: Step, n_records: int) -> float:
    """Return the fastest of seven runs in ms per record: the one that other processes disturbed least."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return 1e3 * min(times) / n_records


def show(name: str, step: Step, plain_name: str = "", plain_step: Step | None = None) -> None:
    """Print a line of the table: a step on a whole batch, and the plain step on a few records."""
    step()  # warm up: build kernels, fill caches
    line = f"{name:28}{best_ms(step, BATCH_RECORDS):9.3f}"
    if plain_step is not None:
        theirs, ours = best_ms(plain_step, FEW), best_ms(step, BATCH_RECORDS)
        line += f"{theirs:11.3f}{theirs / ours:8.1f}  {plain_name}"
    print(line, flush=True)


def peak_mb() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def peers(few: np.ndarray) -> Iterator[tuple[str, Step]]:
    """Yield other packages' scalograms, for the packages that are installed."""
    for module, make in (("cv2", _opencv), ("fcwt", _fcwt), ("ssqueezepy", _ssqueezepy)):
        try:
            yield make(importlib.import_module(module), few)
        except ImportError as error:
            print(f"{'':28}{module} is left out: {error}")


def _opencv(cv2: Any, few: np.ndarray) -> tuple[str, Step]:
    cv2.setNumThreads(1)
    return "PyWavelets and OpenCV", lambda: [cv2.resize(plain.transform(x), (224, 128)) for x in few]


def _fcwt(fcwt: Any, few: np.ndarray) -> tuple[str, Step]:
    morlet, plane = fcwt.Morlet(2.0), np.zeros((128, few.shape[1]), np.complex64)
    scales = fcwt.Scales(morlet, fcwt.FCWT_LINFREQS, int(RATE_HZ), 52, int(RATE_HZ) // 2, 128)
    engine = fcwt.FCWT(morlet, 1, False, True)

    def transform(keep: Any = morlet) -> None:  # keeps the wavelet alive: the engine only points to it
        for x in few.astype(np.float32):
            engine.cwt(x, scales, plane)

    return "fCWT, its plane alone", transform


def _ssqueezepy(ssqueezepy: Any, few: np.ndarray) -> tuple[str, Step]:
    scales = np.arange(1.0, 129.0)
    return "ssqueezepy, its plane alone", lambda: [ssqueezepy.cwt(x, "morlet", scales=scales) for x in few]


def batch_of(signals: np.ndarray) -> tuple[list[bytes], Batch]:
    """Return signals as lines of text, and the batch that these lines parse to."""
    fields = {"data_time": "2024-06-03T00:00:00Z", "sensor_id": "tr01-s1"}
    lines = [json.dumps({**fields, "signal_value": format_signal(signal)}).encode() for signal in signals]
    return lines, parsed(lines)


def parsed(lines: list[bytes]) -> Batch:
    """Parse lines into a batch."""
    source = Source("", "", "a.jsonl")
    return Batch.of([(source, record) for record in parse_all(lines) if isinstance(record, Record)])


def parse_all(lines: list[bytes]) -> list[Record | Reject]:
    """Parse lines one by one."""
    return [parse_line(line, line_number=1) for line in lines]


def refused(lines: list[bytes]) -> list[bytes]:
    """Return lines with typical damage from sensors and their software: missing values, text, truncated lines."""
    first, last = lines[0].rindex(b" ") + 2, lines[0].rindex(b",") + 1
    text, cut = lines[0][:last], lines[0][: len(lines[0]) // 2]
    array = lines[0][: first - 1] + b"[" + lines[0][first:last]
    kinds = [text + b'nan"}', text + b'x"}', text + b',"}', array + b"NaN]}", array + b"null]}", cut]
    return [line for line, _ in zip(cycle(kinds), lines, strict=False)]


def whole(lines: list[bytes], rows: FeatureRows) -> pa.Buffer:
    """Process lines into an encoded file of rows."""
    return encoded(rows.tables([parsed(lines)]), rows.schema)


def encoded(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Buffer:
    """Encode a file of rows in memory."""
    sink = pa.BufferOutputStream()
    encode_rows(tables, schema, sink)
    return sink.getvalue()


def main() -> None:
    """Print the table."""
    spec = FleetSpec(n_units=BATCH_RECORDS // 4, sensors_per_unit=4, n_times=1)
    signals = np.concatenate([sample_signals(spec, unit, 0) for unit in range(spec.n_units)]).astype(np.float32)
    lines, batch = batch_of(signals)
    few = signals[:FEW].astype(np.float64)
    rows = FeatureRows(Recording(RATE_HZ, RECORD_LENGTH))
    columns = [name for name in VALUE_COLUMNS if name != "health"]
    without_health = FeatureRows(Recording(RATE_HZ, RECORD_LENGTH), columns=columns)
    (table,) = rows.tables([batch])
    rate = {"sample_rate_hz": RATE_HZ}

    before = peak_mb()
    whole(lines, rows)
    print(f"peak memory: {peak_mb():.0f} MB, {peak_mb() - before:.0f} of them for a batch of {BATCH_RECORDS} records")
    print(f"{'ms a record, one core':28}{'xfmr':>9}{'other':>11}{'ratio':>8}")
    show("parse", lambda: parse_all(lines), "json and float", lambda: [plain.parse(line) for line in lines[:FEW]])
    bad = refused(lines)
    show("  lines that are refused", lambda: parse_all(bad))
    show("zerone", lambda: features.zerone(signals, **rate), "SciPy", lambda: [plain.zerone(x, RATE_HZ) for x in few])
    log_spectrum = partial(features.log_spectrum, signals, **rate)
    show("log spectrum", log_spectrum, "SciPy", lambda: [plain.log_spectrum(x) for x in few])
    health = partial(features.health_indices, signals, **rate)
    show("health indices", health, "SciPy", lambda: [plain.health(x, RATE_HZ) for x in few])
    show("spectrogram", lambda: features.stft_plane(signals), "SciPy", lambda: [plain.spectrogram(x) for x in few])
    for name, peer in peers(few):
        show("scalogram", lambda: features.cwt_plane(signals), name, peer)
    show("features together", lambda: features.feature_columns(signals, sample_rate_hz=RATE_HZ))
    show("  without health", lambda: features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=columns[1:]))
    show("write", lambda: encoded([table], rows.schema))
    show("line to stored row", lambda: whole(lines, rows))
    show("  without health", lambda: whole(lines, without_health))
    size = encoded([table], rows.schema).size / len(batch.records) / 1e3
    print(f"a stored row takes {size:.1f} kB, its line of text {len(lines[0]) / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
