"""The fields of a record, each parsed from its JSON value; all functions raise :class:`UnusableError`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.records.quick import quick_numbers
from xfmr.records.record import Reason, UnusableError
from xfmr.schema import path_segment

SENSOR_KEY = "sensor_id"
SIGNAL_KEY = "signal_value"
TIME_KEYS = ("data_time", "dataTime", "timestamp", "acq_time", "time")
KEYS = frozenset((SENSOR_KEY, SIGNAL_KEY, *TIME_KEYS))

# As part of a path: a file system allows 255 bytes, of which `sensor_id=` takes ten.
MAX_SENSOR_ID_BYTES = 240
# Not allowed in an identity: control characters, and lone surrogates, which no UTF-8 column can hold.
_BAD_IN_ID = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_IN_NUMBERS = b"0123456789.,+-eE \t\n\v\f\r"

_FLOAT32_MAX = float(np.finfo(np.float32).max)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Times in 64-bit nanoseconds, as in pandas and Arrow, overflow in the course of this day.
_END_OF_TIME = datetime(2262, 4, 11, tzinfo=UTC)
# Numbers from here on are milliseconds: this is the year 5138 in seconds, and 1973 in milliseconds.
_FIRST_MILLISECONDS = 1e11
_CALENDAR_TIME = re.compile(r"(\d{4})([-/]?)(\d\d)\2(\d\d)(?:[T ](.+))?", re.ASCII)
# A string with any other number of digits could be a compact date, such as 20240301 or 202403010800.
_EPOCH_TIME = re.compile(r"(?:\d{10}|\d{13})(?:\.\d+)?", re.ASCII)


def sensor_id_of(fields: Mapping[str, object]) -> str:
    """Return the sensor's id as written, an integer as text."""
    return _identity_of(fields, SENSOR_KEY, Reason.MISSING_SENSOR_ID, Reason.BAD_SENSOR_ID)


def unit_of(fields: Mapping[str, object], field: str) -> str:
    """Return the unit as written in a field, an integer as text."""
    return _identity_of(fields, field, Reason.MISSING_UNIT, Reason.BAD_UNIT)


def is_identity(text: str) -> bool:
    """Return True if a text can name a unit or a sensor: printable, not blank, and short enough for a path."""
    if not text.strip() or _BAD_IN_ID.search(text):
        return False
    return len(path_segment(text).encode()) <= MAX_SENSOR_ID_BYTES


def _identity_of(fields: Mapping[str, object], key: str, missing: Reason, bad: Reason) -> str:
    if key not in fields:
        raise UnusableError(missing)
    value = fields[key]
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not is_identity(text):
        raise UnusableError(bad)
    return text


def data_time_of(fields: Mapping[str, object]) -> datetime:
    """Return the time in UTC, from the first of :data:`TIME_KEYS` that is present.

    Either ISO 8601 (naive times are UTC; a space in place of the T and slashes in the date are accepted), or an epoch
    in seconds or, from 1e11 on, milliseconds, also as a string of 10 or 13 digits.
    """
    key = next((key for key in TIME_KEYS if key in fields), None)
    if key is None:
        raise UnusableError(Reason.MISSING_DATA_TIME)
    value = fields[key]
    try:
        time = _time_of_text(value.strip()) if isinstance(value, str) else _time_of_number(value)
    except (ValueError, OverflowError):
        raise UnusableError(Reason.BAD_DATA_TIME) from None
    if not _EPOCH <= time < _END_OF_TIME:
        raise UnusableError(Reason.BAD_DATA_TIME)
    return time


def signal_of(fields: Mapping[str, object]) -> NDArray[np.float64]:
    """Return the signal at its true length, from a list or a string of numbers that are finite as float32."""
    if SIGNAL_KEY not in fields:
        raise UnusableError(Reason.MISSING_SIGNAL)
    values = _values(fields[SIGNAL_KEY])
    if values.size == 0:
        raise UnusableError(Reason.EMPTY_SIGNAL)
    if not (values.min() >= -_FLOAT32_MAX and values.max() <= _FLOAT32_MAX):  # also false if one is NaN
        raise UnusableError(Reason.NON_FINITE_SIGNAL)
    return values


def _time_of_text(text: str) -> datetime:
    if match := _CALENDAR_TIME.fullmatch(text):
        year, _, month, day, clock = match.groups(default="00:00")
        time = datetime.fromisoformat(f"{year}-{month}-{day}T{clock}")
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    if _EPOCH_TIME.fullmatch(text):
        return _time_of_number(float(text))
    raise ValueError(text)


def _time_of_number(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    return _EPOCH + (timedelta(milliseconds=value) if value >= _FIRST_MILLISECONDS else timedelta(seconds=value))


def _values(value: object) -> NDArray[np.float64]:
    if isinstance(value, str):
        return _values_of_text(value)
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, list) or not set(map(type, value)) <= {int, float}:
        raise UnusableError(Reason.BAD_SIGNAL)
    try:
        return np.array(value, dtype=np.float64)
    except OverflowError:
        raise UnusableError(Reason.NON_FINITE_SIGNAL) from None


def _values_of_text(text: str) -> NDArray[np.float64]:
    """Parse comma-separated numbers, with or without brackets around them and a trailing comma."""
    body = text.strip()
    if body.startswith("[") and body.endswith("]"):
        body = body[1:-1].strip()
    if not body:
        return np.empty(0)
    body = body.removesuffix(",")
    if "n" in body or "N" in body:  # checked first, so that a rejected line costs no more than a kept one
        raise UnusableError(_reason_of_word(body))
    values = quick_numbers(body)
    return _numbers(body) if values is None else values


def _reason_of_word(body: str) -> Reason:
    """Return the reason for the first word with an n: ``nan`` and ``inf`` are numbers, any other word is not."""
    first = min(body.find(letter) % len(body) for letter in "nN" if letter in body)
    word = body[body.rfind(",", 0, first) + 1 :].partition(",")[0]
    try:
        float(word)
    except ValueError:
        return Reason.BAD_SIGNAL
    return Reason.NON_FINITE_SIGNAL


def _numbers(body: str) -> NDArray[np.float64]:
    """Parse numbers that JSON does not allow, such as ``+.5``, ``1.`` and ``nan``, with spaces around them."""
    if not body.isascii() or ",," in f",{body}," or body.encode().translate(None, _IN_NUMBERS):
        raise UnusableError(Reason.BAD_SIGNAL)
    tokens = pc.ascii_trim_whitespace(pc.split_pattern(pa.array([body]), ",").values)
    try:
        numbers: NDArray[np.float64] = pc.cast(tokens, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        raise UnusableError(Reason.BAD_SIGNAL) from None
    return numbers
