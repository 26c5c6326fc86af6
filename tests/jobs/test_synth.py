"""The synth job's dates, which must be ones that the calendar has, and its exit status as a command."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from jobs.synth import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--units", "2", "--sensors", "2", "--fault-share", "0.2"]


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
