"""A synthetic fleet on disk: the archive, and the ground truth beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xfmr.schema import NORMAL
from xfmr.synth.episodes import Episode, plan_episodes
from xfmr.synth.spec import FleetSpec
from xfmr.synth.transformer import Float
from xfmr.synth.vibration import FULL_SCALE, sample_signals

RECORDS_PER_FILE = 9
DECIMALS = 5
LABEL_COLUMNS = ("sensor_id", "data_time", "label", "severity", "unit")


@dataclass(frozen=True)
class FleetSummary:
    """Paths that `write_fleet` wrote, and the numbers of files, records and records with a fault."""

    archive: Path
    labels: Path
    n_files: int
    n_records: int
    n_faulty: int


def write_fleet(spec: FleetSpec, folder: Path) -> FleetSummary:
    """Write a fleet's archive and, beside it, the ground truth of every record.

    Files are `archive/UNIT/DATE/UNIT_TIME.jsonl`. Each holds several moments of one unit, about 9 records.
    `labels.csv` has the columns `sensor_id, data_time, label, severity, unit`. The label is `normal` or a fault type,
    and the severity of a normal record is 0.

    Args:
        spec: The fleet.
        folder: Output folder; created if missing.

    Raises:
        FileExistsError: If the folder already holds an archive; two fleets must not be mixed.
    """
    archive, labels = folder / "archive", folder / "labels.csv"
    archive.mkdir(parents=True)
    episodes = plan_episodes(spec)
    n_files = 0
    truth: list[tuple[str, ...]] = []
    for unit in range(spec.n_units):
        n_files += _write_unit(spec, unit, episodes.get(unit), archive)
        truth.extend(_truth(spec, unit, episodes.get(unit)))
    with labels.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([LABEL_COLUMNS, *truth])
    n_faulty = sum(label != NORMAL for _, _, label, *_ in truth)
    return FleetSummary(archive, labels, n_files, len(truth), n_faulty)


def format_signal(signal: Float) -> str:
    """Format a signal as the archive does: five decimals, comma-separated, no minus before zero.

    The text of each sample is looked up in a table, which is ten times as fast as formatting it.

    Args:
        signal: Shape (n,), within +-`FULL_SCALE`.

    Raises:
        ValueError: If a sample is beyond full scale or not a number.
    """
    if not np.all(np.abs(signal) <= FULL_SCALE):
        raise ValueError(f"signal must lie within +-{FULL_SCALE}")
    table = _sample_texts()
    steps = np.rint(signal.astype(np.float64) * 10**DECIMALS).astype(np.int64)
    # NumPy pads the shorter texts with zero bytes, which are removed here.
    padded: bytes = table[steps + table.size // 2].tobytes()
    return padded.translate(None, b"\0").decode("ascii")[:-1]


@cache
def _sample_texts() -> NDArray[np.bytes_]:
    """Return the text of every possible sample, with a comma, from -full scale to +full scale."""
    highest = round(FULL_SCALE * 10**DECIMALS)
    return np.array([b"%.*f," % (DECIMALS, step / 10**DECIMALS) for step in range(-highest, highest + 1)])


def _write_unit(spec: FleetSpec, unit: int, episode: Episode | None, archive: Path) -> int:
    """Write one unit's files and return their number."""
    times_per_file = max(1, RECORDS_PER_FILE // spec.sensors_per_unit)
    starts = range(0, spec.n_times, times_per_file)
    for start in starts:
        times = range(start, min(start + times_per_file, spec.n_times))
        lines = [line for time_index in times for line in _json_lines(spec, unit, time_index, episode)]
        begins = spec.recorded_at(start)
        day = archive / spec.unit_name(unit) / f"{begins:%Y-%m-%d}"
        day.mkdir(parents=True, exist_ok=True)
        path = day / f"{spec.unit_name(unit)}_{begins:%Y-%m-%dT%H-%M-%S}.jsonl"
        path.write_text("".join(lines), encoding="ascii", newline="\n")
    return len(starts)


def _json_lines(spec: FleetSpec, unit: int, time_index: int, episode: Episode | None) -> Iterator[str]:
    fault = episode.fault(time_index) if episode else None
    for sensor, signal in enumerate(sample_signals(spec, unit, time_index, fault=fault)):
        record = {
            "data_time": _iso(spec.recorded_at(time_index)),
            "signal_value": format_signal(signal),
            "sensor_id": spec.sensor_id(unit, sensor),
        }
        yield json.dumps(record) + "\n"


def _truth(spec: FleetSpec, unit: int, episode: Episode | None) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the label table for one unit, in the order of its records."""
    for time_index in range(spec.n_times):
        fault = episode.fault(time_index) if episode else None
        moment = _iso(spec.recorded_at(time_index))
        for sensor in range(spec.sensors_per_unit):
            shown = fault if fault and fault.affects(sensor) else None
            label, severity = (shown.fault_type, shown.severity) if shown else (NORMAL, 0.0)
            yield spec.sensor_id(unit, sensor), moment, label, f"{severity:.3f}", spec.unit_name(unit)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
