"""An archive: its files, the groups they are processed in, and the ledger of those that are finished."""

from xfmr.archive.listing import ArchiveFile, check_apart, list_archive, parse_archives

__all__ = ["ArchiveFile", "check_apart", "list_archive", "parse_archives"]
