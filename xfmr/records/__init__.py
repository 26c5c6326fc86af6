"""Records of one file: bytes in, a :class:`Record` or a :class:`Reject` out for every line that is not blank.

Parsing is strict, and the content of a file never raises: a line that is not a usable record becomes a
:class:`Reject` with a :class:`Reason`.
"""

from xfmr.records.fields import MAX_SENSOR_ID_BYTES, TIME_KEYS, is_identity
from xfmr.records.files import MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, read_records
from xfmr.records.formats import FORMATS, can_be_cut, endings_in_words, format_of, is_packed, is_record_file
from xfmr.records.lines import parse_line
from xfmr.records.ranges import LineRange
from xfmr.records.record import START_CHARACTERS, ParseOptions, Reason, Record, Reject, record_id

__all__ = [
    "FORMATS",
    "MAX_DOCUMENT_BYTES",
    "MAX_LINE_BYTES",
    "MAX_SENSOR_ID_BYTES",
    "START_CHARACTERS",
    "TIME_KEYS",
    "LineRange",
    "ParseOptions",
    "Reason",
    "Record",
    "Reject",
    "can_be_cut",
    "endings_in_words",
    "format_of",
    "is_identity",
    "is_packed",
    "is_record_file",
    "parse_line",
    "read_records",
    "record_id",
]
