"""A name that stands for one folder of several, and is switched from one to another in a single step.

On a local disk it is a symbolic link, which a rename replaces. An object store has none: there ``<name>.json`` holds
what the link would.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from xfmr.errors import XfmrError
from xfmr.storage.store import Store


def read_link(store: Store, name: str) -> str | None:
    """Return what a name stands for, relative to its folder, or None before it was set.

    Raises:
        XfmrError: Where something else has the name.
    """
    if not store.is_local:
        found = store.find_json(f"{name}.json")
        return None if found is None else str(found["target"])
    path = Path(store.path(name))
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise XfmrError(f"{path} is not the link that it should be: move it away and run jobs.score") from error


def set_link(store: Store, name: str, target: str) -> None:
    """Let a name stand for a target, whatever it stood for before.

    Raises:
        XfmrError: Where it cannot be, such as on a disk without links, or because a folder has the name.
    """
    if not store.is_local:
        store.write_json(f"{name}.json", {"target": target})
        return
    path = Path(store.path(name))
    staged = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        staged.symlink_to(target)
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise XfmrError(f"cannot make the link {path}: {error.strerror}; move away what has its name") from error
