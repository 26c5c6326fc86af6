"""The synth job: a fleet, its truth and the half of it that people have got to."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from jobs.synth import main
from xfmr.records import read_records
from xfmr.synth import FleetSpec, write_fleet

SMALL = ["--units", "2", "--sensors", "2", "--times", "6"]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_flags_become_the_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [*SMALL, "--minutes", "7", "--first-day", "2025-02-28", "--fault-share", "0.25", "--seed", "9"]
    assert main(["--out", str(tmp_path / "job"), *flags]) == 0
    spec = FleetSpec(2, 2, 6, minutes_between=7, first_day=date(2025, 2, 28), fault_share=0.25, seed=9)
    summary = write_fleet(spec, tmp_path / "library")
    written = files_in(tmp_path / "job")
    del written["few_labels.csv"]
    assert written == files_in(tmp_path / "library")
    said = f"24 records in {summary.n_files} files, {summary.n_faulty} faulty: {tmp_path}/job/archive"
    assert capsys.readouterr().out == f"synth: {said}\n"


def test_people_have_labelled_every_other_sample(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), *SMALL]) == 0
    every, few = (pd.read_csv(tmp_path / name) for name in ("labels.csv", "few_labels.csv"))
    assert len(every) == 24
    assert len(few) == 12
    assert few.merge(every).equals(few)
    # Whole samples: all sensors of a unit at one time, and never two times in a row.
    assert (few.groupby(["unit", "data_time"])["sensor_id"].nunique() == 2).all()
    times = sorted(every["data_time"].unique())
    assert set(few["data_time"]) == set(times[1::2])


def test_every_line_is_a_record(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), *SMALL]) == 0
    records = []
    for path in (tmp_path / "archive").rglob("*.jsonl"):
        with path.open("rb") as stream:
            records.extend(read_records(stream, name=path.name))
    assert len(records) == 24
    assert {record.n_samples for record in records} == {8192}


@pytest.mark.parametrize("flags", [["--units", "0"], ["--fault-share", "0.9"], ["--seed", "-1"]])
def test_a_fleet_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    assert main(["--out", str(tmp_path / "out"), *SMALL, *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "must lie in" in line
    assert not (tmp_path / "out").exists()


def test_a_fleet_is_never_written_over_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), *SMALL]) == 0
    before = files_in(tmp_path)
    assert main(["--out", str(tmp_path), *SMALL, "--seed", "5"]) == 2
    assert files_in(tmp_path) == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "archive" in line


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("a regular file")
    assert main(["--out", str(tmp_path / "file/out"), *SMALL]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("flags", [[], ["--out", "x", "--unit-count", "2"], ["--out", "x", "--first-day", "monday"]])
def test_flags_that_are_wrong(capsys: pytest.CaptureFixture[str], flags: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(flags)
    assert stopped.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]
