"""A lock or a lease on a run, so that only one driver changes it at a time.

On a local or shared disk, the driver holds a file lock of the operating system, which is released when its process
ends, however it ends. An object store has no locks: there the driver holds a lease, a small file that it renews every
few seconds. A driver that finds another's lease polls it. A lease that is no longer renewed belongs to a killed
driver and is taken over. Clocks are not compared.

pyarrow has no conditional PUT. Two drivers that start together therefore both write, and read again after
:data:`SETTLE_S`: the last writer keeps the run. If a PUT takes longer than that, or a driver sleeps for
:data:`PATIENCE_S` and wakes up, there are two drivers for at most :data:`BEAT_S`, until the first one's next renewal.
They do no harm. Files are named after the origin of their content, so both drivers write the same content in the same
place. Before removing anything, a driver checks that it still holds the run (:func:`confirm_sole`).
"""

from __future__ import annotations

import fcntl
import io
import os
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from types import MappingProxyType
from typing import Any

from xfmr.errors import XfmrError
from xfmr.storage.store import Store

LEASE = "driver.lock"

BEAT_S = 5.0
"""Interval at which a driver renews its lease."""

PATIENCE_S = 30.0
"""Time without renewal after which a lease expires."""

SETTLE_S = 2.0
"""Time that two drivers need to see each other's lease if they start together."""

_TAKEN_OVER = signal.SIGUSR1

_HELD: ContextVar[Mapping[str, _Lease | None]] = ContextVar("_HELD", default=MappingProxyType({}))


@contextmanager
def sole_driver(store: Store) -> Iterator[None]:
    """Hold a run until the block ends; calls for the same run may be nested.

    Raises:
        XfmrError: If another driver holds the run, or took it over because this one seemed dead.
    """
    if store.uri in _HELD.get():
        yield
        return
    hold: Callable[[Store], AbstractContextManager[_Lease | None]] = _locked if store.is_local else _leased
    with hold(store) as lease:
        token = _HELD.set({**_HELD.get(), store.uri: lease})
        try:
            yield
        finally:
            _HELD.reset(token)


def confirm_sole(store: Store) -> None:
    """Check that this driver still holds a run, before it removes files that another driver might need.

    Raises:
        XfmrError: If another driver has taken over the run.
    """
    lease = _HELD.get().get(store.uri)
    if lease is not None and not lease.is_mine():
        raise _refusal(store, lease.holder())


@contextmanager
def _locked(store: Store) -> Iterator[None]:
    path = Path(store.path(LEASE))
    try:
        file = _lock(path)
    except BlockingIOError:
        raise _refusal(store, _read_holder(path)) from None
    except OSError as error:
        raise XfmrError(f"cannot write {path}: {error.strerror}") from error
    with file:
        # The lock counts, not the file's text: if the disk is full, the job fails later with a better message.
        with suppress(OSError):
            file.truncate(0)
            file.write(_me().encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            # A job that failed before it wrote anything leaves no empty run.
            with suppress(OSError):
                path.parent.rmdir()


def _lock(path: Path) -> io.FileIO:
    """Create a file and lock it.

    Raises:
        BlockingIOError: If another process holds the lock.
        OSError: If the file cannot be created.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        # If the last holder removed the file after it was opened here, this lock excludes nobody: try again.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _read_holder(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text()
    return ""


@contextmanager
def _leased(store: Store) -> Iterator[_Lease]:
    lease = _Lease(store)
    lease.take()
    beating = threading.Thread(target=lease.beat, daemon=True, name="lease")
    try:
        with _interruptible():
            beating.start()
            try:
                yield lease
            finally:
                lease.ended.set()
                beating.join()
    except KeyboardInterrupt:
        if lease.lost.is_set():
            raise _refusal(store, lease.holder()) from None
        raise
    finally:
        if lease.is_mine():
            store.remove(LEASE)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGUSR1 interrupt the main thread: a script's background jobs ignore SIGINT."""
    if not _in_main_thread():
        yield
        return
    before = signal.signal(_TAKEN_OVER, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(_TAKEN_OVER, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@dataclass
class _Lease:
    """A driver's lease on a run on an object store.

    Args:
        store: The run.
    """

    store: Store
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    driver: int = field(default_factory=threading.get_ident)
    in_main_thread: bool = field(default_factory=_in_main_thread)
    ended: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    n_beats: int = 0

    def take(self) -> None:
        """Wait until no other driver renews the lease, then write it.

        Raises:
            XfmrError: If another driver renews it, or wrote its own at the same time.
        """
        self._await_free()
        self._renew()
        sleep(SETTLE_S)
        if not self.is_mine():
            raise _refusal(self.store, self.holder())

    def _await_free(self) -> None:
        lease = self._read()
        deadline = monotonic() + PATIENCE_S
        while lease and monotonic() < deadline:
            sleep(BEAT_S / 2)
            latest = self._read()
            if latest and latest != lease:
                raise _refusal(self.store, latest["holder"])
            lease = latest

    def beat(self) -> None:
        """Renew the lease until the driver ends; interrupt the driver if another takes the lease."""
        while not self.ended.wait(BEAT_S):
            # A store that is briefly unreachable is no reason to stop. If it stays so, the job's own requests fail.
            with suppress(XfmrError):
                if self.is_mine():
                    self._renew()
                else:
                    self.lost.set()
                    if self.in_main_thread:  # the only thread in which Python handles signals
                        signal.pthread_kill(self.driver, _TAKEN_OVER)
                    return

    def is_mine(self) -> bool:
        """Return whether this driver holds the lease."""
        return self._read().get("token") == self.token

    def holder(self) -> str:
        """Return the holder of the lease, as text for messages."""
        return str(self._read().get("holder", ""))

    def _renew(self) -> None:
        self.n_beats += 1
        self.store.write_json(LEASE, {"holder": _me(), "token": self.token, "beat": self.n_beats})

    def _read(self) -> dict[str, Any]:
        # Not every store writes atomically: retry once if the file cannot be read.
        with suppress(XfmrError):
            return self._read_once()
        sleep(0.2)
        return self._read_once()

    def _read_once(self) -> dict[str, Any]:
        return dict(self.store.find_json(LEASE) or {})


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _refusal(store: Store, holder: str) -> XfmrError:
    who = f" ({holder})" if holder else ""
    return XfmrError(f"run {store.path()} is in the hands of another job{who}: wait for its end, or stop it first")
