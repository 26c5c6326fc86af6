"""The result of parsing a line: a record, or a reject with its reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from xfmr.schema import RECORD_LENGTH

START_CHARACTERS = 200


class Reason(StrEnum):
    """Reasons why a line is not a usable record; ``meaning`` explains each in one line."""

    meaning: str

    def __new__(cls, value: str, meaning: str = "") -> Self:
        """Make a member equal to the text ``value``, with a ``meaning``; a look-up needs only the value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    INVALID_JSON = "invalid_json", "The line (or the .json file) is not JSON, for example because it is cut off."
    NOT_AN_OBJECT = "not_an_object", "It is JSON, but a list, text, number or null instead of an object."
    MISSING_SENSOR_ID = "missing_sensor_id", "The object has no sensor_id."
    BAD_SENSOR_ID = "bad_sensor_id", "sensor_id is neither text nor an integer, or blank, overlong or unprintable."
    MISSING_UNIT = "missing_unit", "The object has no field of the name that --unit-from gives."
    BAD_UNIT = "bad_unit", "The unit is neither text nor an integer, or blank, overlong or unprintable."
    MISSING_DATA_TIME = "missing_data_time", "The object has none of the keys that name its time."
    BAD_DATA_TIME = "bad_data_time", "The time is neither ISO 8601 nor an epoch, or lies outside 1970 to 2262."
    MISSING_SIGNAL = "missing_signal", "The object has no signal_value."
    BAD_SIGNAL = "bad_signal", "signal_value is not a list of numbers, or something in the list is not a number."
    EMPTY_SIGNAL = "empty_signal", "signal_value holds no number at all."
    NON_FINITE_SIGNAL = "non_finite_signal", "A value is NaN or infinite, or too large for float32."
    INVALID_ENCODING = "invalid_encoding", "The bytes are not UTF-8."
    LINE_TOO_LONG = "line_too_long", "The line is longer than the limit and was skipped."
    DOCUMENT_TOO_LONG = "document_too_long", "The .json file is too long to be read whole: write it as .jsonl."
    UNREADABLE_FILE = (
        "unreadable_file",
        "From here on the file cannot be read: damaged gzip, or it may not be opened.",
    )


@dataclass(frozen=True)
class ParseOptions:
    """How the records of an archive are to be read.

    Args:
        record_length: Samples to which signals are zero-padded or cut.
        unit_field: Name of the field that holds the unit; None if no field does.
    """

    record_length: int = RECORD_LENGTH
    unit_field: str | None = None


class UnusableError(Exception):
    """Carries the reason from the parser of a field to the parser of the line."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One sensor at one time.

    Attributes:
        unit: As written in the record's field; empty if no field holds it.
        sensor_id: As written: any printable text, even ``../../etc``, so never use it as a path.
        data_time: Aware, in UTC, to the microsecond.
        signal: float32 (length,), zero-padded or cut.
        n_samples: True length of the signal.
        line: 1-based line of a ``.jsonl`` file, or position of the record in a ``.json`` file.
    """

    unit: str
    sensor_id: str
    data_time: datetime
    signal: NDArray[np.float32]
    n_samples: int
    line: int


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is not a usable record.

    Attributes:
        reason: The first problem with it.
        line: As in :class:`Record`.
        start: Its first :data:`START_CHARACTERS` characters, undecodable bytes replaced.
    """

    reason: Reason
    line: int
    start: str


def record_id(signal: NDArray[np.float32]) -> int:
    """Return a signed 64-bit hash of a signal's values, the same on every machine and for 0.0 and -0.0.

    BLAKE2b with an 8-byte digest over the little-endian float32 values, the digest read as little-endian.
    """
    positive_zeros = signal.astype(np.float32, copy=False) + np.float32(0)
    digest = hashlib.blake2b(positive_zeros.astype("<f4", copy=False).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
