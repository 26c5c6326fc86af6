"""What a command and all processes that come of it take: memory and CPU time, read from /proc."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

INTERVAL_S = 0.5
_MARK = "XFMR_BENCH_COMMAND"
_TICKS_S = os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """All processes of a command at one moment.

    Attributes:
        time: As `time.time` gives it.
        cpu_s: CPU time that they have taken since they started, of those that have ended as well.
        pss_mb: Their memory, what several share counted once.
    """

    time: float
    cpu_s: float
    pss_mb: float


def watch(argv: Sequence[str], *, n_cores: int) -> list[Sample]:
    """Run a command on some of this machine's cores to its end, and watch it.

    Raises:
        SystemExit: Where it fails, with its words.
    """
    mark = uuid.uuid4().hex
    cores = set(sorted(os.sched_getaffinity(0))[:n_cores])
    command = subprocess.Popen(
        argv,
        env=os.environ | {_MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    samples = [Sample(time.time(), 0, 0)]
    cpu_s: dict[int, float] = {}
    while command.poll() is None:
        time.sleep(INTERVAL_S)
        pids = _processes(f"{_MARK}={mark}".encode())
        cpu_s |= {pid: spent for pid in pids if (spent := _cpu_s(pid)) is not None}
        samples.append(Sample(time.time(), sum(cpu_s.values()), sum(map(_pss_mb, pids))))
    if command.returncode:
        raise SystemExit(command.stdout.read().decode() if command.stdout else "")
    return samples


def _processes(mark: bytes) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def _cpu_s(pid: int) -> float | None:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_S
    return None


def _pss_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1e3
    return 0
