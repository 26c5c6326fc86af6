"""Archives are listed, grouped and accounted for, whatever the order in which files are met."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest
from archives import write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.archive import (
    FEWEST_GROUPS,
    SMALLEST_GROUP,
    ArchiveFile,
    Group,
    Ledger,
    Receipt,
    list_archive,
    parse_archives,
    plan_groups,
)
from xfmr.errors import XfmrError
from xfmr.storage import Store

MB = 1_000_000

files = st.builds(
    ArchiveFile,
    fleet=st.sampled_from(["", "north", "süd"]),
    path=st.text("ab/ü.", min_size=1, max_size=6),
    size=st.integers(0, 5 * MB),
    mtime_ns=st.integers(0, 2**62),
)
archives_of_files = st.lists(files, min_size=1, max_size=30, unique_by=lambda file: (file.fleet, file.path))


def many(n: int, size: int, *, first: int = 0) -> list[ArchiveFile]:
    return [ArchiveFile("", f"f{i:04}.jsonl", size, 7) for i in range(first, first + n)]


def files_of(groups: list[Group]) -> list[ArchiveFile]:
    return [file for group in groups for file in group.files]


def test_parse_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path)
    assert parse_archives(["a"]) == {"": f"{here}/a"}
    assert parse_archives(["north=a", "south=s3://b/c", "d"]) == {
        "north": f"{here}/a",
        "south": "s3://b/c",
        "": f"{here}/d",
    }


def test_an_equals_sign_behind_a_slash_names_no_fleet(tmp_path: Path) -> None:
    assert parse_archives([f"{tmp_path}/date=2024"]) == {"": f"{tmp_path}/date=2024"}
    assert parse_archives(["s3://b?region=x"]) == {"": "s3://b?region=x"}
    assert parse_archives(["n=s3://b?region=x"]) == {"n": "s3://b?region=x"}


@pytest.mark.parametrize("arguments", [["a", "b"], ["x=a", "x=b"], ["x=a", "y=b", "x=c"]])
def test_two_archives_need_two_names(arguments: list[str]) -> None:
    with pytest.raises(XfmrError, match=rf"--archive {arguments[-1]}: two archives need two names"):
        parse_archives(arguments)


def test_list_archive(tmp_path: Path) -> None:
    names = ["b.jsonl", "a/deep/er/c.JSON", "a/d.jsonl.gz", "a b/%20.json.gz"]
    others = ["labels.csv", "a/.hidden.jsonl", "notes.txt", "a/e.jsonl.bz2", "jsonl"]
    write_archive(tmp_path, {name: [b"{}"] for name in [*names, *others]})
    listed = list_archive("north", str(tmp_path))
    assert [file.path for file in listed] == sorted(names)
    assert {(file.fleet, file.size) for file in listed} == {("north", 3)}
    os.utime(tmp_path / "b.jsonl", ns=(0, 123_000_000_000))
    assert [file.mtime_ns for file in list_archive("", str(tmp_path)) if file.path == "b.jsonl"] == [123_000_000_000]


def test_the_form_of_the_root_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "archive", {"a/b.jsonl": []})
    monkeypatch.chdir(tmp_path)
    expected = list_archive("", str(tmp_path / "archive"))
    assert [file.path for file in expected] == ["a/b.jsonl"]
    for uri in ["archive", "archive/", f"{tmp_path}/archive/", f"file://{tmp_path}/archive"]:
        assert list_archive("", uri) == expected


def test_an_archive_that_is_missing_or_empty(tmp_path: Path) -> None:
    with pytest.raises(XfmrError, match=r"archive .*/absent does not exist: check the path"):
        list_archive("", str(tmp_path / "absent"))
    write_archive(tmp_path / "other", {"notes.txt": []})
    with pytest.raises(XfmrError, match=r"archive .*/other holds no \.jsonl"):
        list_archive("", str(tmp_path / "other"))
    (tmp_path / "file.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(XfmrError, match=r"cannot list .*/file.jsonl.gz"):
        list_archive("", str(tmp_path / "file.jsonl.gz"))


@given(archive=archives_of_files, group_bytes=st.integers(1, 10 * MB), data=st.data())
@settings(max_examples=50, deadline=None)
def test_every_file_is_in_one_group_whatever_the_order(
    archive: list[ArchiveFile], group_bytes: int, data: st.DataObject
) -> None:
    groups = plan_groups(archive, key="k", group_bytes=group_bytes)
    assert files_of(groups) == sorted(archive)
    assert len({group.name for group in groups}) == len(groups)
    assert all(group.n_bytes - group.files[-1].size < group_bytes for group in groups)
    shuffled = data.draw(st.permutations(archive))
    assert plan_groups(shuffled, key="k", group_bytes=group_bytes) == groups


@given(archive=archives_of_files, other=st.text(max_size=5).filter(lambda text: text != "k"))
@settings(max_examples=30, deadline=None)
def test_names_depend_on_the_key(archive: list[ArchiveFile], other: str) -> None:
    names = [{g.name for g in plan_groups(archive, key=key, group_bytes=MB)} for key in ("k", other)]
    assert not names[0] & names[1]


@given(
    archive=archives_of_files,
    which=st.integers(0, 29),
    field=st.sampled_from(["fleet", "path", "size", "mtime_ns"]),
)
@settings(max_examples=50, deadline=None)
def test_only_the_group_of_a_changed_file_is_planned_anew(archive: list[ArchiveFile], which: int, field: str) -> None:
    before = plan_groups(archive, key="k", group_bytes=2 * MB)
    old = archive[which % len(archive)]
    value = getattr(old, field)
    changed = replace(old, **{field: value + (1 if isinstance(value, int) else "changed")})
    now = [changed if file == old else file for file in archive]
    after = plan_groups(now, known=before, key="k", group_bytes=2 * MB)
    untouched = {group.name for group in before if old not in group.files}
    assert len(untouched) == len(before) - 1
    assert untouched < {group.name for group in after}
    assert sorted(files_of(after)) == sorted(now)


@given(archive=archives_of_files, new=archives_of_files)
@settings(max_examples=30, deadline=None)
def test_appended_files_leave_the_old_groups(archive: list[ArchiveFile], new: list[ArchiveFile]) -> None:
    before = plan_groups(archive, key="k", group_bytes=2 * MB)
    later = [replace(file, fleet="later") for file in new]
    after = plan_groups([*later, *archive], known=before, key="k", group_bytes=2 * MB)
    assert set(before) <= set(after)
    assert sorted(files_of(after)) == sorted([*archive, *later])
    assert plan_groups([*archive, *later], known=after, key="k", group_bytes=MB) == after


def test_groups_are_balanced_by_bytes() -> None:
    groups = plan_groups(many(1000, MB), key="", group_bytes=50 * MB)
    assert [group.n_bytes for group in groups] == [50 * MB] * 20
    uneven = [replace(file, size=(i % 7) * MB) for i, file in enumerate(many(1000, MB))]
    sizes = [group.n_bytes for group in plan_groups(uneven, key="", group_bytes=50 * MB)]
    assert all(50 * MB <= size < 56 * MB for size in sizes[:-1])


def test_a_small_archive_still_makes_enough_groups() -> None:
    assert len(plan_groups(many(320, MB), key="", group_bytes=100 * MB)) == FEWEST_GROUPS


def test_a_tiny_archive_makes_no_tiny_groups() -> None:
    groups = plan_groups(many(40, MB // 10), key="", group_bytes=100 * MB)
    assert [group.n_bytes for group in groups] == [SMALLEST_GROUP, SMALLEST_GROUP]


@given(archive=archives_of_files)
@settings(max_examples=30, deadline=None)
def test_a_group_survives_the_way_to_a_worker(archive: list[ArchiveFile]) -> None:
    for group in plan_groups(archive, key="k", group_bytes=MB):
        assert Group.from_json(group.to_json()) == group


def test_ledger_round_trip(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    assert ledger.read_plan() == []
    assert ledger.receipts() == {}
    groups = plan_groups(many(40, MB), key="k", group_bytes=10 * MB)
    ledger.write_plan(groups)
    assert ledger.read_plan() == groups
    receipt = Receipt(groups[1].name, lines=5, records=3, quarantined=2)
    ledger.sign(receipt)
    assert ledger.receipts() == {groups[1].name: receipt}


def test_a_receipt_counts_only_while_its_group_is_planned(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    groups = plan_groups(many(40, MB), key="k", group_bytes=10 * MB)
    ledger.write_plan(groups)
    for group in groups:
        ledger.sign(Receipt(group.name, 1, 1, 0))
    ledger.write_plan(groups[1:])
    assert set(ledger.receipts()) == {group.name for group in groups[1:]}


def test_known_groups_of_another_key_are_planned_anew() -> None:
    files = [ArchiveFile("", "a.jsonl", 1, 1)]
    before = plan_groups(files, key="features 1", group_bytes=1)
    assert plan_groups(files, known=before, key="features 2", group_bytes=1) == plan_groups(
        files, key="features 2", group_bytes=1
    )


def test_hidden_folders_are_not_read(tmp_path: Path) -> None:
    write_archive(tmp_path, {"1.jsonl": [], ".snapshot/1.jsonl": []})
    assert [file.path for file in list_archive("", str(tmp_path))] == ["1.jsonl"]


@pytest.mark.parametrize("argument", ["", "north="])
def test_an_archive_needs_a_place(argument: str) -> None:
    with pytest.raises(XfmrError, match="--archive"):
        parse_archives([argument])
