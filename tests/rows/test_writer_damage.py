"""Whatever an archive holds, lines read = kept + quarantined + duplicates, and no good line is lost."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from archives import Run, line
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.archive import reading
from xfmr.records import read_records
from xfmr.rows.row_set import Counts

LIMIT = 1000
"""Longest line in these tests; in earnest it is 64 MiB."""


@dataclass(frozen=True)
class Text:
    """One line, without its end.

    Attributes:
        data: Its bytes.
        key: Sensor and minute of the record that it is; None for what is no record.
    """

    data: bytes
    key: tuple[str, int] | None = None

    @property
    def blank(self) -> bool:
        return not self.data.strip()


@dataclass(frozen=True)
class File:
    """One file: its bytes and the lines that must be found in it.

    Attributes:
        name: Its name.
        data: Its bytes.
        lines: Its lines in order, or the elements of a document.
        cut: Whether its end is lost.
    """

    name: str
    data: bytes
    lines: list[Text]
    cut: bool = False


def good(sensor: str, minute: int) -> Text:
    return Text(line(sensor, minute, [0.5, -1.0, minute / 8, 3e-2]), (sensor, minute))


GOOD = st.builds(good, st.sampled_from(["s1", "s2", "变压器"]), st.integers(0, 4))
GOOD_BYTES = GOOD.map(lambda text: text.data)


def written(**changes: str) -> bytes:
    """Write a record in which the text of some fields is replaced."""
    fields = {"data_time": "1e9", "sensor_id": '"s"', "signal_value": "[1, 2]"} | changes
    return b"{" + b", ".join(f'"{name}": {text}'.encode() for name, text in fields.items()) + b"}"


NUMBERS = ["1e999", "-1e999", "1e39", "NaN", "Infinity", "9" * 400, "0x1", "1.2.3", "--1", "1_0", "٣", "true", "null"]
DAMAGED = st.one_of(
    st.builds(lambda text, share: text[: max(1, int(share * len(text)))], GOOD_BYTES, st.floats(0, 0.99)),
    st.binary(min_size=1, max_size=60).map(lambda junk: junk.replace(b"\n", b"\r") + b"\x00"),
    GOOD_BYTES.map(lambda text: text.decode().encode("utf-16").replace(b"\n", b"")),
    GOOD_BYTES.map(lambda text: text.replace(b'"sensor_id": "', b'"sensor_id": "\xe4')),
    st.integers(LIMIT, 300 * LIMIT).map(lambda n: b"{" + b" " * n + b"}"),
    st.integers(1, LIMIT // 2).map(lambda n: b"[" * n + b"]" * n),
    st.integers(1, LIMIT // 6 - 20).map(lambda n: written(signal_value='{"a":' * n + "1" + "}" * n)),
    st.integers(1, LIMIT // 2 - 50).map(lambda n: written(signal_value="[" * n + "]" * n)),
    st.sampled_from(NUMBERS).map(lambda number: written(signal_value=f"[1, {number}]")),
    st.sampled_from(NUMBERS).map(lambda number: written(signal_value=f'"1, {number}"')),
    st.sampled_from(NUMBERS[:9]).map(lambda number: written(data_time=f'"{number}"')),
    st.sampled_from(["{}", "null", "3", '"text"', "[]", "{'sensor_id': 1}"]).map(str.encode),
).map(Text)
BLANK = st.sampled_from([b"", b" ", b"\t \t"]).map(Text)
LINES = st.lists(st.one_of(GOOD, GOOD, DAMAGED, BLANK), max_size=12)


@st.composite
def line_files(draw: st.DrawFn) -> File:
    """A file of lines: with or without a byte order mark, line ends of either kind, compressed, cut."""
    lines = draw(LINES)
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    data = draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + end.join(text.data for text in lines)
    data += draw(st.sampled_from([b"", end]))
    if not draw(st.booleans()):
        return File("a.jsonl", data, lines)
    packed = gzip.compress(data)
    n_left = draw(st.one_of(st.just(len(packed)), st.integers(1, len(packed) - 1)))
    return File("a.jsonl.gz", packed[:n_left], lines, cut=n_left < len(packed))


ELEMENTS = st.one_of(GOOD, st.sampled_from([b"{}", b"null", b"[[]]", written(signal_value="[1e999]")]).map(Text))


@st.composite
def documents(draw: st.DrawFn) -> File:
    """A ``.json`` file: a list of records, or half of one, which is one thing that cannot be read."""
    elements = draw(st.lists(ELEMENTS, min_size=1, max_size=5))
    data = b"[" + b", ".join(text.data for text in elements) + b"]"
    if draw(st.booleans()):
        return File("a.json", data, elements)
    return File("a.json", data[: draw(st.integers(0, len(data) - 1))], [Text(b"[")])


def write(files: list[File], folder: Path) -> dict[str, File]:
    """Write files into folders of their own, and return them by path."""
    by_path = {f"{i}/{file.name}": file for i, file in enumerate(files)}
    for path, file in by_path.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(file.data)
    return by_path


@settings(max_examples=150, deadline=None)
@given(files=st.lists(st.one_of(line_files(), documents()), max_size=5), one_group=st.booleans())
def test_lines_read_are_kept_quarantined_or_duplicates(files: list[File], one_group: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read_records", partial(read_records, max_line_bytes=LIMIT))
        by_path = write([File("a.jsonl", good("s1", 9).data, [good("s1", 9)]), *files], Path(folder) / "in")
        group_bytes = 10**9 if one_group else 1
        run = Run(Path(folder) / "run", {"": Path(folder) / "in"}, group_bytes=group_bytes, columns=())
        counts = run.featurize()
        quarantined = run.quarantine()
        # How far a cut file can be read is the decompressor's affair; that it was cut must be said once.
        ends = {path: number for path, number, reason in quarantined if reason == "unreadable_file"}
        assert ends.keys() == {path for path, file in by_path.items() if file.cut}
        lines = {
            (path, number): text
            for path, file in by_path.items()
            for number, text in enumerate(file.lines, start=1)
            if not text.blank and number < ends.get(path, len(file.lines) + 1)
        }
        rejects = {place for place, text in lines.items() if not text.key} | set(ends.items())
        assert [(path, number) for path, number, _ in quarantined] == sorted(rejects)
        first = {text.key: place for place, text in sorted(lines.items(), reverse=True) if text.key}
        assert run.kept() == {("", *place) for place in first.values()}
        n_records = sum(text.key is not None for text in lines.values())
        assert counts == Counts(len(lines) + len(ends), len(first), len(rejects), n_records - len(first))
