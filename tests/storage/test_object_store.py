"""Files on S3: few requests, and errors that say in one line, and soon, what to do."""

import pickle
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from s3 import ObjectStore

from xfmr.errors import XfmrError
from xfmr.storage import Store
from xfmr.storage.object_store import below, split_file

# pyarrow tries again for six seconds; the rest is for a busy machine.
SOON_S = 30


@pytest.fixture
def run(bucket: str) -> Store:
    store = Store(f"{bucket}/runs/first")
    store.exists()  # what it asks for when it is opened is not counted
    return store


@pytest.fixture
def strict_store(tmp_path: Path) -> Iterator[ObjectStore]:
    """A server that checks credentials, and knows none."""
    with ObjectStore(tmp_path / "strict.log", {"INITIAL_NO_AUTH_ACTION_COUNT": "0"}) as server:
        yield server


def asked(server: ObjectStore, before: int) -> list[str]:
    """Return the requests since, each without its bucket."""
    return [re.sub(r" /[^/]+/", " ", request) for request in server.requests()[before:]]


def failure(run: Store) -> str:
    began = time.monotonic()
    with pytest.raises(XfmrError) as error:
        run.write("settings.yaml", b"seed: 0")
    assert time.monotonic() - began < SOON_S
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_come_back(run: Store) -> None:
    table = pa.table({"a": [1, 2]})
    run.write_table("features/a.parquet", table)
    run.write_json("ledger/a.json", {"lines": 2})
    run.write("large", bytes(12_000_000))  # in parts
    assert run.read_table("features/a.parquet").equals(table)
    assert run.read_json("ledger/a.json") == {"lines": 2}
    assert run.read("large") == bytes(12_000_000)
    assert [info.base_name for info in run.files()] == ["a.parquet", "large", "a.json"]
    assert run.find("absent") is run.find_json("absent") is None
    assert run.folders("") == ["features", "ledger"]


def test_each_step_is_a_request_or_two(run: Store, object_store: ObjectStore) -> None:
    before = len(object_store.requests())
    run.write("ledger/a/b.json", b"{}")
    run.find("ledger/c.json")
    run.read("ledger/a/b.json")
    run.files("ledger")
    run.sweep("ledger")
    assert asked(object_store, before) == [
        "PUT runs/first/ledger/a/b.json",
        "HEAD runs/first/ledger/c.json",
        "HEAD runs/first/ledger/a/b.json",
        "GET runs/first/ledger/a/b.json",
        "LIST runs/first/ledger/",
    ]


def test_removing(run: Store) -> None:
    for name in ("a/1", "a/b/2", "c"):
        run.write(name, b"x")
    run.remove("c")
    run.remove("c")
    run.remove_folder("a")
    run.remove_folder("a")
    assert run.files() == []


def test_a_worker_finds_the_endpoint_of_its_driver(run: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run.write("a", b"x")
    sent = pickle.dumps(run)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert pickle.loads(sent).read("a") == b"x"


def test_a_bucket_that_is_not_there(bucket: str) -> None:
    assert failure(Store(f"{bucket}-x/run")) == (
        f"cannot write {bucket[5:]}-x/run/settings.yaml: there is no such bucket: check its name"
    )


def test_credentials_that_are_not_known(strict_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in strict_store.environment.items():
        monkeypatch.setenv(name, value)
    words = failure(Store("s3://bucket/run"))
    assert words.endswith("the access key is not known there: check AWS_ACCESS_KEY_ID or AWS_PROFILE")


def test_an_endpoint_that_is_down(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    words = failure(Store(f"{bucket}/run"))
    assert words.endswith("no answer: check the network, and AWS_ENDPOINT_URL where it is set")


def test_options_of_a_uri_stay_with_it() -> None:
    assert below("s3://bucket/run?region=x", "a/b") == "s3://bucket/run/a/b?region=x"
    assert split_file("s3://bucket/run/new.jsonl?region=x") == ("s3://bucket/run?region=x", "new.jsonl")
    assert below("/data/what?", "a") == "/data/what?/a"
    assert split_file("/new.jsonl") == ("/", "new.jsonl")
