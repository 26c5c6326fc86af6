"""An archive as a list of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pyarrow import fs

from xfmr.errors import XfmrError
from xfmr.records import endings_in_words, is_record_file
from xfmr.storage import Store, absolute_uri
from xfmr.storage.threads import in_threads

# On an object store, folders are listed level by level until there are this many. These are then listed in parallel,
# each at all its depths at once: the store then returns a thousand files per request instead of one folder.
_FOLDERS_AT_A_TIME = 256


class ArchiveFile(NamedTuple):
    """One file of an archive; ``path`` is relative to the archive's root, ``size`` in bytes."""

    fleet: str
    path: str
    size: int
    mtime_ns: int


def parse_archives(arguments: Sequence[str]) -> dict[str, str]:
    """Parse ``--archive`` values, ``URI`` or ``NAME=URI``, into a mapping of fleet to absolute URI.

    Raises:
        XfmrError: If a value has no URI, or two archives have the same name or no name.
    """
    archives: dict[str, str] = {}
    for argument in arguments:
        name, separator, uri = argument.partition("=")
        fleet, uri = (name, uri) if separator and "/" not in name else ("", argument)
        if not uri.strip():
            raise XfmrError(f"--archive {argument!r}: no folder or URI given")
        if fleet in archives:
            raise XfmrError(f"--archive {argument}: two archives need two names, as in --archive north={uri}")
        archives[fleet] = absolute_uri(uri)
    return archives


def check_apart(archives: Mapping[str, str], run: str) -> None:
    """Check that a run lies in none of the archives: every job would add files that are then read as records.

    Args:
        archives: Archive URIs by fleet.
        run: The run's URI, or an empty string if there is no run.

    Raises:
        XfmrError: If the run lies in an archive; the message names both.
    """
    for uri in archives.values() if run else ():
        archive, store = Store(uri), Store(run)
        if archive.filesystem == store.filesystem and f"{store.path()}/".startswith(f"{archive.path()}/"):
            raise XfmrError(f"run {run} lies in the archive {uri}, which would come to hold its files: move it out")


def list_archive(fleet: str, uri: str, *, found: Callable[[int], object] = lambda n_files: None) -> list[ArchiveFile]:
    """List the record files of one archive, sorted by path.

    Args:
        fleet: Name of the archive.
        uri: Root of the archive.
        found: Callback that receives the number of files found since its last call.

    Raises:
        XfmrError: If the archive is missing, cannot be listed, or holds no record file.
    """
    store = Store(uri)
    if not store.exists():
        raise XfmrError(f"archive {uri} does not exist: check the path given to --archive")
    files: list[ArchiveFile] = []
    for infos in _list_levels(store):
        named = [(_relative(store, info), info) for info in infos if info.type == fs.FileType.File]
        named = [(path, info) for path, info in named if is_record_file(path) and "/." not in f"/{path}"]
        files += [ArchiveFile(fleet, path, info.size, info.mtime_ns or 0) for path, info in named]
        found(len(named))
    if not files:
        raise XfmrError(f"archive {uri} holds no {endings_in_words()}: check the path given to --archive")
    return sorted(files)


def _list_levels(store: Store) -> Iterator[list[fs.FileInfo]]:
    """Yield everything below a root in several lists, level by level; on a disk, each target of links only once."""
    folders, seen = [""], {os.path.realpath(store.path())}
    while folders and (store.is_local or len(folders) < _FOLDERS_AT_A_TIME):
        level = [info for infos in in_threads(partial(_list, store, recursive=False), folders) for info in infos]
        yield level
        folders = [_relative(store, info) for info in level if info.type == fs.FileType.Directory]
        folders = _unseen(store, folders, seen) if store.is_local else folders
    yield from in_threads(partial(_list, store, recursive=True), folders)


def _unseen(store: Store, folders: Sequence[str], seen: set[str]) -> list[str]:
    """Return the folders that are new, and add them to ``seen``.

    A link is skipped if its target lies in the archive anyway, or was reached by another link.
    """
    root, new = os.path.realpath(store.path()), []
    for folder in sorted(folders):
        place = os.path.realpath(store.path(folder))
        within = f"{place}/".startswith(f"{root}/")
        if place not in seen and (place == f"{root}/{folder}" or not within):
            seen.add(place)
            new.append(folder)
    return new


def _relative(store: Store, info: fs.FileInfo) -> str:
    path: str = info.path
    return path[len(store.path()) + 1 :]


def _list(store: Store, folder: str, *, recursive: bool) -> list[fs.FileInfo]:
    try:
        infos: list[fs.FileInfo] = store.filesystem.get_file_info(
            fs.FileSelector(store.path(folder), recursive=recursive)
        )
        _ = [info.path for info in infos]  # raises if a name is not UTF-8
    except (OSError, UnicodeDecodeError) as error:
        first_line = str(error).splitlines()[0]
        remedy = "; rename the file whose name is not UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise XfmrError(f"cannot list {store.path(folder)}: {first_line}{remedy}") from error
    return infos
