"""The synth job: a fleet, its truth, the half of it that people have got to, and what it refuses."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from jobs.synth import main
from xfmr.records import read_records
from xfmr.synth import FleetSpec, write_fleet

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--units", "2", "--sensors", "2", "--fault-share", "0.2"]
SIX_TIMES = [*SMALL, "--times", "6"]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_flags_become_the_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*SIX_TIMES, "--minutes", "7", "--first-day", "2025-02-28", "--fault-share", "0.25", "--seed", "9"]
    assert main(["--out", str(tmp_path / "job"), *flags]) == 0
    spec = FleetSpec(2, 2, 6, minutes_between=7, first_day=date(2025, 2, 28), fault_share=0.25, seed=9)
    summary = write_fleet(spec, tmp_path / "library")
    written = files_in(tmp_path / "job")
    del written["few_labels.csv"]
    assert written == files_in(tmp_path / "library")
    said = f"24 records in {summary.n_files} files, {summary.n_faulty} faulty: {tmp_path}/job/archive"
    assert capsys.readouterr().out == f"synth: {said}\n"


def test_people_have_labelled_every_other_sample(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), *SIX_TIMES]) == 0
    every, few = (pd.read_csv(tmp_path / name) for name in ("labels.csv", "few_labels.csv"))
    assert len(every) == 24
    assert len(few) == 12
    assert few.merge(every).equals(few)
    # Whole samples: all sensors of a unit at one time, and never two times in a row.
    assert (few.groupby(["unit", "data_time"])["sensor_id"].nunique() == 2).all()
    times = sorted(every["data_time"].unique())
    assert set(few["data_time"]) == set(times[1::2])


def test_every_line_is_a_record(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), *SIX_TIMES]) == 0
    records = []
    for path in (tmp_path / "archive").rglob("*.jsonl"):
        with path.open("rb") as stream:
            records.extend(read_records(stream, name=path.name))
    assert len(records) == 24
    assert {record.n_samples for record in records} == {8192}


@pytest.mark.parametrize("flags", [["--units", "0"], ["--fault-share", "0.9"], ["--seed", "-1"]])
def test_a_fleet_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert main(["--out", str(tmp_path / "out"), *SIX_TIMES, *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "must lie in" in line
    assert not (tmp_path / "out").exists()


def test_a_fleet_is_never_written_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), *SIX_TIMES]) == 0
    before = files_in(tmp_path)
    assert main(["--out", str(tmp_path), *SIX_TIMES, "--seed", "5"]) == 2
    assert files_in(tmp_path) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "archive" in line


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a regular file")
    assert main(["--out", str(tmp_path / "file/out"), *SIX_TIMES]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("flags", [[], ["--out", "x", "--unit-count", "2"], ["--out", "x", "--first-day", "monday"]])
def test_flags_that_are_wrong(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(flags)
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_later_first_day_gives_new_records_of_the_same_sensors(tmp_path: Path) -> None:
    for name, day in (("first", "2024-06-03"), ("later", "2024-07-01")):
        assert main(["--out", str(tmp_path / name), *SMALL, "--times", "4", "--first-day", day]) == 0
    first, later = (pd.read_csv(tmp_path / name / "labels.csv", dtype=str) for name in ("first", "later"))
    assert set(later["sensor_id"]) == set(first["sensor_id"])
    assert not set(later["data_time"]) & set(first["data_time"])


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--first-day", "9999-12-31", "--times", "33"], "n_times must lie in 1..32, not 33"),
        (["--minutes", "999999999999", "--times", "2"], "n_times must lie in 1..1, not 2"),
        (["--first-day", "1969-12-31"], "first_day must not lie before 1970-01-01, not 1969-12-31"),
    ],
)
def test_a_time_that_cannot_be_written_is_refused_before_any_record(
    tmp_path: Path, flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "demo"), *SMALL, *flags]) == 2
    assert capsys.readouterr().err == f"error: {words}\n"
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(("day", "n_times"), [("9999-12-31", 32), ("1970-01-01", 2)])
def test_the_calendars_ends_can_be_written(tmp_path: Path, day: str, n_times: int) -> None:
    assert main(["--out", str(tmp_path), *SMALL, "--first-day", day, "--times", str(n_times)]) == 0
    labels = pd.read_csv(tmp_path / "labels.csv", dtype=str)
    assert labels["data_time"].nunique() == n_times
    assert labels["data_time"].str.startswith(day).all()


def test_the_command_ends_with_the_jobs_status(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.synth", "--out", str(tmp_path), "--units", "0"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "error: n_units must lie in 1..inf, not 0\n"
