"""A progress line for a long step: how far, how fast, time left."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

# A terminal shows the line live. A log file or a job's output gets a new line at most this often.
_LOG_INTERVAL_S = 10.0


def progress(*, label: str, unit: str, total: int | None = None) -> tqdm[Any]:
    """Return a progress line on standard error, to be updated by counts of ``unit``; bytes (``B``) are scaled.

    Without a ``total`` it only counts, and it is not shown in the first second.
    """
    live = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=label,
        unit=unit if unit == "B" else f" {unit}",
        delay=0 if total else 1,
        unit_scale=unit == "B",
        mininterval=0.2 if live else _LOG_INTERVAL_S,
        maxinterval=_LOG_INTERVAL_S,
        ascii=None if live else " =",
        dynamic_ncols=live,
        file=sys.stderr,
    )


def say(label: str, message: str) -> None:
    """Print one of a job's own lines."""
    print(f"{label}: {message}", flush=True)
