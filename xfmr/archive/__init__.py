"""An archive: its files, the groups they are processed in, and the ledger of finished groups."""

from xfmr.archive.listing import ArchiveFile, check_apart, list_archive, parse_archives

__all__ = ["ArchiveFile", "check_apart", "list_archive", "parse_archives"]
