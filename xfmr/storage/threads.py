"""Many small requests at a time, where waiting for their answers is what takes the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T], *, at_a_time: int = 32) -> Iterator[R]:
    """Apply a function to items in threads, and yield the answers in the order of the items.

    What it raises is raised here, and nothing more is begun.

    Args:
        function: What to do.
        items: With each of them; no more than twice ``at_a_time`` are begun before their answers are taken.
        at_a_time: Threads.
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
