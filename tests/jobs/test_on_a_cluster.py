"""Featurize submitted to a cluster of two nodes, stopped there, and submitted again."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import long_archive
from clusters import RayCommands, two_node_cluster
from processes import featurize_command, outputs, wait_for

N_GROUPS = 40


def submit(cluster: RayCommands, job_id: str, archive: Path, run: Path, *flags: str) -> str:
    """Submit the job as the README does; the answer is what the command says."""
    what = [
        "python",
        "-m",
        "jobs.featurize",
        "--archive",
        str(archive),
        "--run",
        str(run),
        "--group-bytes",
        "1000000",
    ]
    return ray_job(cluster, "submit", "--submission-id", job_id, "--working-dir", ".", *flags, "--", *what)


def ray_job(cluster: RayCommands, *argv: str) -> str:
    """Run a ``ray job`` command to its end."""
    with cluster.job(*argv) as command:
        status, words = command.finish()
    assert status == 0, words
    return words


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_submitted_stopped_and_submitted_again(tmp_path: Path) -> None:
    archive, run, undisturbed = (tmp_path / name for name in ("archive", "run", "undisturbed"))
    long_archive(archive, n_files=3 * N_GROUPS)
    (tmp_path / "logs").mkdir()
    with two_node_cluster(tmp_path / "logs") as cluster:
        submit(cluster, "first", archive, run, "--no-wait")
        assert wait_for(lambda: any((run / "ledger").glob("*.json")), seconds=90)
        assert "stopped" in ray_job(cluster, "stop", "first")
        finished = {path.stem for path in (run / "ledger").glob("*.json")}
        assert len(finished) < N_GROUPS, "it was stopped too late"
        assert not (run / "features/_SUCCESS.json").exists()
        words = submit(cluster, "again", archive, run)
    assert f"{N_GROUPS} groups, {len(finished)} finished before" in words
    with featurize_command(archive, undisturbed, tmp_path / "log") as job:
        assert job.finish()[0] == 0
    assert outputs(run) == outputs(undisturbed)
