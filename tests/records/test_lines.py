"""One line to a record or a reject: fields, reasons, padding, identity."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xfmr.records import ParseOptions, Reason, Record, Reject, parse_line, record_id

TIME = "2024-03-01T08:00:00Z"
GOOD = {"sensor_id": "s1", "data_time": TIME, "signal_value": "1.5,-2,3e-1"}
# The last two are too long for a folder name, the slashes once they are percent-encoded.
BAD_IDS = ("", " ", None, True, 1.0, [], {}, "x" * 241, "/" * 81)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def float32(values: Any) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def line_of(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def line_without(key: str) -> bytes:
    return json.dumps({name: value for name, value in GOOD.items() if name != key}).encode()


def parse(line: bytes, length: int = 4) -> Record | Reject:
    return parse_line(line, line_number=7, options=ParseOptions(length))


def record(line: bytes, length: int = 4) -> Record:
    result = parse(line, length)
    assert isinstance(result, Record), result
    return result


def test_a_line_becomes_a_record() -> None:
    result = record(line_of())
    assert (result.sensor_id, result.n_samples, result.line) == ("s1", 3, 7)
    assert result.data_time == datetime(2024, 3, 1, 8, tzinfo=UTC)
    assert result.data_time.utcoffset() == timedelta(0)
    assert result.signal.dtype == np.float32
    np.testing.assert_array_equal(result.signal, float32([1.5, -2, 0.3, 0]))


REJECTED = [
    (b'{"sensor_id": "s1", "signal_value": "1.0,2.', Reason.INVALID_JSON),
    (b"", Reason.INVALID_JSON),
    (b"\x00\x00", Reason.INVALID_JSON),
    (b"[" * 100_000, Reason.INVALID_JSON),
    (line_of() + line_of(), Reason.INVALID_JSON),
    (b"[1, 2]", Reason.NOT_AN_OBJECT),
    (b"null", Reason.NOT_AN_OBJECT),
    (b"NaN", Reason.NOT_AN_OBJECT),
    (line_without("sensor_id"), Reason.MISSING_SENSOR_ID),
    *((line_of(sensor_id=value), Reason.BAD_SENSOR_ID) for value in BAD_IDS),
    *((line_of(sensor_id=value), Reason.BAD_SENSOR_ID) for value in ("a\n", "\x00", "\x9f", "\ud800")),
    (line_without("data_time"), Reason.MISSING_DATA_TIME),
    *((line_of(data_time=value), Reason.BAD_DATA_TIME) for value in (None, True, [], {}, "", "noon", "24-03-01")),
    *((line_of(data_time=value), Reason.BAD_DATA_TIME) for value in ("2024-02-30", "2024-03/01", "2024-03-01_08:00")),
    *(
        (line_of(data_time=value), Reason.BAD_DATA_TIME)
        for value in ("1969-12-31T23:59:59", "2262-04-11", "0001-01-01")
    ),
    *((line_of(data_time=value), Reason.BAD_DATA_TIME) for value in (-1, 1e10, 1e300, float("nan"), 10**30)),
    *(
        (line_of(data_time=value), Reason.BAD_DATA_TIME)
        for value in ("202403010800", "٢٠٢٤-03-01", "0001-01-01T00+23")
    ),
    (line_without("signal_value"), Reason.MISSING_SIGNAL),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in (None, True, 3, {}, {"a": [1]})),
    *(
        (line_of(signal_value=value), Reason.BAD_SIGNAL)
        for value in ("1,x", "1,,2", "1,2,,", ",1", ",", "1 2", "1;2")
    ),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in ("[1,2", "1]", "[[1,2]]", "1,[2],3", "1],[2")),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in ("1_0", "١,٢", "0x10", "true", "1,null", '"1"')),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in ([1, True], [1, "2"], [None], [[1, 2]], [[], 1])),
    *((line_of(signal_value=value), Reason.EMPTY_SIGNAL) for value in ("", " ", "[]", "[ ]", [])),
    *((line_of(signal_value=value), Reason.NON_FINITE_SIGNAL) for value in ("1,nan", "inf", "-Infinity", "1e999")),
    *(
        (line_of(signal_value=value), Reason.NON_FINITE_SIGNAL)
        for value in ("3.5e38", [3.5e38], [10**400], "1" * 400)
    ),
    *((line_of(signal_value=[1, float(value)]), Reason.NON_FINITE_SIGNAL) for value in ("nan", "inf", "-inf")),
    (b'{"data_time": "2024-03-01T08:00:00Z", "signal_value": [1, NaN]}', Reason.MISSING_SENSOR_ID),
    (line_of(data_time="noon", signal_value=[1, float("inf")]), Reason.BAD_DATA_TIME),
    (line_of(signal_value="0,0,0,0,0,0,nan"), Reason.NON_FINITE_SIGNAL),
    *((line_of(signal_value=value), Reason.NON_FINITE_SIGNAL) for value in ("NaN,x", "1, -nan ,2", "+INF,1")),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in ("x,1,2n,nan", "1nan", "na,n", "1,[nan]", "n")),
    *((line_of(signal_value=value), Reason.BAD_SIGNAL) for value in ([1, {}], [[1], "a"], [1, 2, None])),
    (line_of().replace(b"s1", b"\xff\xfe"), Reason.INVALID_ENCODING),
    (line_of().decode().encode("utf-16"), Reason.INVALID_ENCODING),
]


@pytest.mark.parametrize(("line", "reason"), REJECTED)
def test_a_line_that_is_no_record_says_why(line: bytes, reason: Reason) -> None:
    start = line[:200].decode("utf-8-sig", errors="replace")
    assert parse(line) == Reject(reason, 7, start)


def test_every_reason_is_reached_and_has_a_meaning() -> None:
    of_files = {Reason.LINE_TOO_LONG, Reason.DOCUMENT_TOO_LONG, Reason.UNREADABLE_FILE}
    of_units = {Reason.MISSING_UNIT, Reason.BAD_UNIT}
    assert {reason for _, reason in REJECTED} == set(Reason) - of_files - of_units
    assert all(reason.meaning.endswith(".") and Reason(str(reason)) is reason for reason in Reason)


def test_the_start_of_a_reject_is_200_characters() -> None:
    result = parse("é".encode() * 300 + b"\r\n")
    assert isinstance(result, Reject)
    assert result.start == "é" * 200


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-03-01T08:00:00", datetime(2024, 3, 1, 8)),
        ("2024-03-01 08:00:00.25", datetime(2024, 3, 1, 8, 0, 0, 250_000)),
        ("2024-03-01T08:00:00.123456789Z", datetime(2024, 3, 1, 8, 0, 0, 123_456)),
        ("2024-03-01T08:00:00+08:00", datetime(2024, 3, 1, 0)),
        ("2024-03-01T08:00-0130", datetime(2024, 3, 1, 9, 30)),
        ("2024/03/01 08:00:00", datetime(2024, 3, 1, 8)),
        ("20240301T080000Z", datetime(2024, 3, 1, 8)),
        (" 2024-03-01 ", datetime(2024, 3, 1)),
        ("20240301", datetime(2024, 3, 1)),
        (1709280000, datetime(2024, 3, 1, 8)),
        (1709280000.5, datetime(2024, 3, 1, 8, 0, 0, 500_000)),
        (1709280000123, datetime(2024, 3, 1, 8, 0, 0, 123_000)),
        ("1709280000", datetime(2024, 3, 1, 8)),
        ("1709280000123", datetime(2024, 3, 1, 8, 0, 0, 123_000)),
        (0, datetime(1970, 1, 1)),
        ("2262-04-10T23:59:59", datetime(2262, 4, 10, 23, 59, 59)),
    ],
)
def test_times_are_read_as_utc(written: object, expected: datetime) -> None:
    assert record(line_of(data_time=written)).data_time == expected.replace(tzinfo=UTC)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2262, 1, 1)), st.integers(-1439, 1439))
@settings(max_examples=50)
def test_any_time_with_an_offset_survives(naive: datetime, minutes: int) -> None:
    time = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    result = record(line_of(data_time=time.isoformat()))
    assert result.data_time == time
    assert result.data_time.tzinfo is UTC


@pytest.mark.parametrize("key", ["dataTime", "timestamp", "acq_time", "time"])
def test_the_time_has_other_names(key: str) -> None:
    assert record(json.dumps({"sensor_id": "a", key: TIME, "signal_value": [1]}).encode()).data_time.year == 2024


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("../../etc", "../../etc"),
        (12, "12"),
        (2**70, str(2**70)),
        ("变压器 #1", "变压器 #1"),
        *((text, text) for text in ("x" * 240, "/" * 80, "压" * 80)),
    ],
)
def test_sensor_ids_are_kept_as_text(written: object, expected: str) -> None:
    assert record(line_of(sensor_id=written)).sensor_id == expected


@pytest.mark.parametrize(
    "written",
    ["1,2,3", "[1,2,3]", " [ 1 , 2 , 3 ] ", "1,2,3,", "[1.0,2e0,3,]", "+1,2.,3", "1,02,.3e1", [1, 2.0, 3]],
)
def test_all_ways_to_write_a_signal(written: object) -> None:
    np.testing.assert_array_equal(record(line_of(signal_value=written)).signal, float32([1, 2, 3, 0]))


@pytest.mark.parametrize("n_samples", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("as_text", [True, False])
def test_padding_and_cutting_keep_the_true_length(n_samples: int, as_text: bool) -> None:
    values = list(range(1, n_samples + 1))
    result = record(line_of(signal_value=",".join(map(str, values)) if as_text else values))
    assert result.n_samples == n_samples
    np.testing.assert_array_equal(result.signal, float32([*values, 0, 0, 0][:4]))


@given(st.lists(FLOATS, min_size=1, max_size=40), st.booleans())
@settings(max_examples=100)
def test_values_survive_as_float32(values: list[float], as_text: bool) -> None:
    written = ",".join(map(repr, values)) if as_text else values
    result = record(line_of(signal_value=written), length=len(values))
    np.testing.assert_array_equal(result.signal, float32(values))


def test_doubtful_lines_are_decided_by_the_slower_parser() -> None:
    twice = b'{"sensor_id": "first", "sensor_id": "last", "data_time": 0, "signal_value": [1]}'
    assert record(twice).sensor_id == "last"
    assert record(line_of(signal_value=[1, 2], other=[[float("nan")], "["])).n_samples == 2
    assert record(line_of(other="\ud800")).sensor_id == "s1"
    assert record(line_of(sensor_id="NaN", time=[float("nan")], signal_value=[1])).sensor_id == "NaN"
    assert record(line_of(sensor_id="Infinity", other=float("nan"))).sensor_id == "Infinity"
    assert record(line_of(signal_value="1," * 2_200_000)).n_samples == 2_200_000


def test_threads_do_not_disturb_each_other() -> None:
    found: list[bool] = []

    def work(value: int) -> None:
        line = line_of(signal_value=",".join([str(value)] * 2000))
        found.extend(bool((record(line, 2000).signal == value).all()) for _ in range(50))

    threads = [Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 200


def test_record_id_is_of_the_values() -> None:
    signal = float32([0.0, 1.5, -2])
    assert record_id(signal) == -4916767606298111813
    assert record_id(float32([-0.0, 1.5, -2])) == record_id(signal)
    assert record_id(signal.astype(">f4")) == record_id(signal)
    assert record_id(signal[::-1]) != record_id(signal)
    assert len({record_id(float32([i])) for i in range(1000)}) == 1000


GOOD_TOKENS = ["1", "-2.5", "+3", "1.", ".5", "-.5e-3", " 7", "8 ", "\t9", "01"]
TOKENS = [*GOOD_TOKENS, "nan", "-inf", "1e999", "--1", "1.2.3", "", "x"]


@settings(max_examples=200, deadline=None)
@given(tokens=st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6))
def test_numbers_are_what_float_says(tokens: list[str]) -> None:
    """Whichever parser ends up with them; a single comma behind the last is no number more."""
    result = parse(line_of(signal_value=",".join(tokens)), length=8)
    if len(tokens) > 1 and tokens[-1] == "":
        tokens = tokens[:-1]
    try:
        expected = [float(token) for token in tokens]
    except ValueError:
        expected = []
    if not expected:
        assert isinstance(result, Reject)
        words = {Reason.NON_FINITE_SIGNAL} if {"nan", "-inf"} & set(tokens) else set()
        assert result.reason in {Reason.BAD_SIGNAL, Reason.EMPTY_SIGNAL} | words
    elif not np.isfinite(float32(expected)).all():
        assert isinstance(result, Reject)
        assert result.reason == Reason.NON_FINITE_SIGNAL
    else:
        assert isinstance(result, Record)
        assert result.signal[: len(expected)].tolist() == float32(expected).tolist()


def test_each_record_has_a_signal_of_its_own() -> None:
    values = [{"signal_value": value} for value in ("1,x", "1,nan", "5", "6")]
    lines = [line_of(sensor_id=""), *(line_of(**value) for value in values)]
    results = [parse_line(line, line_number=1, options=ParseOptions(4)) for line in lines]
    kept = [result for result in results if isinstance(result, Record)]
    assert [result.signal.tolist() for result in kept] == [[5, 0, 0, 0], [6, 0, 0, 0]]
    assert not np.shares_memory(kept[0].signal, kept[1].signal)
