"""A file that is cut anywhere gives the same records, rejects and line numbers as the whole."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xfmr.records import LineRange, Record, Reject, can_be_cut, read_records

LIMIT = 120
GOOD = json.dumps({"sensor_id": "s1", "data_time": "2024-03-01T08:00:00Z", "signal_value": "1.5,-2"}).encode()

Found = tuple[int, str]

lines = st.lists(
    st.one_of(
        st.just(GOOD),
        st.sampled_from([b"", b" ", b"{", b"\r", b"\xef\xbb\xbf", GOOD + b"\r", b"\x00"]),
        st.integers(LIMIT - 2, 3 * LIMIT).map(lambda n: b"x" * n),
    ),
    max_size=8,
)


def read(data: bytes, part: LineRange | None = None) -> list[Found]:
    """Read lines: number of each, and its sensor or reason."""
    items = read_records(io.BytesIO(data), name="a.jsonl", part=part, max_line_bytes=LIMIT)
    return [
        (item.line, item.sensor_id if isinstance(item, Record) else f"{item.reason} {item.start}") for item in items
    ]


def read_cut(data: bytes, edges: list[int]) -> list[Found]:
    """Read all ranges between edges, each knowing how many lines precede it."""
    found, before = [], 0
    for start, stop in pairwise([0, *sorted({edge for edge in edges if edge < len(data)} - {0}), len(data)]):
        part = LineRange(start, stop, before)
        found += read(data, part)
        before += part.count_newlines(io.BytesIO(data))
    return found


@given(lines=lines, ended=st.booleans(), edges=st.lists(st.integers(0, 1000), max_size=12))
@example(lines=[b"x" * 5000], ended=False, edges=list(range(0, 5000, 7)))
def test_it_does_not_matter_where_a_file_is_cut(lines: list[bytes], ended: bool, edges: list[int]) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    assert read_cut(data, edges) == read(data)


def test_a_file_cut_at_every_byte() -> None:
    data = b"\xef\xbb\xbf" + GOOD + b"\r\n\n" + b"y" * (LIMIT + 1) + b"\n" + GOOD
    assert [number for number, _ in read(data)] == [1, 3, 4]
    assert read_cut(data, list(range(len(data)))) == read(data)


class Watched(io.BytesIO):
    """Counts the bytes that are read."""

    n_read = 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n = super().readinto(buffer)
        self.n_read += n
        return n


@pytest.mark.parametrize("start", [0, 2**24])
def test_a_file_without_a_line_end_is_not_read_to_its_end_by_every_part(start: int) -> None:
    stream = Watched(b"x" * 2**26)
    part = LineRange(start, start + 2**20, 0)
    found = list(read_records(stream, name="a.jsonl", part=part, max_line_bytes=2**21))
    assert [str(item.reason) for item in found if isinstance(item, Reject)] == ["line_too_long"] * (start == 0)
    assert stream.n_read <= 2**24


def test_what_can_be_cut() -> None:
    assert all(map(can_be_cut, ["a.jsonl", "b/A.JSONL"]))
    assert not any(map(can_be_cut, ["a.json", "a.jsonl.gz", "a.json.gz"]))
