"""The synthetic fleet on disk: its form, its counts and its truth."""

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.schema import NORMAL
from xfmr.synth import (
    FAULT_TYPES,
    UNIT_FAULTS,
    FleetSpec,
    format_signal,
    plan_episodes,
    sample_signals,
    write_fleet,
)

SMALL = FleetSpec(n_units=6, sensors_per_unit=2, n_times=13, n_samples=512, fault_share=0.2, seed=3)


def read_records(archive: Path) -> list[dict[str, str]]:
    return [json.loads(line) for path in sorted(archive.rglob("*.jsonl")) for line in path.read_text().splitlines()]


def files_under(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    write_fleet(SMALL, tmp_path / "a")
    write_fleet(SMALL, tmp_path / "b")
    assert files_under(tmp_path / "a") == files_under(tmp_path / "b")
    write_fleet(replace(SMALL, seed=4), tmp_path / "c")
    first = next(name for name in files_under(tmp_path / "a") if name.endswith(".jsonl"))
    assert files_under(tmp_path / "a")[first] != files_under(tmp_path / "c")[first]


def test_counts_are_those_of_the_spec(tmp_path: Path) -> None:
    summary = write_fleet(SMALL, tmp_path)
    records = read_records(summary.archive)
    assert len(records) == summary.n_records == SMALL.n_records == 6 * 2 * 13
    assert len({(r["sensor_id"], r["data_time"]) for r in records}) == len(records)
    assert len({r["sensor_id"] for r in records}) == 12
    # Four times of two sensors a file: 13 times make four files a unit.
    assert len(list(summary.archive.rglob("*.jsonl"))) == summary.n_files == 6 * 4


def test_labels_lie_beside_the_archive_and_nothing_in_it_tells_them(tmp_path: Path) -> None:
    summary = write_fleet(SMALL, tmp_path)
    assert summary.labels.parent == summary.archive.parent
    for path in summary.archive.rglob("*"):
        assert path.is_dir() or path.suffix == ".jsonl"
        assert not any(word in str(path.relative_to(tmp_path)) for word in (*FAULT_TYPES, NORMAL, "label"))
    assert {tuple(record) for record in read_records(summary.archive)} == {("data_time", "signal_value", "sensor_id")}


def test_every_record_has_its_label_and_the_shares_are_right(tmp_path: Path) -> None:
    summary = write_fleet(SMALL, tmp_path)
    with summary.labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["sensor_id", "data_time", "label", "severity", "unit"]
    records = read_records(summary.archive)
    assert {(r["sensor_id"], r["data_time"]) for r in rows} == {(r["sensor_id"], r["data_time"]) for r in records}
    counts = Counter(row["label"] for row in rows)
    assert counts.total() - counts[NORMAL] == summary.n_faulty
    assert abs(summary.n_faulty - 0.2 * SMALL.n_records) < 2
    assert all((row["label"] == NORMAL) == (float(row["severity"]) == 0) for row in rows)


def test_lines_are_records_of_8192_values_in_the_archive_s_form(tmp_path: Path) -> None:
    spec = FleetSpec(n_units=1, sensors_per_unit=2, n_times=2)
    records = read_records(write_fleet(spec, tmp_path).archive)
    assert [r["data_time"] for r in records] == ["2024-06-03T00:00:00.000Z"] * 2 + ["2024-06-03T00:45:00.000Z"] * 2
    for sensor, record in enumerate(records[2:]):
        texts = record["signal_value"].split(",")
        assert len(texts) == 8192
        assert all(len(text.partition(".")[2]) == 5 for text in texts)
        np.testing.assert_allclose(np.array(texts, dtype=float), sample_signals(spec, 0, 1)[sensor], atol=5.1e-6)


def test_a_second_fleet_is_refused(tmp_path: Path) -> None:
    write_fleet(replace(SMALL, n_units=1), tmp_path)
    with pytest.raises(FileExistsError):
        write_fleet(SMALL, tmp_path)


@given(st.lists(st.floats(-0.9375, 0.9375, width=32).filter(lambda x: abs(x) > 1e-5), min_size=1))
@settings(max_examples=50, deadline=None)
def test_signals_are_written_as_printf_would(values: list[float]) -> None:
    assert format_signal(np.array(values, dtype=np.float32)) == ",".join(f"{v:.5f}" for v in values)


def test_zero_is_written_without_a_sign() -> None:
    assert format_signal(np.array([0.0, -0.0, 1e-6, -1e-6], dtype=np.float32)) == ",".join(["0.00000"] * 4)


@pytest.mark.parametrize("value", [1.0, -3.0, np.nan, np.inf])
def test_signals_beyond_full_scale_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="signal"):
        format_signal(np.array([0.0, value], dtype=np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_units": 0},
        {"sensors_per_unit": 0},
        {"n_times": 0},
        {"minutes_between": 0},
        {"sample_rate_hz": 4000.0},
        {"n_samples": 10},
        {"mains_hz": 400.0},
        {"load_scale": 0.0},
        {"fault_share": 0.3},
        {"fault_share": float("nan")},
        {"faulty_unit_share": 1.5},
        {"seed": -1},
    ],
)
def test_a_wrong_spec_is_refused_by_the_field_s_name(wrong: dict[str, float]) -> None:
    (field,) = wrong
    with pytest.raises(ValueError, match=f"^{field} "):
        FleetSpec(**wrong)  # type: ignore[arg-type]


@given(
    st.builds(
        FleetSpec,
        n_units=st.integers(1, 20),
        sensors_per_unit=st.integers(1, 6),
        n_times=st.integers(1, 60),
        fault_share=st.floats(0, 0.35),
        faulty_unit_share=st.floats(0.7, 1),
        seed=st.integers(0, 2**40),
    )
)
@settings(max_examples=60, deadline=None)
def test_episodes_fill_the_share_within_the_time_there_is(spec: FleetSpec) -> None:
    episodes = plan_episodes(spec)
    widths = {e.unit: spec.sensors_per_unit if e.fault_type in UNIT_FAULTS else 1 for e in episodes.values()}
    n_faulty = sum(e.n_times * widths[e.unit] for e in episodes.values())
    assert abs(n_faulty - spec.fault_share * spec.n_records) <= spec.sensors_per_unit
    for unit, episode in episodes.items():
        faults = [episode.fault(t) for t in range(spec.n_times)]
        severities = [f.severity for f in faults if f]
        assert unit == episode.unit < spec.n_units
        assert len(severities) == episode.n_times
        assert severities == sorted(severities)
        assert severities[-1] == pytest.approx(episode.peak_severity)
