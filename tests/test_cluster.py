"""Which Ray the jobs use: one of their own, unless they are told, and all of it, whatever comes and goes."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from clusters import growing_cluster
from processes import Command, wait_for

COUNT = "from xfmr.cluster import cluster, n_cpus\nwith cluster():\n    print('cpus:', n_cpus())"

SAY_WHERE = """
import time
import pyarrow as pa
import ray
from xfmr.cluster import cluster, map_groups

def work(item):
    time.sleep(0.2)
    return pa.table({"node": [ray.get_runtime_context().get_node_id()]})

with cluster():
    nodes = set()
    for table in map_groups(work, [str(i) for i in range(300)]):
        nodes.update(table["node"].to_pylist())
        print("nodes:", len(nodes), flush=True)
        if len(nodes) == 2:
            break
"""


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


@pytest.mark.slow
def test_a_node_that_comes_gets_work(tmp_path: Path) -> None:
    with growing_cluster() as (address, add_node):
        argv = [sys.executable, "-c", SAY_WHERE]
        with Command(argv, tmp_path / "log", {"RAY_ADDRESS": address}) as command:
            assert wait_for(lambda: "nodes: 1" in command.log.read_text(), seconds=60)
            add_node()
            status, words = command.finish()
    assert status == 0, words
    assert "nodes: 2" in words
