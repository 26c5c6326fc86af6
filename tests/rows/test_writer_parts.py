"""Long files in parts: the rows are those of the whole file, whatever its form and however it was cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from archives import Run, line, write_archive
from processes import outputs

from xfmr.archive import plan
from xfmr.rows.row_set import Counts

N_LINES = 60


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut files into parts of 5 kB, about two lines; in earnest they have 2 MB or more."""
    monkeypatch.setattr(plan, "SMALLEST_GROUP", 5000)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One long file with damage, blank lines, duplicates within it and of a short file, and a line over parts."""
    lines = [line("s1", minute % 50, 1 + minute % 50 % 7) for minute in range(N_LINES)]
    lines[7:7] = [b"{", b"", b"  ", b"{" + b" " * 12_000 + b"}"]
    return write_archive(tmp_path / "archive", {"long.jsonl": lines, "short.jsonl": [line("s1", 3, 4), b"["]})


def content(run: Run) -> tuple[list[dict[str, Any]], list[tuple[str, int, str]]]:
    rows = run.table("path", "line", "n_samples", "log_spectrum").to_pylist()
    return sorted(rows, key=lambda row: (row["path"], row["line"])), run.quarantine()


def test_rows_and_line_numbers_are_those_of_the_whole_file(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = Run(tmp_path / "cut", {"": archive})
    counts = cut.featurize()
    assert len(cut.features.groups) > 20
    with monkeypatch.context() as patch:
        patch.setattr(plan, "SMALLEST_GROUP", 10**9)
        whole = Run(tmp_path / "whole", {"": archive})
        assert whole.featurize() == counts == Counts(N_LINES + 4, 50, 3, 11)
    assert content(cut) == content(whole)
    assert cut.quarantine() == [
        ("long.jsonl", 8, "invalid_json"),
        ("long.jsonl", 11, "missing_sensor_id"),
        ("short.jsonl", 2, "invalid_json"),
    ]


def test_the_outputs_are_the_same_on_an_object_store(archive: Path, tmp_path: Path, bucket: str) -> None:
    """Where rows are collected in a file of this machine first, and then put in place."""
    Run(tmp_path / "disk", {"": archive}).featurize()
    stored = Run(f"{bucket}/run", {"": archive})
    stored.featurize()
    names = [info.path.removeprefix(stored.store.path() + "/") for info in stored.store.files()]
    assert {name: stored.store.read(name) for name in names} == outputs(tmp_path / "disk")


def test_parts_keep_their_groups_and_numbers(archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": archive})
    run.featurize()
    before = outputs(tmp_path / "run")
    run.featurize()
    assert outputs(tmp_path / "run") == before
    write_archive(archive, {"z.jsonl": [line("s1", 70, 1)]})
    run.featurize()
    changed = set(outputs(tmp_path / "run").items()) - set(before.items())
    assert len({Path(name).stem for name, _ in changed} - {"manifest", "_SUCCESS"}) == 1


def test_a_file_that_changed_is_cut_anew(archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": archive})
    run.featurize()
    old = {group.name for group in run.ledger.read_plan() if group.part}
    data = (archive / "long.jsonl").read_bytes()
    (archive / "long.jsonl").write_bytes(line("s9", 0, 1) + b"\n" + data)
    assert run.featurize() == Counts(N_LINES + 5, 51, 3, 11)
    assert not old & set(run.features.groups)
    assert max(number for _, _, number in run.kept()) == N_LINES + 1 + 4 - 10


def test_parts_of_a_file_that_vanished_are_quarantined(archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": archive})
    groups = run.plan()
    (archive / "long.jsonl").unlink()
    run.process(groups)
    reasons = {
        row["reason"]
        for group in groups
        if group.part
        for row in run.store.read_table(run.rows.quarantine_file(group.name)).to_pylist()
    }
    assert reasons == {"unreadable_file"}
