"""Commands as a person starts them, and all the processes that come of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class Command:
    """A running command in the repository's folder, with a Ray of its own unless ``env`` has ``RAY_ADDRESS``.

    Args:
        argv: The program and its arguments.
        log: Where its words go.
        env: What is added to the environment.
    """

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.mark = f"XFMR_TEST_COMMAND={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        inherited = {key: text for key, text in os.environ.items() if key != "RAY_ADDRESS"}
        environment = inherited | {"PYTHONPATH": str(ROOT), name: value} | dict(env or {})
        with log.open("wb") as file:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=file, stderr=file)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def processes(self) -> Iterator[int]:
        """Yield the ids of all living processes that the command started, at any depth."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (entry / "environ").read_bytes():
                    yield int(entry.name)
            except OSError:  # it has ended, or is somebody else's
                continue

    def kill(self, *, patience_s: float = 5) -> None:
        """Kill the command at once and wait for its Ray to notice; end what is left after that."""
        self.process.kill()
        self.process.wait()
        if not wait_for(lambda: not list(self.processes()), seconds=patience_s):
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)

    def finish(self, *, seconds: float = 120) -> tuple[int, str]:
        """Wait for its end; the answer is its exit status and its words."""
        status = self.process.wait(seconds)
        return status, self.log.read_text()


def featurize_command(
    archive: Path | str, run: Path | str, log: Path, *flags: str, env: Mapping[str, str] | None = None
) -> Command:
    """Start the featurize job with the smallest groups."""
    argv = ["--archive", str(archive), "--run", str(run), "--group-bytes", "1000000", *flags]
    return Command([sys.executable, "-m", "jobs.featurize", *argv], log, env)


def wait_for(condition: Callable[[], object], *, seconds: float) -> bool:
    """Wait until something is so; tell whether it was in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def outputs(run: Path) -> dict[str, bytes]:
    """Return the content of all files of a run, but for its settings, which name the run itself."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path != run / "settings.yaml"
    }
