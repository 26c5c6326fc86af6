"""The same sensor and time with another signal: quarantined, counted, and, where there are many, explained."""

from pathlib import Path
from unittest.mock import Mock

import pytest
from archives import Run, line, write_archive
from processes import outputs

from xfmr.errors import XfmrError
from xfmr.rows import row_set
from xfmr.rows.duplicates import CONFLICT
from xfmr.rows.row_set import Counts

UNITS = ("t1", "t2", "t3")
MINUTES, SENSORS = 4, 3


def unit_files(form: str) -> dict[str, list[bytes]]:
    """Write a file a unit and minute, with sensor ids that repeat in every unit, all signals distinct."""
    return {
        form.format(unit=unit, minute=minute): [
            line(str(sensor), minute, 1 + (u * MINUTES + minute) * SENSORS + sensor, tank=unit)
            for sensor in range(SENSORS)
        ]
        for u, unit in enumerate(UNITS)
        for minute in range(MINUTES)
    }


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "archive", unit_files("{unit}_{minute}.jsonl"))


@pytest.mark.parametrize("unit_from", ["{unit}_*", "field:tank"])
def test_with_units_nothing_is_lost(archive: Path, tmp_path: Path, unit_from: str) -> None:
    run = Run(tmp_path / "run", {"": archive}, unit_from=unit_from)
    n = len(UNITS) * MINUTES * SENSORS
    assert run.featurize() == Counts(lines=n, kept=n, quarantined=0, duplicates=0)
    assert set(run.table()["unit"].to_pylist()) == set(UNITS)


def test_a_record_without_the_field_is_quarantined(tmp_path: Path) -> None:
    lines = [line("s", 0, 1, tank="t1"), line("s", 1, 2), line("s", 2, 3, tank=[1]), line("s", 3, 4, tank=7)]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "a", {"a.jsonl": lines})}, unit_from="field:tank")
    assert run.featurize() == Counts(lines=4, kept=2, quarantined=2, duplicates=0)
    assert [reason for _, _, reason in run.quarantine()] == ["missing_unit", "bad_unit"]
    assert sorted(run.table()["unit"].to_pylist()) == ["7", "t1"]


@pytest.mark.parametrize(
    ("form", "remedy"),
    [
        ("{unit}_{minute}.jsonl", "--unit-from '{unit}_*'"),
        ("{unit}--故障--1/{minute}.jsonl", "--unit-from '{unit}--*/*'"),
        ("{unit}/{minute}.jsonl", "--unit-from '{unit}/*'"),
        ("{minute}{unit}.jsonl", "--unit-from with a pattern"),
    ],
)
def test_many_conflicts_say_what_they_mean(tmp_path: Path, form: str, remedy: str) -> None:
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", unit_files(form))})
    before = None
    for _ in range(2):  # and again, with the same words and nothing changed
        with pytest.raises(XfmrError) as error:
            run.featurize()
        message = str(error.value)
        assert "24 records of 12 files share sensor and time" in message
        assert remedy in message
        assert not run.store.exists(run.rows.success_file)
        before = before or outputs(tmp_path / "run")
        assert outputs(tmp_path / "run") == before


def test_a_pattern_that_names_something_else(tmp_path: Path) -> None:
    """Here the month: sensor ids repeat within it as before, and the unit stands in the folder."""
    archive = write_archive(tmp_path / "archive", unit_files("{unit}/2024-03_{minute}.jsonl"))
    with pytest.raises(XfmrError, match=r"within the units that --unit-from '{unit}_\*' names: 24 records") as error:
        Run(tmp_path / "run", {"": archive}, unit_from="{unit}_*").featurize()
    assert "tell where the unit stands: --unit-from '{unit}/*'" in str(error.value)
    assert Run(tmp_path / "run", {"": archive}, unit_from="{unit}/*").featurize().kept == 36


def test_conflicts_that_no_pattern_explains_are_quarantined_if_units_are_named(tmp_path: Path) -> None:
    lines = [line("s", minute % 30, 1 + minute, tank="t1") for minute in range(60)]
    archive = write_archive(tmp_path / "archive", {"a.jsonl": lines})
    counts = Run(tmp_path / "run", {"": archive}, unit_from="field:tank").featurize()
    assert counts == Counts(lines=60, kept=30, quarantined=30, duplicates=0, conflicts=30)


def test_units_that_are_said_to_be_none_leave_conflicts_in_quarantine(archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": archive}, unit_from="none")
    assert run.featurize() == Counts(lines=36, kept=12, quarantined=24, duplicates=0, conflicts=24)
    assert {path for path, _, reason in run.quarantine() if reason == CONFLICT} == {
        f"{unit}_{minute}.jsonl" for unit in UNITS[1:] for minute in range(MINUTES)
    }
    assert {path[:2] for _, path, _ in run.kept()} == {"t1"}


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    lines = [line("s", minute % 3, 1 + minute) for minute in range(6)]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", {"a.jsonl": lines})})
    counts = run.featurize()
    assert counts == Counts(lines=6, kept=3, quarantined=3, duplicates=0, conflicts=3)
    assert "3 quarantined (3 of them repeat a sensor and time with another signal)" in str(counts)
    assert run.quarantine() == [("a.jsonl", n, CONFLICT) for n in (4, 5, 6)]
    (group,) = run.features.groups
    start = run.store.read_table(run.rows.quarantine_file(group)).to_pylist()[0]["start"]
    assert start == "s at 2024-03-01 08:00:00+00:00: kept is a.jsonl, line 1"


def test_a_copy_is_a_duplicate_and_another_signal_a_conflict(tmp_path: Path) -> None:
    lines = [line("s", 0, signal) for signal in (1, 2, 1, 2)]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", {"a.jsonl": lines})})
    assert run.featurize() == Counts(lines=4, kept=1, quarantined=2, duplicates=1, conflicts=2)


@pytest.mark.parametrize("step", ["with_conflicts", "drop_repeated"])
def test_killed_between_quarantine_and_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """At either end of the step: conflicts are written before their rows go, and never twice."""
    files = {f"{i}.jsonl": [line("s", minute, 10 * i + minute + 1) for minute in range(3)] for i in range(3)}
    archive = write_archive(tmp_path / "archive", files)
    undisturbed = Run(tmp_path / "undisturbed", {"": archive})
    counts = undisturbed.featurize()
    run, step_itself = Run(tmp_path / "run", {"": archive}), getattr(row_set, step)

    def killed_after(*args: object) -> None:
        step_itself(*args)
        raise KeyboardInterrupt

    for killed in (Mock(side_effect=KeyboardInterrupt), killed_after):
        with monkeypatch.context() as patch:
            patch.setattr(row_set, step, killed)
            with pytest.raises(KeyboardInterrupt):
                run.featurize()
    assert run.featurize() == counts
    assert outputs(tmp_path / "run") == outputs(tmp_path / "undisturbed")


def test_a_conflict_whose_kept_record_left_the_archive_comes_back(tmp_path: Path) -> None:
    files = {"1.jsonl": [line("s", 0, 1)], "2.jsonl": [line("s", 0, 2), line("s", 1, 3)]}
    archive = write_archive(tmp_path / "archive", files)
    run = Run(tmp_path / "run", {"": archive})
    assert run.featurize() == Counts(lines=3, kept=2, quarantined=1, duplicates=0, conflicts=1)
    (archive / "1.jsonl").unlink()
    assert run.featurize() == Counts(lines=2, kept=2, quarantined=0, duplicates=0)
    assert run.quarantine() == []
