"""Archives are named and listed."""

import gzip
import os
from pathlib import Path

import pytest
from archives import write_archive

from xfmr.archive import check_apart, list_archive, listing, parse_archives
from xfmr.errors import XfmrError


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


def test_hidden_folders_are_not_read(tmp_path: Path) -> None:
    write_archive(tmp_path, {"1.jsonl": [], ".snapshot/1.jsonl": []})
    assert [file.path for file in list_archive("", str(tmp_path))] == ["1.jsonl"]


def test_what_links_lead_to_is_read_once(tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", {"a/1.jsonl": [b"{}"], "a/b/2.jsonl": [b"{}"]})
    (tmp_path / "archive/loop").symlink_to(".", target_is_directory=True)
    (tmp_path / "archive/a/b/up").symlink_to("../..", target_is_directory=True)
    for name in ("0", "a/0", "z"):
        (tmp_path / "archive" / name).symlink_to(tmp_path / "archive/a/b", target_is_directory=True)
    write_archive(tmp_path / "elsewhere", {"3.jsonl": [b"{}"]})
    for name in ("further", "later"):
        (tmp_path / "archive" / name).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    names = [file.path for file in list_archive("", str(tmp_path / "archive"))]
    assert sorted(names) == ["a/1.jsonl", "a/b/2.jsonl", "further/3.jsonl"]


@pytest.mark.parametrize("run", ["archive", "archive/run", "archive/a/../run"])
def test_a_run_does_not_lie_in_its_archive(tmp_path: Path, run: str) -> None:
    archives = {"": str(tmp_path / "other"), "north": str(tmp_path / "archive")}
    for apart in ("", str(tmp_path / "run"), str(tmp_path / "archive-run")):
        check_apart(archives, apart)
    with pytest.raises(XfmrError, match=r"lies in the archive [^\n]*/archive, which would come to hold"):
        check_apart(archives, str(tmp_path / run))


@pytest.mark.parametrize("argument", ["", "north="])
def test_an_archive_needs_a_place(argument: str) -> None:
    with pytest.raises(XfmrError, match="--archive"):
        parse_archives([argument])


@pytest.mark.parametrize("at_a_time", [1, 3, 5, 100])
@pytest.mark.parametrize("place", ["disk", "object store"])
def test_folders_are_listed_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, place: str, at_a_time: int
) -> None:
    """However many levels are opened before the rest is listed at once, every file is found and counted once."""
    monkeypatch.setattr(listing, "_FOLDERS_AT_A_TIME", at_a_time)
    names = [
        "top.jsonl",
        *(f"u{u}/d{d}/{i}.jsonl" for u in range(4) for d in range(u) for i in range(3)),
        "u1/x.json",
    ]
    write_archive(tmp_path, {name: [b"{}"] for name in names} | {"u2/d0/notes.txt": []})
    uri = str(tmp_path)
    if place == "object store":
        uri = f"{request.getfixturevalue('bucket')}/archive"
        request.getfixturevalue("object_store").upload(tmp_path, uri)
    counts: list[int] = []
    listed = list_archive("", uri, found=counts.append)
    assert [file.path for file in listed] == sorted(names)
    assert sum(counts) == len(names)
