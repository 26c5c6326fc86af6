"""An archive as a list of files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from pyarrow import fs

from xfmr.errors import XfmrError
from xfmr.records import is_record_file
from xfmr.storage import Store, absolute_uri
from xfmr.storage.threads import in_threads

# Folders are opened level by level until there are this many, which are then listed at the same time. Below them all
# levels are listed at once: an object store then answers with a thousand files a request, not with a folder.
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
        XfmrError: Where two archives have one name, or one of several has none.
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
    """List all that is below a root, part by part."""
    folders = [""]
    while 0 < len(folders) < _FOLDERS_AT_A_TIME:
        level = [info for part in in_threads(partial(_list, store, recursive=False), folders) for info in part]
        yield level
        folders = [_relative(store, info) for info in level if info.type == fs.FileType.Directory]
    yield from in_threads(partial(_list, store, recursive=True), folders)


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
        raise XfmrError(f"cannot list {store.path(folder)}: {str(error).splitlines()[0]}") from error
    return infos
