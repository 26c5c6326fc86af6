"""Files of records: forms, compression, damage, and the real recordings."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from xfmr.records import ParseOptions, Reason, Record, Reject, is_record_file, read_records

ARCHIVE = Path(__file__).resolve().parents[2] / "../shared/data/gearbox/archive"
GOOD = {"sensor_id": "s1", "data_time": "2024-03-01T08:00:00Z", "signal_value": "1.5,-2,3e-1"}


def line_of(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def read(data: bytes | BinaryIO, name: str = "a.jsonl", length: int = 4, **options: int) -> list[Record | Reject]:
    stream = io.BytesIO(data) if isinstance(data, bytes) else data
    return list(read_records(stream, name=name, options=ParseOptions(length), **options))


def outcomes(results: list[Record | Reject]) -> list[str]:
    return [result.sensor_id if isinstance(result, Record) else str(result.reason) for result in results]


def test_record_files_are_known_by_their_ending() -> None:
    assert all(map(is_record_file, ["a.jsonl", "b/a.JSON", "a.jsonl.gz", "a.Json.GZ"]))
    assert not any(map(is_record_file, ["a.csv", "a.gz", "jsonl", "a.jsonl.tmp", "a.json.zst"]))
    with pytest.raises(ValueError, match=r"a\.csv"):
        read(b"", "a.csv")


@pytest.mark.parametrize("name", ["a.jsonl", "A.JSONL.GZ"])
def test_lines_are_counted_and_blank_ones_skipped(name: str) -> None:
    data = b"\xef\xbb\xbf" + line_of() + b"\r\n\r\n  \n{}\n" + line_of(sensor_id="s2") + b'\n{"sens'
    results = read(gzip.compress(data) if name.endswith("GZ") else data, name)
    assert outcomes(results) == ["s1", "missing_sensor_id", "s2", "invalid_json"]
    assert [result.line for result in results] == [1, 4, 5, 6]


@pytest.mark.parametrize("data", [b"", b"\n\r\n \t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"])
def test_a_file_of_blank_lines_has_no_records(data: bytes) -> None:
    assert read(data) == []


def test_a_document_too_long_is_not_read_whole() -> None:
    data = b"[" + line_of() + b"]"
    assert outcomes(read(data, "a.json", max_document_bytes=len(data))) == ["s1"]
    for form, name in ((data, "a.json"), (gzip.compress(data), "a.json.gz")):
        (found,) = read(form, name, max_document_bytes=len(data) - 1)
        assert (outcomes([found]), found.line) == (["document_too_long"], 1)


@pytest.mark.parametrize("extra", [0, 1, 2, 300_000])
def test_a_line_too_long_is_skipped_and_the_next_is_read(extra: int) -> None:
    limit = len(line_of()) + 1
    data = b"x" * (limit - 1 + extra) + b"\n" + line_of() + b"\n"
    expected = "line_too_long" if extra else "invalid_json"
    assert outcomes(read(data, max_line_bytes=limit)) == [expected, "s1"]


BROKEN = [GOOD, {}, 3, {**GOOD, "sensor_id": "s2"}]
OUTCOMES = ["s1", "missing_sensor_id", "not_an_object", "s2"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (GOOD, ["s1"]),
        ({**GOOD, "signal_value": [1, 2]}, ["s1"]),
        (BROKEN, OUTCOMES),
        ({"count": 4, "tags": ["a", 1], "records": BROKEN}, OUTCOMES),
        ({"sensor_id": "s1", "records": [GOOD, GOOD]}, ["s1", "s1"]),
        ({"records": [{"sensor_id": "a"}]}, ["missing_data_time"]),
        ({"a": [GOOD], "b": [GOOD]}, ["missing_sensor_id"]),
        ({**GOOD, "history": [GOOD]}, ["s1"]),
        ([], []),
        (None, ["not_an_object"]),
        ([[GOOD]], ["not_an_object"]),
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_the_forms_of_a_json_file(name: str, document: object, expected: list[str]) -> None:
    data = b"\xef\xbb\xbf" + json.dumps(document, indent=2).encode()
    results = read(gzip.compress(data) if name.endswith("gz") else data, name)
    assert outcomes(results) == expected
    assert [result.line for result in results] == list(range(1, len(expected) + 1))


def test_a_damaged_json_file_is_one_reject() -> None:
    assert read(b"", "a.json") == [Reject(Reason.INVALID_JSON, 1, "")]
    assert read(b'[{"a": 1},', "a.json") == [Reject(Reason.INVALID_JSON, 1, '[{"a": 1},')]
    assert outcomes(read(b"[\xff]", "a.json")) == ["invalid_encoding"]
    assert outcomes(read(gzip.compress(b"[]")[:-9], "a.json.gz")) == ["unreadable_file"]


def test_a_broken_element_shows_its_start() -> None:
    nested: list[Any] = []
    for _ in range(900):
        nested = [nested]
    results = cast(list[Reject], read(json.dumps([{"é": "\ud800"}, nested]).encode(), "a.json"))
    assert results[0].start == '{"é": "?"}'
    assert results[1].start == "[" * 200


def test_half_a_gzip_yields_what_decodes() -> None:
    noise = np.random.default_rng(0).standard_normal((20, 500))
    lines = [line_of(sensor_id=f"s{i}", signal_value=row.tolist()) for i, row in enumerate(noise)]
    whole = gzip.compress(b"\n".join(lines))
    *head, last = read(whole[: len(whole) // 2], "a.jsonl.gz")
    assert outcomes(head) == [f"s{i}" for i in range(len(head))]
    assert 8 <= len(head) <= 10
    assert last == Reject(Reason.UNREADABLE_FILE, len(head) + 1, "")
    wrong_sum = whole[:-8] + bytes(8)
    assert outcomes(read(wrong_sum, "a.jsonl.gz"))[-1] == "unreadable_file"
    assert outcomes(read(b"no gzip", "a.jsonl.gz")) == ["unreadable_file"]
    assert outcomes(read(whole + b"\n" + whole, "a.jsonl.gz"))[-1] == "unreadable_file"
    assert len(read(gzip.compress(lines[0] + b"\n") + gzip.compress(lines[1]), "a.jsonl.gz")) == 2


class FailingDisk(io.RawIOBase):
    """Gives whole lines for a while, then an input/output error."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.lines:
            raise OSError(5, "Input/output error")
        line = self.lines.pop(0)
        buffer[: len(line)] = line
        return len(line)


def test_a_failing_disk_is_for_the_caller_to_try_again() -> None:
    stream = cast(BinaryIO, FailingDisk([line_of() + b"\n", line_of() + b"\n" + line_of()]))
    records = read_records(stream, name="a.jsonl")
    assert [next(records).line, next(records).line] == [1, 2]
    with pytest.raises(OSError, match="Input/output error"):
        next(records)


def test_the_stream_is_left_open_and_may_be_closed_early() -> None:
    stream = io.BytesIO(line_of())
    read(stream)
    assert not stream.closed
    records = read_records(stream, name="a.jsonl")
    stream.seek(0)
    next(records)
    stream.close()
    del records


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_files_of_pyarrow_are_read(tmp_path: Path, name: str) -> None:
    data = line_of() + b"\n" + line_of(sensor_id="s2")
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with fs.LocalFileSystem().open_input_stream(str(path), compression=None) as stream:
        assert outcomes(read(stream, name)) == ["s1", "s2"]


@given(st.binary(max_size=200), st.sampled_from(["a.jsonl", "a.json", "a.jsonl.gz", "a.json.gz"]))
@settings(max_examples=200)
def test_no_bytes_raise(data: bytes, name: str) -> None:
    results = read(data, name)
    if name == "a.jsonl":
        lines = [line.removeprefix(b"\xef\xbb\xbf") for line in data.split(b"\n")]
        assert len(results) == sum(bool(line.strip()) for line in lines)


@given(st.data(), st.booleans())
@settings(max_examples=200)
def test_a_damaged_line_is_one_result_and_its_neighbours_are_whole(data: st.DataObject, as_text: bool) -> None:
    line = line_of(signal_value="1.5,2,3" if as_text else [1.5, 2, 3])
    position = data.draw(st.integers(0, len(line) - 1))
    length = data.draw(st.integers(0, len(line)))
    filling = data.draw(st.binary(max_size=4).map(lambda filling: filling.replace(b"\n", b"")))
    damaged = b"x" * (not position) + line[:position] + filling + line[position + length :]
    first, _, last = read(b"\n".join([line, damaged, line]))
    assert (first.line, last.line) == (1, 3)
    assert outcomes([first, last]) == ["s1", "s1"]


@pytest.mark.skipif(not ARCHIVE.is_dir(), reason=f"the shared gearbox recordings are not at {ARCHIVE}")
def test_the_real_recordings_all_parse() -> None:
    n_records = 0
    for path in sorted(ARCHIVE.rglob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for result, line in zip(read(path.read_bytes(), length=8192), lines, strict=True):
            assert isinstance(result, Record)
            assert (result.sensor_id, result.n_samples) == (line["sensor_id"], 8192)
            np.testing.assert_array_equal(result.signal, np.array(line["signal_value"].split(","), dtype=np.float32))
            n_records += 1
    assert n_records == 148
