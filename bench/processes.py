"""Memory and CPU time of a command and all processes that it starts, read from /proc."""

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
    """Usage of all processes of a command at one time.

    Attributes:
        time: Seconds since the epoch, see `time.time`.
        cpu_s: CPU time since the start, including that of processes that have ended.
        pss_mb: Proportional set size: shared memory is counted once.
    """

    time: float
    cpu_s: float
    pss_mb: float


def watch(argv: Sequence[str], *, n_cores: int) -> list[Sample]:
    """Run a command on the first cores of this machine, and sample its usage until it ends.

    Raises:
        SystemExit: The command fails; the message is its output.
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
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            if mark in (entry / "environ").read_bytes():
                pids.append(int(entry.name))
    return pids


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
