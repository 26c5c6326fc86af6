"""A folder, local or on an object store, whose files are written atomically.

Every output goes through :meth:`Store.write`. On a local disk it writes a hidden file beside the target and renames
it; on an object store a PUT is atomic. A killed writer leaves at most a hidden ``.*.tmp`` file, which no reader lists
and :meth:`Store.sweep` removes.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from xfmr.errors import XfmrError
from xfmr.storage.object_store import below, line_of, open_filesystem, split_file

# An object store takes tens of milliseconds to answer a request, but serves many at a time.
_FILES_AT_A_TIME = 32

_UPLOAD_BYTES = 8 * 2**20


def absolute_uri(uri: str) -> str:
    """Return ``uri`` unchanged if it has a scheme, else the absolute form of the local path."""
    try:
        return uri if "://" in uri else str(Path(uri).expanduser().resolve())
    except (RuntimeError, OSError) as error:  # an unknown home directory, a loop of links
        raise XfmrError(f"{uri}: no path: {error}") from error


@dataclass(frozen=True)
class Store:
    """Files below one root, named by their path relative to it.

    Args:
        uri: A local path or any URI that pyarrow's filesystems read, such as ``s3://bucket/run``.

    Raises:
        XfmrError: On first use, if the URI's scheme is unknown or a file cannot be read or written.
    """

    uri: str

    def __post_init__(self) -> None:
        # A worker that receives the store may have another working directory.
        object.__setattr__(self, "uri", absolute_uri(self.uri))

    @cached_property
    def _place(self) -> tuple[fs.FileSystem, str]:
        return open_filesystem(self.uri)

    @property
    def filesystem(self) -> fs.FileSystem:
        """The pyarrow filesystem that holds the store."""
        return self._place[0]

    @property
    def is_local(self) -> bool:
        """True for a folder on this machine's disks or mounts."""
        return isinstance(self.filesystem, fs.LocalFileSystem)

    def path(self, name: str = "") -> str:
        """Return the path of ``name`` within :attr:`filesystem`."""
        root = self._place[1].rstrip("/")
        return f"{root}/{name}" if name else root

    @classmethod
    def of_file(cls, uri: str) -> tuple[Store, str]:
        """Return the folder of a single file as a store, and the file's name within it."""
        folder, name = split_file(absolute_uri(uri))
        return cls(folder), name

    def child(self, name: str) -> Store:
        """Return a folder of this store as a store of its own."""
        return Store(below(self.uri, name))

    def exists(self, name: str = "") -> bool:
        """Return whether a file or folder of this name exists."""
        return bool(self._info(name).type != fs.FileType.NotFound)

    def _info(self, name: str) -> fs.FileInfo:
        try:
            return self.filesystem.get_file_info(self.path(name))
        except (OSError, pa.ArrowInvalid) as error:
            raise self._failure("access", name, error) from error

    def files(self, name: str = "", *, hidden: bool = False) -> list[fs.FileInfo]:
        """List the files below a folder, at any depth, sorted by path; a missing folder has none."""
        selector = fs.FileSelector(self.path(name), recursive=True, allow_not_found=True)
        try:
            entries = self.filesystem.get_file_info(selector)
            _ = [info.path for info in entries]  # raises if a name is not UTF-8
        except (OSError, UnicodeDecodeError) as error:
            raise self._failure("list", name, error) from error
        wanted = [f for f in entries if f.type == fs.FileType.File and f.base_name.startswith(".") <= hidden]
        return sorted(wanted, key=lambda info: info.path)

    def open(self, name: str) -> BinaryIO:
        """Open a file to read its bytes from the start, without decompression.

        Raises:
            OSError: If it cannot be opened.
        """
        return cast(BinaryIO, self.filesystem.open_input_stream(self.path(name), compression=None))

    def open_seekable(self, name: str) -> BinaryIO:
        """Open a file for random access.

        Raises:
            OSError: If it cannot be opened.
        """
        return cast(BinaryIO, self.filesystem.open_input_file(self.path(name)))

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        try:
            with self.open(name) as stream:
                return stream.read()
        except OSError as error:
            raise self._failure("read", name, error) from error

    def find(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if it does not exist; this saves the request of :meth:`exists`."""
        try:
            with self.open(name) as stream:
                return stream.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failure("read", name, error) from error

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a file atomically, replacing one of the same name."""
        if self.is_local:
            with self.writing(name) as stream:
                stream.write(data)
        else:
            self._upload(BytesIO(data), name)

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """Yield a file to write piece by piece; it appears when the block ends, and not if the block raises.

        Until then it is a hidden file beside the target or, for an object store, an unnamed temporary file on this
        machine.
        """
        if not self.is_local:
            with TemporaryFile() as spool:
                yield cast(BinaryIO, spool)
                self._upload(spool, name)
            return
        target = self.path(name)
        folder, _, base = target.rpartition("/")
        staged = f"{folder}/.{base}.{uuid.uuid4().hex}.tmp"
        try:
            self.filesystem.create_dir(folder, recursive=True)
            with self.filesystem.open_output_stream(staged) as stream:
                yield cast(BinaryIO, stream)
            self.filesystem.move(staged, target)
        except BaseException as error:
            self._forget(staged)
            if isinstance(error, OSError):
                raise self._failure("write", name, error) from error
            raise

    def _upload(self, spool: IO[bytes], name: str) -> None:
        """Upload a file to an object store. It has no folders, only names: creating folders would cost requests."""
        spool.seek(0)
        try:
            with self.filesystem.open_output_stream(self.path(name)) as stream:
                shutil.copyfileobj(spool, stream, _UPLOAD_BYTES)
        except OSError as error:
            raise self._failure("write", name, error) from error

    def _forget(self, path: str) -> None:
        """Remove the partial file of a failed writer, to free its space on a full disk."""
        with suppress(OSError):
            self.filesystem.delete_file(path)

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        try:
            with suppress(FileNotFoundError):
                self.filesystem.delete_file(self.path(name))
        except OSError as error:
            raise self._failure("remove", name, error) from error

    def remove_folder(self, name: str) -> None:
        """Remove a folder and its contents, if it exists."""
        try:
            with suppress(FileNotFoundError):
                self.filesystem.delete_dir(self.path(name))
        except OSError as error:
            raise self._failure("remove", name, error) from error

    def folders(self, name: str) -> list[str]:
        """Return the sorted names of a folder's direct subfolders; a missing folder has none."""
        selector = fs.FileSelector(self.path(name), allow_not_found=True)
        try:
            entries = self.filesystem.get_file_info(selector)
        except OSError as error:
            raise self._failure("list", name, error) from error
        return sorted(info.base_name for info in entries if info.type == fs.FileType.Directory)

    def sweep(self, *folders: str) -> None:
        """Remove the files of killed writers, in the store's own folder and at any depth below ``folders``.

        Other folders are left alone: another job may be writing there, such as diagnose, which holds its own lease.
        """
        if not self.is_local:
            return
        left = [path for folder in folders for path in Path(self.path(folder)).rglob(".*.tmp")]
        for path in (*left, *Path(self.path()).glob(".*.tmp")):
            path.unlink(missing_ok=True)

    def read_json(self, name: str) -> Any:
        """Parse a JSON file that xfmr wrote.

        Raises:
            XfmrError: If the file is missing or is not JSON.
        """
        return self._parsed(name, self.read(name))

    def find_json(self, name: str) -> Any | None:
        """Parse a JSON file that xfmr wrote, or return None if it does not exist.

        Raises:
            XfmrError: If the file is not JSON.
        """
        text = self.find(name)
        return None if text is None else self._parsed(name, text)

    def _parsed(self, name: str, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise XfmrError(f"{self.path(name)} is damaged ({error}): remove it and run again") from error

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file with sorted keys."""
        self.write(name, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file, or only some of its columns.

        Raises:
            XfmrError: If the file is missing or is not Parquet.
        """
        try:
            with self.filesystem.open_input_file(self.path(name)) as file:
                return pq.read_table(file, columns=columns)
        except (pa.ArrowInvalid, OSError) as error:
            raise self._failure("read", name, error) from error

    def read_tables(
        self, paths: list[str], schema: pa.Schema, *, partitioning: ds.Partitioning | None = None, **options: Any
    ) -> pa.Table:
        """Read many Parquet files as one table, several at a time, without listing or checking them first.

        Args:
            paths: Paths within :attr:`filesystem`, in the order of their rows.
            schema: Schema of all files, including the columns that ``partitioning`` takes from their paths.
            partitioning: Naming scheme of the folders below the store.
            **options: Columns and filter, as :meth:`pyarrow.dataset.Dataset.to_table` takes them.

        Raises:
            XfmrError: If a file is missing or is not Parquet.
        """
        options |= {"fragment_readahead": _FILES_AT_A_TIME}
        try:
            dataset = ds.dataset(
                paths,
                schema,
                format="parquet",
                filesystem=self.filesystem,
                partitioning=partitioning,
                partition_base_dir=self.path(),
            )
            return dataset.to_table(**options)
        except (pa.ArrowInvalid, OSError) as error:
            raise XfmrError(f"cannot read {self.path()}: {line_of(error)}") from error

    def write_table(self, name: str, table: pa.Table, **options: Any) -> None:
        """Write a Parquet file, zstd-compressed; ``options`` go to :func:`pyarrow.parquet.write_table`."""
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", **options)
        self.write(name, sink.getvalue())

    def _failure(self, verb: str, name: str, error: Exception) -> XfmrError:
        return XfmrError(f"cannot {verb} {self.path(name)}: {line_of(error)}")
