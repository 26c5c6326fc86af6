"""Several sets of features in one run: each whole beside the others, one of them the run's."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from archives import Run, fleet_files, line, write_archive
from processes import outputs

from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.storage import Store

MakeRun = Callable[[int], Run]
SUCCESS = "features/_SUCCESS.json"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    copies = {"day/z.jsonl": [line("s1", 0, 77)]}
    return write_archive(tmp_path / "archive", fleet_files(minutes=3) | copies)


@pytest.fixture
def run_of(tmp_path: Path, archive: Path) -> MakeRun:
    """The same run folder, asked for records of a length."""
    return lambda record_length: Run(tmp_path / "run", {"": archive}, record_length=record_length)


def lengths(run: Run) -> set[int]:
    """Return the lengths of the signals that readers of the run find."""
    return {table.schema.field("signal").type.list_size for table in run.features.tables(["signal"])}


def under(folder: Path, *names: str) -> dict[str, bytes]:
    return {path: data for path, data in outputs(folder).items() if path.startswith(names)}


def test_a_new_set_stands_beside_the_old_one(run_of: MakeRun, tmp_path: Path) -> None:
    long, short = run_of(8192), run_of(4096)
    counts = long.featurize()
    old_groups, old = long.features.groups, outputs(tmp_path / "run")
    assert short.featurize() == counts
    assert lengths(short) == {4096}
    assert not set(short.features.groups) & set(old_groups)
    kept = {name: data for name, data in old.items() if name not in ("manifest.parquet", SUCCESS)}
    assert kept.items() < outputs(tmp_path / "run").items()


def test_switching_back_makes_nothing_anew(run_of: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_of(8192).featurize()
    first = under(tmp_path / "run", SUCCESS)
    run_of(4096).featurize()
    rows = under(tmp_path / "run", "features/", "quarantine/", "ledger/")
    monkeypatch.setattr("xfmr.rows.duplicates.write_rows", Mock(side_effect=AssertionError))
    again = run_of(8192)
    assert {group.name for group in again.plan()} <= set(again.ledger.signed())
    again.close()
    assert lengths(again) == {8192}
    assert under(tmp_path / "run", "features/", "quarantine/", "ledger/") == rows | first


@pytest.mark.parametrize("n_done", [0, 2, 4])
def test_a_killed_switch_leaves_the_old_set(run_of: MakeRun, n_done: int) -> None:
    old, new = run_of(8192), run_of(4096)
    counts = old.featurize()
    kept = old.kept()
    new.process(new.plan()[:n_done])
    assert (lengths(old), old.kept()) == ({8192}, kept)
    assert new.featurize() == counts
    assert (lengths(old), old.kept()) == ({4096}, kept)


def test_a_switch_killed_while_closing(run_of: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = run_of(8192), run_of(4096)
    counts = old.featurize()
    kept = old.kept()
    new.process(new.plan())
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_json", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            new.close()
    assert (lengths(old), old.kept()) == ({8192}, kept)
    assert new.close() == counts
    assert (lengths(old), old.kept()) == ({4096}, kept)


def test_a_switch_that_finds_no_record_leaves_the_old_set(run_of: MakeRun, archive: Path) -> None:
    old, new = run_of(8192), run_of(4096)
    old.featurize()
    for path in archive.rglob("*.jsonl"):
        path.write_bytes(b"{")
    with pytest.raises(XfmrError, match="no usable record"):
        new.featurize()
    assert lengths(old) == {8192}


def test_files_that_came_meanwhile_join_the_set_that_is_switched_to(run_of: MakeRun, archive: Path) -> None:
    run_of(8192).featurize()
    run_of(4096).featurize()
    write_archive(archive, {"later.jsonl": [line("s1", 50, 8)]})
    (archive / "day/m00.jsonl").unlink()
    again = run_of(8192)
    to_do = [group for group in again.plan() if group.name not in again.ledger.signed()]
    # The new file, and the one whose duplicate may stay now.
    assert [group.files[0].path for group in to_do] == ["day/z.jsonl", "later.jsonl"]
    assert again.featurize().kept == 6
    assert lengths(again) == {8192}
    assert {path for _, path, _ in again.kept()} == {f"day/{n}.jsonl" for n in ("m01", "m02", "z")} | {"later.jsonl"}


def test_the_other_sets_can_be_removed(run_of: MakeRun, tmp_path: Path, archive: Path) -> None:
    run_of(8192).featurize()
    new = run_of(4096)
    new.process(new.plan())
    new.close(only_set=True)
    alone = Run(tmp_path / "alone", {"": archive}, record_length=4096)
    alone.featurize()
    assert outputs(tmp_path / "run") == outputs(tmp_path / "alone")


def test_files_that_come_back_are_read_again(tmp_path: Path) -> None:
    """Their group has its old name, but neither outputs nor a receipt are left of it."""
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [line("s", 0, 1)], "b.jsonl": [line("s", 1, 2)]})
    run = Run(tmp_path / "run", {"": archive})
    counts = run.featurize()
    (archive / "b.jsonl").rename(tmp_path / "b.jsonl")
    run.featurize()
    (tmp_path / "b.jsonl").rename(archive / "b.jsonl")
    assert run.featurize() == counts


def test_a_group_that_is_made_anew_takes_the_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its duplicates are back until the set is closed, even if the archive then is as it was."""
    files = {"1.jsonl": [line("s", 0, 1)], "2.jsonl": [line("s", 0, 1), line("s", 1, 2)]}
    archive = write_archive(tmp_path / "archive", files)
    run = Run(tmp_path / "run", {"": archive})
    counts = run.featurize()
    (archive / "1.jsonl").rename(tmp_path / "1.jsonl")
    run.process(run.plan())
    with pytest.raises(XfmrError, match=r"run jobs\.featurize"):
        FeatureSet(run.store)
    (tmp_path / "1.jsonl").rename(archive / "1.jsonl")
    assert run.featurize() == counts


def test_readers_learn_what_the_set_was_made_with(run_of: MakeRun) -> None:
    run = run_of(8192)
    assert run.rows.made_with() == {}
    run.process(run.plan())
    run.rows.close(made_with={"record_length": 8192})
    assert run.rows.made_with() == {"record_length": 8192}
