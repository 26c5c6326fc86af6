"""Featurize by force: killed, its workers and nodes lost, its disk full, started twice; the outputs stay the same."""

from __future__ import annotations

import os
import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from archives import Run, fleet_files, long_archive, write_archive
from clusters import growing_cluster
from disks import SmallDisk
from processes import Command, featurize_command, outputs, wait_for

from jobs.groups import process

N_KILLS = 20
N_GROUPS = 40


def receipts(run: Path) -> int:
    """Count the groups that are finished."""
    return sum(1 for _ in (run / "ledger").glob("*.json"))


def hidden(run: Path) -> list[Path]:
    """Return what a writer has left behind."""
    return [path for path in run.rglob("*") if path.name.startswith(".")]


def finish(archive: Path, run: Path) -> dict[str, bytes]:
    """Run the job to its end; the answer is all it has written."""
    with featurize_command(archive, run, run.with_suffix(".log")) as job:
        status, words = job.finish()
    assert status == 0, words
    assert not hidden(run)
    return outputs(run)


def error_of(words: str) -> str:
    """Return the one line of error there must be."""
    assert "Traceback" not in words
    (error,) = [text for text in words.replace("\r", "\n").splitlines() if text.startswith("error: ")]
    return error


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_archive(tmp_path_factory.mktemp("in") / "archive", n_files=120)


@pytest.fixture(scope="module")
def undisturbed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    written = finish(archive, tmp_path_factory.mktemp("out") / "undisturbed")
    assert sum(name.startswith("ledger/") for name in written) == N_GROUPS
    return written


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_twenty_times(tmp_path: Path) -> None:
    archive, run = long_archive(tmp_path / "archive", n_files=300), tmp_path / "run"
    began = time.monotonic()
    undisturbed = finish(archive, tmp_path / "undisturbed")
    longest_s, rng = time.monotonic() - began, random.Random(0)
    finished_when_killed: list[int] = []
    with ExitStack() as leftovers:
        while len(finished_when_killed) < N_KILLS:
            # It starts at once after the last was killed, while that one's workers may still be about.
            job = leftovers.enter_context(featurize_command(archive, run, tmp_path / "log"))
            wait_for_a_moment(job, run, rng, longest_s)
            if job.process.poll() is None:
                job.process.kill()
                job.process.wait()
                finished_when_killed.append(receipts(run))
        assert finish(archive, run) == undisturbed
    assert len(set(finished_when_killed)) >= 5, f"most kills met no work: {finished_when_killed}"


def wait_for_a_moment(job: Command, run: Path, rng: random.Random, longest_s: float) -> None:
    """Wait until any moment of a job's life, or until any shortly after it has finished a group; to each its half."""
    before = receipts(run)
    if rng.random() < 0.5:
        wait_for(lambda: job.process.poll() is not None, seconds=rng.uniform(0, longest_s))
    elif wait_for(lambda: receipts(run) > before or job.process.poll() is not None, seconds=60):
        time.sleep(rng.uniform(0, 0.3))


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("as_actor", [False, True])
def test_a_worker_that_dies_once(tmp_path: Path, signed: bool, as_actor: bool) -> None:
    """Before it has done its group, or when the receipt is signed and only the answer is lost."""
    archive = write_archive(tmp_path / "archive", fleet_files())
    undisturbed, run = Run(tmp_path / "undisturbed", {"": archive}), Run(tmp_path / "run", {"": archive})
    undisturbed.featurize()
    writer, marker = run.writer, tmp_path / "died"

    class DiesOnce:  # in here, so that it is sent to the workers and not imported by them
        def __call__(self, item: str) -> pa.Table:
            if signed:
                writer(item)
            if not marker.exists():
                marker.touch()
                os._exit(1)
            return writer(item)

    worker: Any = DiesOnce if as_actor else DiesOnce()
    process(run.plan(), worker, label="test")
    run.close()
    assert marker.exists()
    assert outputs(tmp_path / "run") == outputs(tmp_path / "undisturbed")


def test_a_node_is_lost(archive: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    with growing_cluster() as (address, add_node):
        lose_node = add_node()
        with featurize_command(archive, run, tmp_path / "log", env={"RAY_ADDRESS": address}) as job:
            assert wait_for(lambda: receipts(run) >= 3, seconds=60)
            lose_node()
            assert receipts(run) < N_GROUPS, "the node was lost too late"
            status, words = job.finish()
    assert status == 0, words
    assert outputs(run) == undisturbed


def test_a_full_disk(archive: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", megabytes=5) as disk:
        run = disk.folder / "run"
        with featurize_command(archive, run, tmp_path / "log") as job:
            status, words = job.finish()
        assert status == 2
        assert error_of(words).endswith("No space left on device")
        assert not hidden(run)
        assert not [path for path in (run / "features").iterdir() if path.read_bytes()[-4:] != b"PAR1"]
        assert receipts(run) < N_GROUPS
        disk.grow(megabytes=100)
        assert finish(archive, run) == undisturbed


def test_two_drivers_at_once(archive: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    run = tmp_path / "run"
    with (
        featurize_command(archive, run, tmp_path / "one.log") as one,
        featurize_command(archive, run, tmp_path / "other.log") as other,
    ):
        (status, words), refused = sorted([one.finish(), other.finish()])
    assert status == 0, words
    assert refused[0] == 2
    assert f"run {run} is in the hands of another job (process " in error_of(refused[1])
    assert outputs(run) == undisturbed
