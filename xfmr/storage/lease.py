"""One driver at a time: what keeps two jobs from changing the same run at once.

On a local disk, and on one that machines share, the driver holds a lock of the operating system, which is gone the
moment its process is, however it ends. An object store has no locks: there the driver renews a small file every few
seconds, and one that finds the file of another watches whether it still changes. What nobody renews was left by a
killed driver, and is taken over. No clocks are compared.

pyarrow cannot make a PUT depend on what is there, so two drivers that start together both write and look again after
:data:`SETTLE_S`: the last one stays. A PUT that takes longer than that, or a driver that sleeps for
:data:`PATIENCE_S` and wakes up, leaves two drivers for at most :data:`BEAT_S`, until the first one's next beat. They
do no harm: what they write is named by its content's origin, so both write the same in the same place, and before
anything is removed a driver looks whether it still holds the run (:func:`confirm_sole`).
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
"""How often a driver renews its lease."""

PATIENCE_S = 30.0
"""How long a lease may stay as it is before its driver counts as dead."""

SETTLE_S = 2.0
"""How long two drivers that start at the same moment need to see each other's lease."""

_TAKEN_OVER = signal.SIGUSR1

_HELD: ContextVar[Mapping[str, _Lease | None]] = ContextVar("_HELD", default=MappingProxyType({}))


@contextmanager
def sole_driver(store: Store) -> Iterator[None]:
    """Hold a run until the block ends; within the block it may be held again.

    Raises:
        XfmrError: Where another driver holds the run, or has taken it over because this one seemed dead.
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
    """Make sure that a run is still held, before something is removed that a driver who took it over would miss.

    Raises:
        XfmrError: Where it was taken over.
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
        raise _refusal(store, _words_of(path)) from None
    except OSError as error:
        raise XfmrError(f"cannot write {path}: {error.strerror}") from error
    with file:
        # The lock counts, not the words: a disk without room for them will stop the job with a better message.
        with suppress(OSError):
            file.truncate(0)
            file.write(_me().encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            # A job that was refused before it wrote anything leaves no empty run.
            with suppress(OSError):
                path.parent.rmdir()


def _lock(path: Path) -> io.FileIO:
    """Make and lock a file.

    Raises:
        BlockingIOError: Where another process holds its lock.
        OSError: Where it cannot be made.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise
        # Its last holder may have removed it since it was opened: then it stands in nobody's way.
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def _words_of(path: Path) -> str:
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
    """Let the main thread be interrupted by a signal of our own: SIGINT is ignored in a script's background."""
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
    """A driver's claim to a run on an object store.

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
        """Wait until no other driver renews the lease, and write it.

        Raises:
            XfmrError: Where another driver does, or was quicker.
        """
        self._await_free()
        self._renew()
        sleep(SETTLE_S)
        if not self.is_mine():
            raise _refusal(self.store, self.holder())

    def _await_free(self) -> None:
        found = self._read()
        deadline = monotonic() + PATIENCE_S
        while found and monotonic() < deadline:
            sleep(BEAT_S / 2)
            now = self._read()
            if now and now != found:
                raise _refusal(self.store, now["holder"])
            found = now

    def beat(self) -> None:
        """Renew the lease until the end; interrupt the driver where another has taken it."""
        while not self.ended.wait(BEAT_S):
            # A store that cannot be reached for a moment is no reason to stop: the jobs will say so if it stays away.
            with suppress(XfmrError):
                if self.is_mine():
                    self._renew()
                else:
                    self.lost.set()
                    if self.in_main_thread:  # where alone Python hears signals
                        signal.pthread_kill(self.driver, _TAKEN_OVER)
                    return

    def is_mine(self) -> bool:
        """Tell whether the lease is this driver's."""
        return self._read().get("token") == self.token

    def holder(self) -> str:
        """Return who holds the lease, for a person."""
        return str(self._read().get("holder", ""))

    def _renew(self) -> None:
        self.n_beats += 1
        self.store.write_json(LEASE, {"holder": _me(), "token": self.token, "beat": self.n_beats})

    def _read(self) -> dict[str, Any]:
        # Not every store writes in one piece: what cannot be read is read again a moment later.
        with suppress(XfmrError):
            return self._words()
        sleep(0.2)
        return self._words()

    def _words(self) -> dict[str, Any]:
        return dict(self.store.find_json(LEASE) or {})


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _refusal(store: Store, holder: str) -> XfmrError:
    who = f" ({holder})" if holder else ""
    return XfmrError(f"run {store.path()} is in the hands of another job{who}: wait for its end, or stop it first")
