"""Patterns over the names in a path, such as ``{unit}_*``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(r"\{(\w*)\}|\*|[^{*]+|.", re.DOTALL)


@dataclass(frozen=True)
class PathPattern:
    """A pattern over whole names of a path. ``*`` is any text within a name, ``{word}`` any but none.

    Both are as little text as fits. Everything else stands for itself.

    Args:
        text: The pattern.
        words: The words that may be in braces, each once; the first one must be.
        at_end: True to match the last names of a path, False to match its first names that fit.

    Raises:
        ValueError: If the text has other words in braces, or lacks the first, in a line for people.
    """

    text: str
    words: tuple[str, ...]
    at_end: bool = True

    def __post_init__(self) -> None:
        _ = self._regex

    def match(self, path: str) -> dict[str, str] | None:
        """Return the text that each word in braces stands for in a path; None if the pattern does not match."""
        match = self._regex.search(path)
        return match.groupdict() if match else None

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        tokens = [token[0] for token in _TOKEN.finditer(self.text)]
        found = [token[1:-1] for token in tokens if token.startswith("{")]
        if self.words[0] not in found:
            raise ValueError(f"the pattern {self.text!r} has no {{{self.words[0]}}}")
        if any(word not in self.words or found.count(word) > 1 for word in found):
            allowed = " and ".join(f"{{{word}}}" for word in self.words)
            raise ValueError(f"the pattern {self.text!r} may have {allowed}, each once, and no other name in braces")
        names = "".join(map(_expression, tokens))
        return re.compile(rf"(?:^|/){names}{'$' if self.at_end else '(?:/|$)'}", re.DOTALL)


def _expression(token: str) -> str:
    if token == "*":
        return "[^/]*?"
    return f"(?P<{token[1:-1]}>[^/]+?)" if token.startswith("{") else re.escape(token)
