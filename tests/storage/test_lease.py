"""A run has one driver at a time, and a driver that was killed stands in nobody's way."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from xfmr.errors import XfmrError
from xfmr.storage import Store, lease
from xfmr.storage.lease import LEASE, confirm_sole, sole_driver

HOLD = """
import sys, time
from xfmr.storage import lease
from xfmr.storage import Store
lease.BEAT_S, lease.SETTLE_S = map(float, sys.argv[2:])
with lease.sole_driver(Store(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
SECONDS = {"BEAT_S": 0.2, "PATIENCE_S": 3.0, "SETTLE_S": 1.0}


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "runs/first"))


@pytest.fixture
def remote(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A run on an object store, where all goes more quickly than usual."""
    for name, seconds in SECONDS.items():
        monkeypatch.setattr(lease, name, seconds)
    return Store(f"{bucket}/runs/first")


@pytest.fixture(params=["local", "remote"])
def run(request: pytest.FixtureRequest) -> Store:
    """A run on this machine's disk, and one on an object store."""
    return cast(Store, request.getfixturevalue(request.param))


@pytest.fixture
def restored_interrupt() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def other_driver(run: Store) -> Iterator[subprocess.Popen[str]]:
    """Hold the run in another process."""
    command = [sys.executable, "-c", HOLD, run.uri, *(str(SECONDS[name]) for name in ("BEAT_S", "SETTLE_S"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_driver_is_refused_in_one_line(run: Store) -> None:
    with other_driver(run) as other, pytest.raises(XfmrError) as error, sole_driver(run):
        pass
    who = f"process {other.pid} on {os.uname().nodename}"
    assert str(error.value) == (
        f"run {run.path()} is in the hands of another job ({who}): wait for its end, or stop it first"
    )


def test_a_killed_driver_stands_in_nobodys_way(run: Store) -> None:
    with other_driver(run) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert run.exists(LEASE)
        with sole_driver(run):
            assert f"process {os.getpid()} on" in run.read(LEASE).decode()
    assert not run.exists(LEASE)


def test_a_run_may_be_held_again_by_its_holder_and_no_other_thread(run: Store) -> None:
    refused = []

    def other() -> None:
        try:
            with sole_driver(run):
                pass
        except XfmrError as error:
            refused.append(error)

    with sole_driver(run):
        with sole_driver(run):
            pass
        assert run.exists(LEASE)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert not run.exists(LEASE)


def test_a_failure_lets_the_run_go_and_leaves_nothing(run: Store) -> None:
    with pytest.raises(ValueError, match="refused"), sole_driver(run):
        raise ValueError("refused")
    assert run.files() == []


def test_a_refused_job_leaves_no_empty_run(local: Store) -> None:
    with sole_driver(local):
        pass
    assert not local.exists()


def test_of_many_drivers_that_start_together_one_goes_on(run: Store) -> None:
    came_in, refused = [], []
    start = threading.Barrier(8)

    def drive() -> None:
        start.wait()
        try:
            with sole_driver(run):
                came_in.append(time.monotonic())
                time.sleep(2)
        except XfmrError as error:
            refused.append(error)

    threads = [threading.Thread(target=drive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(came_in), len(refused)) == (1, 7)


def test_a_lock_file_that_its_holder_removes_meanwhile(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening a file and locking it, another driver may end: a lock on what it removed guards nothing."""
    lock = lease.fcntl.flock
    calls = []

    def late(file: object, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            Path(local.path(LEASE)).unlink()
        lock(file, operation)

    monkeypatch.setattr(lease.fcntl, "flock", late)
    with sole_driver(local):
        assert local.exists(LEASE)
    assert len(calls) == 2


@pytest.mark.parametrize("on_interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_a_driver_whose_lease_was_taken_over_stops(
    remote: Store, restored_interrupt: None, on_interrupt: Callable[..., None]
) -> None:
    """It was paused for so long that it seemed dead; also where Ctrl-C is ignored, as in a script's background."""
    signal.signal(signal.SIGINT, on_interrupt)

    def be_taken_over() -> None:
        with sole_driver(remote):
            # Again and again, as its new driver does: a beat of the old one may be under way.
            for beat in range(3000):
                remote.write_json(LEASE, {"holder": "process 1 on elsewhere", "token": "other", "beat": beat})
                time.sleep(0.01)

    with pytest.raises(XfmrError, match=r"in the hands of another job \(process 1 on elsewhere\)"):
        be_taken_over()
    assert remote.read_json(LEASE)["token"] == "other"


def test_what_another_driver_has_taken_over_is_not_removed(remote: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 60.0)

    def be_taken_over() -> None:
        with sole_driver(remote):
            confirm_sole(remote)
            remote.write_json(LEASE, {"holder": "process 1 on elsewhere", "token": "other"})
            confirm_sole(remote)

    with pytest.raises(XfmrError, match=r"another job \(process 1 on elsewhere\)"):
        be_taken_over()


def test_a_run_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a regular file")
    run, words = Store(str(tmp_path / "file/run")), r"^cannot write .*/file/run/driver\.lock: Not a directory$"
    with pytest.raises(XfmrError, match=words), sole_driver(run):
        pass
