"""An archive as a list of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pyarrow import fs

from xfmr.errors import XfmrError
from xfmr.records import is_record_file
from xfmr.storage import Store, absolute_uri
from xfmr.storage.threads import in_threads

# On an object store folders are opened level by level until there are this many, which are then listed at the same
# time. Below them all levels are listed at once: it then answers with a thousand files a request, not with a folder.
_FOLDERS_AT_A_TIME = 256


class ArchiveFile(NamedTuple):
    """One file of an archive; ``path`` is relative to the archive's root, ``size`` in bytes."""

    fleet: str
    path: str
    size: int
    mtime_ns: int


def parse_archives(arguments: Sequence[str]) -> dict[str, str]:
    """Read ``--archive`` values, ``URI`` or ``NAME=URI``, into a mapping of fleet to absolute URI.

    Raises:
        XfmrError: Where two archives have one name, or none.
    """
    archives: dict[str, str] = {}
    for argument in arguments:
        name, separator, uri = argument.partition("=")
        fleet, uri = (name, uri) if separator and "/" not in name else ("", argument)
        if not uri.strip():
            raise XfmrError(f"--archive {argument!r}: names no folder or URI")
        if fleet in archives:
            raise XfmrError(f"--archive {argument}: two archives need two names, as in --archive north={uri}")
        archives[fleet] = absolute_uri(uri)
    return archives


def check_apart(archives: Mapping[str, str], run: str) -> None:
    """Refuse an archive that a run lies in: the run's own files would be read as records, and more with every job.

    Args:
        archives: Their URIs by fleet.
        run: The run's URI, empty where there is none.

    Raises:
        XfmrError: Naming both.
    """
    for uri in archives.values() if run else ():
        archive, store = Store(uri), Store(run)
        if archive.filesystem == store.filesystem and f"{store.path()}/".startswith(f"{archive.path()}/"):
            raise XfmrError(f"run {run} lies in the archive {uri}, which would come to hold its files: move it out")


def list_archive(fleet: str, uri: str, *, found: Callable[[int], object] = lambda n_files: None) -> list[ArchiveFile]:
    """List the record files of one archive, sorted by path.

    Args:
        fleet: The archive's name.
        uri: Its root.
        found: Called again and again with the number of files that have just been found.

    Raises:
        XfmrError: Where the archive is missing or cannot be listed, or holds no record file.
    """
    store = Store(uri)
    if not store.exists():
        raise XfmrError(f"archive {uri} does not exist: check the path given to --archive")
    files: list[ArchiveFile] = []
    for infos in _parts(store):
        part = [(_relative(store, info), info) for info in infos if info.type == fs.FileType.File]
        part = [(path, info) for path, info in part if is_record_file(path) and "/." not in f"/{path}"]
        files += [ArchiveFile(fleet, path, info.size, info.mtime_ns or 0) for path, info in part]
        found(len(part))
    if not files:
        raise XfmrError(f"archive {uri} holds no .jsonl or .json file (also .gz): check the path given to --archive")
    return sorted(files)


def _parts(store: Store) -> Iterator[list[fs.FileInfo]]:
    """List all that is below a root, part by part; on a disk, what links lead to once."""
    folders, seen = [""], {os.path.realpath(store.path())}
    while folders and (store.is_local or len(folders) < _FOLDERS_AT_A_TIME):
        level = [info for part in in_threads(partial(_list, store, recursive=False), folders) for info in part]
        yield level
        folders = [_relative(store, info) for info in level if info.type == fs.FileType.Directory]
        folders = _unseen(store, folders, seen) if store.is_local else folders
    yield from in_threads(partial(_list, store, recursive=True), folders)


def _unseen(store: Store, folders: Sequence[str], seen: set[str]) -> list[str]:
    """Leave out links to what stands in the archive by its own name, or was seen by another; remember the others."""
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
        _ = [info.path for info in infos]  # raises where a name is not UTF-8
    except (OSError, UnicodeDecodeError) as error:
        words = str(error).splitlines()[0]
        remedy = "; rename what is not called in UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise XfmrError(f"cannot list {store.path(folder)}: {words}{remedy}") from error
    return infos
