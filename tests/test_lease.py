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

import pytest

from xfmr import lease
from xfmr.errors import XfmrError
from xfmr.lease import LEASE, sole_driver
from xfmr.storage import Store

HOLD = """
import sys, time
from xfmr import lease
from xfmr.storage import Store
if sys.argv[2] == "leased":
    lease.fs.LocalFileSystem = type(None)  # as if the folder were an object store
    lease.BEAT_S, lease.SETTLE_S = 0.05, 0.1
with lease.sole_driver(Store(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
KINDS = ["locked", "leased"]
Use = Callable[[str], None]


@pytest.fixture
def run(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "runs/first"))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make the folder count as a local disk or as an object store."""

    def choose(kind: str) -> None:
        if kind == "leased":
            monkeypatch.setattr(lease.fs, "LocalFileSystem", type(None))
        for name, seconds in {"BEAT_S": 0.05, "PATIENCE_S": 1.0, "SETTLE_S": 0.1}.items():
            monkeypatch.setattr(lease, name, seconds)

    return choose


@pytest.fixture
def restored_interrupt() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def other_driver(run: Store, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Hold the run in another process."""
    command = [sys.executable, "-c", HOLD, run.uri, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_driver_is_refused_in_one_line(use: Use, run: Store, kind: str) -> None:
    use(kind)
    with other_driver(run, kind) as other, pytest.raises(XfmrError) as error, sole_driver(run):
        pass
    who = f"process {other.pid} on {os.uname().nodename}"
    assert str(error.value) == (
        f"run {run.path()} is in the hands of another job ({who}): wait for its end, or stop it first"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_driver_stands_in_nobodys_way(use: Use, run: Store, kind: str) -> None:
    use(kind)
    with other_driver(run, kind) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert run.exists(LEASE)
        with sole_driver(run):
            assert f"process {os.getpid()} on" in run.read(LEASE).decode()
    assert not run.exists(LEASE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_may_be_held_again_by_its_holder_and_no_other_thread(use: Use, run: Store, kind: str) -> None:
    use(kind)
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_lets_the_run_go_and_leaves_nothing(use: Use, run: Store, tmp_path: Path, kind: str) -> None:
    use(kind)
    with pytest.raises(ValueError, match="refused"), sole_driver(run):
        raise ValueError("refused")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_refused_job_leaves_no_empty_run(run: Store) -> None:
    with sole_driver(run):
        pass
    assert not run.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_drivers_that_start_together_one_goes_on(use: Use, run: Store, kind: str) -> None:
    use(kind)
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


def test_a_lock_file_that_its_holder_removes_meanwhile(run: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening a file and locking it, another driver may end: a lock on what it removed guards nothing."""
    lock = lease.fcntl.flock
    calls = []

    def late(file: object, operation: int) -> None:
        calls.append(operation)
        if len(calls) == 1:
            Path(run.path(LEASE)).unlink()
        lock(file, operation)

    monkeypatch.setattr(lease.fcntl, "flock", late)
    with sole_driver(run):
        assert run.exists(LEASE)
    assert len(calls) == 2


@pytest.mark.parametrize("on_interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_a_driver_whose_lease_was_taken_over_stops(
    use: Use, run: Store, restored_interrupt: None, on_interrupt: Callable[..., None]
) -> None:
    """It was paused for so long that it seemed dead; also where Ctrl-C is ignored, as in a script's background."""
    use("leased")
    signal.signal(signal.SIGINT, on_interrupt)

    def be_taken_over() -> None:
        with sole_driver(run):
            # Again and again, as its new driver does: a beat of the old one may be under way.
            for beat in range(3000):
                run.write_json(LEASE, {"holder": "process 1 on elsewhere", "token": "other", "beat": beat})
                time.sleep(0.01)

    with pytest.raises(XfmrError, match=r"in the hands of another job \(process 1 on elsewhere\)"):
        be_taken_over()
    assert run.read_json(LEASE)["token"] == "other"


def test_a_run_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a regular file")
    run, words = Store(str(tmp_path / "file/run")), r"^cannot write .*/file/run/driver\.lock: Not a directory$"
    with pytest.raises(XfmrError, match=words), sole_driver(run):
        pass
