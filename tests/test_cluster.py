"""Which Ray the jobs use: one of their own, unless they are told."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Command

COUNT = "from xfmr.cluster import cluster, n_cpus\nwith cluster():\n    print('cpus:', n_cpus())"


def test_a_cluster_that_somebody_else_has_started_is_not_joined(tmp_path: Path) -> None:
    # Ray's sockets need a short path, which a test's own folder has not.
    with TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temp:
        noted = Path(temp) / "ray/ray_current_cluster"
        noted.parent.mkdir()
        noted.write_text("127.0.0.2:1")
        with Command([sys.executable, "-c", COUNT], tmp_path / "log", {"RAY_TMPDIR": temp}) as command:
            status, words = command.finish()
    assert status == 0, words
    assert "cpus: " in words
