"""The fast path: simdjson for plain lines, and None for anything doubtful.

A slower parser then decides, so nothing valid is rejected here and no reason is given.

Why simdjson: time in ms a line, measured on real lines of 8192 numbers (70 kB) on one core of an AMD EPYC.

- The object: simdjson 0.011, orjson 0.044, json 0.075.
- The numbers in its text: simdjson 0.11; pyarrow split and cast 0.30; orjson 0.35; pyarrow.csv 0.61; pandas.read_csv
  0.66; numpy.fromstring 1.5, which is lenient and deprecated; numpy.loadtxt 1.7; json 1.7; float() of each token 1.8;
  numpy.array of the tokens 2.5.
- A whole line through :func:`xfmr.records.parse_line`: 0.13, or 0.45 if pyarrow has to parse the numbers. Rejected
  lines: 0.02 to 0.15, but 0.45 if the text has only characters of numbers, as in ``1 2``, and 1.8 if only ``json``
  can tell the problem with a list.
"""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import cast

import numpy as np
import simdjson
from numpy.typing import NDArray

# A parser keeps memory of about ten times its longest document; longer documents are left to Python's parsers.
_MAX_BYTES = 2**22
_REFUSALS = (ValueError, TypeError, RuntimeError)


class _Parsers(threading.local):
    """Two simdjson parsers for each thread.

    A parser owns its document and refuses to parse another while any part of it is alive. So each parser serves one
    function, which releases the document before it returns. If something else keeps one alive, such as a debugger,
    the refusal only sends the next line to the slower parsers.
    """

    def __init__(self) -> None:
        self.lines = simdjson.Parser(_MAX_BYTES)
        self.numbers = simdjson.Parser(_MAX_BYTES)


_PARSERS = _Parsers()


def quick_fields(line: bytes, keys: Set[str]) -> dict[str, object] | None:
    """Return the fields of a JSON object that are in ``keys``.

    Lists of numbers become float64 arrays, and any other list None.
    """
    try:
        document = _PARSERS.lines.parse(line)
        if not isinstance(document, simdjson.Object):
            return None
        present = list(document)
        if len(set(present)) < len(present):
            return None
        fields: dict[str, object] = {key: document[key] for key in present if key in keys}
        for key, value in fields.items():
            if isinstance(value, simdjson.Object):
                return None
            if isinstance(value, simdjson.Array):
                fields[key] = _numbers_of(value)
                if fields[key] is not None and line.count(b"[") > 1:
                    return None  # a nested list would be flattened; with one bracket there is none
    except _REFUSALS:
        return None
    return fields


def _numbers_of(value: simdjson.Array) -> NDArray[np.float64] | None:
    """Return a list of numbers, or None if it holds anything else."""
    if len(value) > 0 and isinstance(value[0], simdjson.Array):
        return None
    try:
        return np.frombuffer(value.as_buffer(of_type="d"))
    except TypeError:
        return None


def quick_numbers(body: str) -> NDArray[np.float64] | None:
    """Return comma-separated numbers if all are written as in JSON, otherwise None."""
    if not body or "[" in body:
        return None
    try:
        numbers = cast(simdjson.Array, _PARSERS.numbers.parse(f"[{body}]"))
        return np.frombuffer(numbers.as_buffer(of_type="d"))
    except _REFUSALS:
        return None
