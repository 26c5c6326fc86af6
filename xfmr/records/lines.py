"""Parsing of one line, or of one element of a JSON document, to a record or a reject."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set

import numpy as np

from xfmr.records.fields import KEYS, SIGNAL_KEY, data_time_of, sensor_id_of, signal_of, unit_of
from xfmr.records.quick import quick_fields
from xfmr.records.record import START_CHARACTERS, ParseOptions, Reason, Record, Reject, UnusableError

_NOT_FINITE = np.full(1, np.nan)
_DEFAULT = ParseOptions()


def parse_line(line: bytes, *, line_number: int, options: ParseOptions = _DEFAULT) -> Record | Reject:
    """Parse one line, with or without line end and byte order mark.

    Args:
        line: A JSON object with ``sensor_id``, ``signal_value`` and one of :data:`~xfmr.records.TIME_KEYS`; further
            keys are ignored, and the last of repeated keys counts.
        line_number: ``line`` of the result.
        options: How the record is to be read.
    """
    try:
        return _record(_fields(line, options), line_number, options)
    except UnusableError as error:
        return Reject(error.reason, line_number, start_of(line))


def parse_element(element: object, *, position: int, options: ParseOptions = _DEFAULT) -> Record | Reject:
    """Turn one decoded element of a JSON document into a record; ``position`` becomes its ``line``."""
    try:
        return _record(element, position, options)
    except UnusableError as error:
        return Reject(error.reason, position, _start_of_element(element))


def _fields(line: bytes, options: ParseOptions) -> object:
    keys = KEYS if options.unit_field is None else KEYS | {options.unit_field}
    fields = quick_fields(line, keys)
    if fields is None:
        fields = _fields_with_no_finite_list(line, keys)
    return decode_json(line) if fields is None else fields


def _fields_with_no_finite_list(line: bytes, keys: Set[str]) -> dict[str, object] | None:
    """Decode a line whose signal is a list with NaN or Infinity, which Python's ``json`` writes and JSON forbids."""
    if b"N" not in line and b"I" not in line:  # a single byte is found ten times as fast as a word
        return None
    line = line.replace(b"NaN", b"null")
    if b"I" in line:
        line = line.replace(b"-Infinity", b"null").replace(b"Infinity", b"null")
    fields = quick_fields(line, keys)
    if fields is None or fields.get(SIGNAL_KEY, ()) is not None:
        return None
    return {**fields, SIGNAL_KEY: _NOT_FINITE}


def decode_json(text: bytes) -> object:
    """Decode a JSON document in full; the last of repeated keys counts.

    Raises:
        UnusableError: If it is not UTF-8 or not JSON.
    """
    try:
        return json.loads(text.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UnusableError(Reason.INVALID_ENCODING) from None
    except (ValueError, RecursionError):
        raise UnusableError(Reason.INVALID_JSON) from None


def start_of(line: bytes) -> str:
    """Return the first characters of a line, for people."""
    # A character has at most 4 bytes and a byte order mark 3, so no character that is kept is cut.
    text = line[: 4 * START_CHARACTERS + 3].decode("utf-8-sig", errors="replace")
    return text.rstrip("\r\n")[:START_CHARACTERS]


def _start_of_element(element: object) -> str:
    # Encoded piece by piece, since an element may be large or deeply nested.
    start = ""
    for piece in json.JSONEncoder(ensure_ascii=False).iterencode(element):
        start += piece
        if len(start) >= START_CHARACTERS:
            break
    return start_of(start.encode(errors="replace"))


def _record(fields: object, line: int, options: ParseOptions) -> Record:
    if not isinstance(fields, Mapping):
        raise UnusableError(Reason.NOT_AN_OBJECT)
    unit = "" if options.unit_field is None else unit_of(fields, options.unit_field)
    sensor_id = sensor_id_of(fields)
    data_time = data_time_of(fields)
    values = signal_of(fields)
    signal = np.zeros(options.record_length, np.float32)
    signal[: values.size] = values[: signal.size]
    return Record(unit, sensor_id, data_time, signal, values.size, line)
