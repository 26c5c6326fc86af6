"""Threads for many small requests, which mostly wait for their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], *, at_a_time: int = 32) -> Iterator[R]:
    """Apply a function to items in threads, and yield the results in the order of the items.

    If the function raises, its exception is raised here and no further item is started.

    Args:
        function: Function of one item.
        items: Items. At most twice ``at_a_time`` are started before their results are taken.
        at_a_time: Number of threads.
    """
    pool, waiting = ThreadPoolExecutor(at_a_time), deque[Future[R]]()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == 2 * at_a_time:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
