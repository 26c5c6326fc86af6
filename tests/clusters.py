"""A cluster of Ray processes as a person starts them, on the loopback device."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from processes import Command, wait_for
from ray.cluster_utils import Cluster

HEAD, SECOND = "127.0.0.2", "127.0.0.3"
"""Addresses of the nodes; 127.0.0.1 Ray would take for the machine's outer address."""

RAY = (sys.executable, "-m", "ray.scripts.scripts")
# What a job calls `python` is the interpreter of the tests. The code it finds is what was submitted and nothing else.
# The token is made for this cluster alone, so that it neither needs nor meets one that the user has.
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": "",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass(frozen=True)
class RayCommands:
    """Commands given to a running cluster.

    Args:
        dashboard: Where it listens for jobs.
        folder: Where the words of the commands are kept.
    """

    dashboard: str
    folder: Path

    def job(self, *argv: str) -> Command:
        """Start ``ray job`` with arguments, in the repository's folder."""
        log = self.folder / f"job-{argv[0]}-{len(list(self.folder.iterdir()))}.log"
        return Command([*RAY, "job", argv[0], "--address", self.dashboard, *argv[1:]], log, ENVIRONMENT)


def free_port() -> int:
    """Return a port of the head's address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HEAD, 0))
        return int(probe.getsockname()[1])


@contextmanager
def two_node_cluster(folder: Path) -> Iterator[RayCommands]:
    """Start a head and a second node with a CPU each, and stop them with all that they started."""
    gcs, dashboard = free_port(), free_port()
    flags = ["--block", "--num-cpus", "1", "--min-worker-port", "0", "--max-worker-port", "0"]
    flags += ["--dashboard-agent-listen-port", "0"]
    head = ["--head", "--node-ip-address", HEAD, "--port", str(gcs)]
    head += ["--dashboard-host", HEAD, "--dashboard-port", str(dashboard)]
    second = ["--address", f"{HEAD}:{gcs}", "--node-ip-address", SECOND]
    # Its sockets need a short path, which a test's own folder has not.
    with TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temp, ExitStack() as nodes:
        for name, argv in {"head": [*head, "--temp-dir", temp], "second": second}.items():
            node = nodes.enter_context(Command([*RAY, "start", *argv, *flags], folder / f"{name}.log", ENVIRONMENT))
            wait_for(lambda node=node: node.process.poll() is not None or is_up(node), seconds=60)
            assert is_up(node), node.log.read_text()
        yield RayCommands(f"http://{HEAD}:{dashboard}", folder)


@contextmanager
def growing_cluster() -> Iterator[tuple[str, Callable[[], Callable[[], None]]]]:
    """Start a cluster of one CPU; the answer is its address, and how to add a node, which tells how to lose it."""
    node_args = {"num_cpus": 1, "node_ip_address": HEAD, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node_args)

    def add_node() -> Callable[[], None]:
        node = cluster.add_node(num_cpus=1, node_ip_address=SECOND)
        return partial(cluster.remove_node, node, allow_graceful=False)

    try:
        yield cluster.address, add_node
    finally:
        cluster.shutdown()


def is_up(node: Command) -> bool:
    """Tell whether a node says that it has started."""
    return "Ray runtime started" in node.log.read_text()
