"""Ray as the jobs use it: a local cluster or the one at ``RAY_ADDRESS``, and maps over groups."""

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
    """Connect to the cluster at ``RAY_ADDRESS`` or start a local one, and leave it at the end.

    A cluster that the caller already connected to is used and left as it is. Ray's own messages go to its log files.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if "RAY_ADDRESS" not in os.environ:
        # Left to itself, Ray joins whatever cluster was started on this machine last, by whomever.
        options |= {"address": "local", "_node_ip_address": "127.0.0.1", "include_dashboard": False}
    try:
        context: Any = ray.init(**options)
    except ConnectionError as error:
        raise XfmrError(f"no Ray cluster at RAY_ADDRESS={os.environ.get('RAY_ADDRESS')}: {error}") from error
    quieten()
    try:
        with _native_words_to(Path(context.address_info["session_dir"]) / "logs" / "xfmr-driver.err"):
            yield
    finally:
        ray.shutdown()


@contextmanager
def cluster_if_named() -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS``, where it is set; no local one is started."""
    with cluster() if "RAY_ADDRESS" in os.environ else nullcontext():
        yield


@contextmanager
def _native_words_to(log: Path) -> Iterator[None]:
    """Send what native code writes to standard error to a file; Python's own words still reach the console.

    Ray's core prints there, past all logging, errors of its own that mean nothing to the user and cut the live line.
    Should it bring the process down, the fault handler says so on the console.
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
    """Keep Ray's libraries off the console: their words stay in the files of Ray's log folder."""
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
    """Say whether the cluster that is connected to has more nodes than this one; without one, there are none."""
    return ray.is_initialized() and sum(bool(node["Alive"]) for node in ray.nodes()) > 1


def map_groups(
    function: GroupFunction | type[Any],
    items: Sequence[str],
    *,
    constructor_args: tuple[Any, ...] = (),
    share_gpus: bool = False,
) -> Iterator[pa.Table]:
    """Apply a function to each item on the cluster and yield its tables as they come, in any order.

    One actor a CPU does the work; there are more of them when the cluster grows. Each is sent its next item before it
    has finished the last: between Ray Data's tasks a core waits 0.17 s for the driver, where an item takes 2 s of it
    (Ray 2.60, two cores).

    Args:
        function: Takes one item, gives one table of the same schema for all. A class is made once in each actor, from
            ``constructor_args``, and its instance is called.
        items: What to work on, such as group names.
        constructor_args: Arguments of the class.
        share_gpus: Whether all that run at a time share the GPUs, where there are any and CuPy to use them.

    Raises:
        XfmrError: That the function raised, or where a worker was lost and could not be replaced.
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
    """An actor's own copy of the function given to :func:`map_groups`, or instance of the class."""

    def __init__(self, function: GroupFunction | type[Any], args: tuple[Any, ...]) -> None:
        self._function: GroupFunction = function(*args) if isinstance(function, type) else function

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        return self._function(str(batch["item"][0]))


def user_error(error: BaseException | None) -> XfmrError | None:
    """Find the XfmrError that a worker raised below Ray's wrappers."""
    while error is not None:
        if isinstance(error, XfmrError):
            return XfmrError(str(getattr(error, "cause", error)).partition("\n")[0])
        failures = getattr(error, "worker_failures", None)  # Ray Train's, by rank
        error = next(iter(failures.values())) if failures else getattr(error, "cause", None) or error.__cause__
    return None


def _lost_worker(error: BaseException) -> XfmrError | None:
    """Say in one line that a worker died, where that is what happened and not an error in the work itself."""
    if isinstance(error, RayError) and not isinstance(error, RayTaskError):
        return XfmrError(f"a worker was lost ({type(error).__name__}): run the same command again to go on")
    return None
