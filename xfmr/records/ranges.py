"""A range of a file's bytes as a unit of work: the lines that start within it."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

_BLOCK_BYTES = 8 * 2**20


class LineRange(NamedTuple):
    """The lines of a file that start in a range of its bytes.

    Consecutive ranges share out the lines wherever their edges fall: a line that goes on beyond its range is read to
    its end there, and whether one starts at the first byte of a range is told by the byte before it.

    Attributes:
        start: First byte.
        stop: The byte behind the last.
        lines_before: How many line ends stand before :attr:`begin`; None while they have not been counted.
    """

    start: int
    stop: int
    lines_before: int | None = None

    @property
    def begin(self) -> int:
        """Where reading begins: the byte before the range, where there is one."""
        return max(0, self.start - 1)

    def count_newlines(self, stream: BinaryIO) -> int:
        """Count the line ends from here to where the next range begins to read, of a file that can seek."""
        stream.seek(self.begin)
        left, found = self.stop - 1 - self.begin, 0
        while left > 0 and (block := stream.read(min(left, _BLOCK_BYTES))):
            left -= len(block)
            found += block.count(b"\n")
        return found
