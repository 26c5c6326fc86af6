"""A link: a name that points to one of several folders and can be switched atomically.

On a local disk it is a symbolic link, replaced by a rename. An object store has no links: there the file
``<name>.json`` holds the target.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from xfmr.errors import XfmrError
from xfmr.storage.store import Store


def read_link(store: Store, name: str) -> str | None:
    """Return the target of a link, relative to the link's folder, or None if the link is not set.

    Raises:
        XfmrError: If the name is not a link.
    """
    if not store.is_local:
        link = store.find_json(f"{name}.json")
        return None if link is None else str(link["target"])
    path = Path(store.path(name))
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise XfmrError(f"{path} is not the link that it should be: move it away and run jobs.score") from error


def set_link(store: Store, name: str, target: str) -> None:
    """Point a link to a target, whatever it pointed to before.

    Raises:
        XfmrError: If the link cannot be created: the disk has no links, or a folder already has the name.
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
        raise XfmrError(f"cannot create the link {path}: {error.strerror}; move away what has its name") from error
