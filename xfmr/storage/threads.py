"""Many small requests at a time, where waiting for their answers is what takes the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_A_TIME = 32


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Apply a function to items, up to 32 at a time, and yield the answers in the order of the items.

    What it raises is raised here, and nothing more is begun.
    """
    pool = ThreadPoolExecutor(_AT_A_TIME)
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)
