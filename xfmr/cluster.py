"""Ray for the jobs: a local cluster or the one at ``RAY_ADDRESS``, and maps over groups."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import RayError, RayTaskError

from xfmr.errors import XfmrError

GroupFunction = Callable[[str], pa.Table]


@contextmanager
def cluster() -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS`` or start a local one, and disconnect at the end.

    If the caller is already connected to a cluster, use that one and stay connected. Ray's own messages go to its log
    files.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" not in os.environ:
        # By default, Ray joins the cluster that any user started last on this machine.
        options |= {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    try:
        context: Any = ray.init(**options)
    except ConnectionError as error:
        raise XfmrError(f"no Ray cluster at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')}: {error}") from error
    quieten()
    try:
        with _native_stderr_to(Path(context.address_info["session_dir"]) / "logs" / "xfmr-driver.err"):
            yield
    finally:
        ray.shutdown()


@contextmanager
def cluster_if_named() -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS`` if it is set; never start a local one."""
    with cluster() if "RAY_ADDRESS" in os.environ else nullcontext():
        yield


@contextmanager
def _native_stderr_to(log: Path) -> Iterator[None]:
    """Redirect native code's standard error to a file; Python's own output still reaches the console.

    Ray's core bypasses logging and prints errors of its own there, which mean nothing to the user and break the
    progress line. If it crashes the process, the fault handler reports this on the console.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    path = log if log.parent.is_dir() else Path(os.devnull)
    with path.open("ab") as sink, os.fdopen(os.dup(2), "w", buffering=1) as console:
        os.dup2(sink.fileno(), 2)
        faulthandler.enable(console)
        try:
            with redirect_stderr(console):
                yield
        finally:
            faulthandler.disable()
            os.dup2(kept, 2)
            os.close(kept)


def quieten() -> None:
    """Keep the messages of Ray's libraries off the console; they stay in Ray's log files."""
    import ray.data
    import ray.train

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    for name in ("ray", "ray.data", "ray.train"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.CRITICAL)


def n_cpus() -> int:
    """Return the number of CPUs of the cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def n_gpus() -> int:
    """Return the number of GPUs of the cluster."""
    return int(ray.cluster_resources().get("GPU", 0))


def has_more_nodes() -> bool:
    """Return whether the connected cluster has more than one node; False if not connected."""
    return ray.is_initialized() and sum(bool(node["Alive"]) for node in ray.nodes()) > 1


def map_groups(
    function: GroupFunction | type[Any],
    items: Sequence[str],
    *,
    constructor_args: tuple[Any, ...] = (),
    share_gpus: bool = False,
) -> Iterator[pa.Table]:
    """Apply a function to each item on the cluster and yield its tables as they arrive, in any order.

    There is one actor per CPU; more are started when the cluster grows. Each actor is sent its next item before it
    has finished the current one: otherwise a core waits 0.17 s for the driver between items of 2 s (Ray 2.60, two
    cores).

    Args:
        function: Takes one item and returns one table; all tables have the same schema. A class is instantiated once
            per actor, with ``constructor_args``, and its instance is called.
        items: Items to work on, such as group names.
        constructor_args: Arguments of the class.
        share_gpus: Whether the running actors share the GPUs, if the cluster has any and CuPy is installed.

    Raises:
        XfmrError: If the function raised one, or a worker was lost and could not be replaced.
    """
    source: ray.data.Dataset = ray.data.from_items([{"item": item} for item in items], override_num_blocks=len(items))
    pool = ray.data.ActorPoolStrategy(min_size=min(n_cpus(), len(items)), max_size=len(items))
    options: dict[str, Any] = {"batch_size": 1, "batch_format": "numpy", "num_cpus": 1, "compute": pool}
    if share_gpus and n_gpus() and find_spec("cupy"):
        options["num_gpus"] = n_gpus() / n_cpus()
    dataset = source.map_batches(_Worker, fn_constructor_args=(function, constructor_args), **options)
    try:
        yield from dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)
    except Exception as error:
        raise (user_error(error) or _lost_worker(error) or error) from None


class _Worker:
    """An actor's copy of the function given to :func:`map_groups`, or its instance of the class."""

    def __init__(self, function: GroupFunction | type[Any], args: tuple[Any, ...]) -> None:
        self._function: GroupFunction = function(*args) if isinstance(function, type) else function

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        return self._function(str(batch["item"][0]))


def user_error(error: BaseException | None) -> XfmrError | None:
    """Return the XfmrError that Ray's exceptions wrap, or None if there is none."""
    while error is not None:
        if isinstance(error, XfmrError):
            return XfmrError(str(getattr(error, "cause", error)).partition("\n")[0])
        failures = getattr(error, "worker_failures", None)  # Ray Train's, by rank
        error = next(iter(failures.values())) if failures else getattr(error, "cause", None) or error.__cause__
    return None


def _lost_worker(error: BaseException) -> XfmrError | None:
    """Return a one-line error if a worker died, or None if the work itself failed."""
    if isinstance(error, RayError) and not isinstance(error, RayTaskError):
        return XfmrError(f"a worker was lost ({type(error).__name__}): run the same command again to go on")
    return None
