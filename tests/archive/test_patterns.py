"""Patterns over the names of a path: as little as fits, and whole names."""

import pytest

from xfmr.archive.patterns import PathPattern


@pytest.mark.parametrize(
    ("text", "path", "label"),
    [
        ("*--{label}--*", "114--故障--交流变压器--1/202509091503_2022.jsonl", "故障"),
        ("*--{label}--*", "111--正常--交流变压器/a.jsonl", "正常"),
        ("*--{label}--*", "x/y/111--正常--交流变压器/z/a.jsonl", "正常"),
        ("{label}/*", "faulty/a.jsonl", "faulty"),
        ("*.{label}.jsonl", "x/a.worn.jsonl", "worn"),
        ("*--{label}--*", "111--正常/a.jsonl", None),
        ("--{label}--", "1--normal--x/a.jsonl", None),
        ("{label}.x", "a/bcx", None),
    ],
)
def test_a_pattern_matches_whole_names_anywhere(text: str, path: str, label: str | None) -> None:
    match = PathPattern(text, ("label",), at_end=False).match(path)
    assert (match["label"] if match else None) == label


def test_at_the_end_only_the_last_names_count() -> None:
    pattern = PathPattern("{unit}_*", ("unit", "fleet"))
    assert pattern.match("a_b/c_d") == {"unit": "c"}
    assert pattern.match("a_b/cd") is None
