"""Jobs as commands: settings from the command line, errors in one line, an exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TypeVar

from xfmr.errors import XfmrError
from xfmr.settings import Settings, read_settings
from xfmr.storage.lease import sole_driver

S = TypeVar("S", bound=Settings)


def run_job(job: Callable[[S], object], settings_class: type[S], *, inherit_archive: bool = True) -> int:
    """Run a job as a command; return exit status 0, 2 for an error that the user can fix, 130 if interrupted."""
    prog = f"python -m jobs.{Path(sys.argv[0]).stem}"
    try:
        job(read_settings(settings_class, sys.argv[1:], prog=prog, inherit_archive=inherit_archive))
    except XfmrError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on", file=sys.stderr)
        return 130
    return 0


def sole_job(job: Callable[[S], None]) -> Callable[[S], None]:
    """Make a job hold its run from beginning to end, so that no other job changes the run meanwhile."""

    @wraps(job)
    def holding(settings: S) -> None:
        with sole_driver(settings.store):
            job(settings)

    return holding
