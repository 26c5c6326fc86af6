"""The quick path: simdjson for what is written plainly, and None for whatever leaves a doubt.

The slower parsers that are asked then decide, so nothing valid is refused here and no reason is given.

Why simdjson: measured on real lines of 8192 numbers (70 kB) on one core of an AMD EPYC, in ms a line.

- The object: simdjson 0.011, orjson 0.044, json 0.075.
- The numbers in its text: simdjson 0.11; pyarrow split and cast 0.30; orjson 0.35; a column of pyarrow.csv 0.61, of
  pandas.read_csv 0.66; numpy.fromstring 1.5, which is lenient and deprecated; numpy.loadtxt 1.7; json 1.7; float() a
  token 1.8; numpy.array of the tokens 2.5.
- A whole line through :func:`xfmr.records.parse_line`: 0.13; where pyarrow has to parse the numbers: 0.45. Lines
  that are refused: 0.02 to 0.15, but 0.45 where all of a text's characters may stand in numbers, as in ``1 2``, and
  1.8 where only ``json`` can tell what is wrong with a list.
"""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import cast

import numpy as np
import simdjson
from numpy.typing import NDArray

# A parser keeps about ten times the size of its longest document; longer ones are left to Python's parsers.
_MAX_BYTES = 2**22
_REFUSALS = (ValueError, TypeError, RuntimeError)


class _Parsers(threading.local):
    """Two simdjson parsers for each thread.

    A parser owns what it parsed and refuses to go on while any of it is alive. So each serves one function, which
    lets go of its document before it returns. If something else kept one alive, a debugger for instance, the
    refusal would only send the next line to the slower parsers.
    """

    def __init__(self) -> None:
        self.lines = simdjson.Parser(_MAX_BYTES)
        self.numbers = simdjson.Parser(_MAX_BYTES)


_PARSERS = _Parsers()


def quick_fields(line: bytes, keys: Set[str]) -> dict[str, object] | None:
    """Return those fields of a JSON object that are named in ``keys``.

    Lists of numbers come as float64 arrays, and lists with anything else in them as None.
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
                    return None  # lists within the list would be flattened; where it is the only one there are none
    except _REFUSALS:
        return None
    return fields


def _numbers_of(value: simdjson.Array) -> NDArray[np.float64] | None:
    """Return a list of numbers, or None where there is anything else in it."""
    if len(value) > 0 and isinstance(value[0], simdjson.Array):
        return None
    try:
        return np.frombuffer(value.as_buffer(of_type="d"))
    except TypeError:
        return None


def quick_numbers(body: str) -> NDArray[np.float64] | None:
    """Return comma-separated numbers where all of them are written as JSON writes them."""
    if not body or "[" in body:
        return None
    try:
        numbers = cast(simdjson.Array, _PARSERS.numbers.parse(f"[{body}]"))
        return np.frombuffer(numbers.as_buffer(of_type="d"))
    except _REFUSALS:
        return None
