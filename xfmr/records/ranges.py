"""A range of a file's bytes as a unit of work: the lines that start within it."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

_BLOCK_BYTES = 8 * 2**20


class LineRange(NamedTuple):
    """The lines of a file that start in a range of its bytes.

    Consecutive ranges share out the lines wherever their edges fall: a line that extends beyond its range is read to
    its end, and the byte before a range tells whether a line starts at its first byte.

    Attributes:
        start: First byte.
        stop: One past the last byte.
        lines_before: Number of line ends before :attr:`begin`; None until they are counted.
    """

    start: int
    stop: int
    lines_before: int | None = None

    @property
    def begin(self) -> int:
        """First byte to read: the one before the range, if there is one."""
        return max(0, self.start - 1)

    def count_newlines(self, stream: BinaryIO) -> int:
        """Count the line ends up to the :attr:`begin` of the next range, in a seekable file."""
        stream.seek(self.begin)
        left, newlines = self.stop - 1 - self.begin, 0
        while left > 0 and (block := stream.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            newlines += block.count(b"\n")
        return newlines
