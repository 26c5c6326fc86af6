"""Files of a store appear whole or not at all."""

from pathlib import Path

import pyarrow as pa
import pytest
from disks import largest_file

from xfmr.errors import XfmrError
from xfmr.storage import Store, absolute_uri


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "run"))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def one_line(error: pytest.ExceptionInfo[XfmrError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_write_makes_folders_replaces_and_leaves_nothing_else(store: Store, tmp_path: Path) -> None:
    store.write("a/b/c.txt", b"first")
    store.write("a/b/c.txt", b"second")
    assert store.read("a/b/c.txt") == b"second"
    assert names(tmp_path) == ["run/a/b/c.txt"]


def test_a_write_that_fails_leaves_the_old_content(store: Store) -> None:
    store.write("table", b"whole")
    with largest_file(2**20), pytest.raises(XfmrError) as error:
        store.write("table", bytes(2**21))
    assert f"cannot write {store.path('table')}" in one_line(error)
    assert store.read("table") == b"whole"
    assert [info.base_name for info in store.files(hidden=True)] == ["table"]


@pytest.fixture(params=["disk", "object store"])
def anywhere(request: pytest.FixtureRequest, store: Store) -> Store:
    """A store on this machine's disk, and one on an object store, where files are put and not renamed."""
    return store if request.param == "disk" else Store(f"{request.getfixturevalue('bucket')}/run")


def base_names(store: Store) -> list[str]:
    return [info.base_name for info in store.files(hidden=True)]


def test_what_is_written_piece_by_piece_appears_at_the_end(anywhere: Store) -> None:
    with anywhere.writing("a/b") as stream:
        for _ in range(40):
            stream.write(bytes(2**18))
        assert all(name.startswith(".b.") for name in base_names(anywhere))
    assert anywhere.read("a/b") == bytes(40 * 2**18)
    assert base_names(anywhere) == ["b"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_cannot_be_finished_does_not_appear(anywhere: Store, error: type[BaseException]) -> None:
    anywhere.write("a", b"before")

    def fail() -> None:
        with anywhere.writing("a") as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert base_names(anywhere) == ["a"]
    assert anywhere.read("a") == b"before"


def test_sweep_removes_only_what_writers_left_where_it_is_told(store: Store, tmp_path: Path) -> None:
    kept = ["run/.hidden", "run/a/visible.tmp", "run/a/table.parquet", "run/others/.table.89.tmp"]
    for name in [*kept, "run/.table.0123.tmp", "run/a/.table.4567.tmp", "run/a/b/.table.67.tmp"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    store.sweep("a", "nothing")
    assert names(tmp_path) == sorted(kept)


def test_sweep_of_a_store_that_is_not_there(store: Store) -> None:
    store.sweep()
    assert not store.exists()


def test_files_are_listed_at_any_depth_in_order_without_hidden_ones(store: Store) -> None:
    for name in ["b/2", "a/3", "1", "a/.part.tmp"]:
        store.write(name, b"")
    root = store.path()
    assert [info.path.removeprefix(root) for info in store.files()] == ["/1", "/a/3", "/b/2"]
    assert [info.base_name for info in store.files("a", hidden=True)] == [".part.tmp", "3"]
    assert store.files("nothing") == []


@pytest.mark.parametrize("uri", ["nonsense://bucket/run", "s4://bucket", "://", "http://host/run"])
def test_unknown_scheme(uri: str) -> None:
    with pytest.raises(XfmrError) as error:
        Store(uri).exists("settings.yaml")
    assert one_line(error).startswith(f"{uri}: not a path or URI")


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(str(tmp_path / "file" / "run"))
    with pytest.raises(XfmrError) as error:
        store.write("settings.yaml", b"")
    assert f"cannot write {store.path('settings.yaml')}" in one_line(error)


def test_what_is_missing_is_named(store: Store) -> None:
    for read in (store.read, store.read_json, store.read_table):
        with pytest.raises(XfmrError) as error:
            read("absent")
        assert f"cannot read {store.path('absent')}" in one_line(error)


def test_what_is_damaged_is_named(store: Store) -> None:
    store.write("damaged", b'{"key": ')
    for read in (store.read_json, store.read_table):
        with pytest.raises(XfmrError) as error:
            read("damaged")
        assert store.path("damaged") in one_line(error)


def test_compressed_files_are_read_as_they_are(store: Store) -> None:
    store.write("lines.jsonl.gz", b"\x1f\x8b still compressed")
    assert store.read("lines.jsonl.gz") == b"\x1f\x8b still compressed"


def test_json_and_tables_come_back(store: Store) -> None:
    store.write_json("value.json", {"ö": [1, None]})
    assert store.read_json("value.json") == {"ö": [1, None]}
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    store.write_table("table.parquet", table)
    assert store.read_table("table.parquet").equals(table)
    assert store.read_table("table.parquet", columns=["b"]).column_names == ["b"]


def test_remove_is_content_with_nothing(store: Store) -> None:
    store.write("a", b"")
    store.remove("a")
    store.remove("a")
    assert not store.exists("a")


def test_paths_are_not_decoded_as_uris_are(tmp_path: Path) -> None:
    """A local path is taken as it stands, whatever a URI would make of it."""
    store = Store(str(tmp_path / "a b%20c#d?e"))
    store.write("file", b"")
    assert (tmp_path / "a b%20c#d?e" / "file").exists()


def test_absolute_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("s3://bucket/a") == "s3://bucket/a"
    assert absolute_uri("a/../b") == str(tmp_path / "b")
    assert absolute_uri("~/a") == str(Path.home() / "a")
