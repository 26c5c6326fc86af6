"""Where the unit stands: patterns over the end of the path, fields, and what is refused before any work."""

import pytest
from archives import many

from xfmr.archive import ArchiveFile
from xfmr.archive.units import Source, UnitFrom
from xfmr.errors import XfmrError


def file(path: str) -> ArchiveFile:
    return ArchiveFile("north", path, 1, 1)


@pytest.mark.parametrize(
    ("text", "path", "unit"),
    [
        ("{unit}_*", "202509091511_2022-09-06T23-02-58-000Z.jsonl", "202509091511"),
        ("{unit}_*", "121--故障--交流变压器/202509091511_2022-09-06_T.jsonl", "202509091511"),
        ("{unit}_*", "a_b/c_d/202509100946-1757468813222_2022.json", "202509100946-1757468813222"),
        ("{unit}--*/*", "121--故障--交流变压器--1/202509091511_2022.jsonl", "121"),
        ("{unit}--*/*", "x/y/121--正常/a.jsonl", "121"),
        ("{unit}/*", "主变/a.jsonl.gz", "主变"),
        ("{unit}/*/*", "T1/2024-05/a.jsonl", "T1"),
        ("tr-{unit}.jsonl", "deep/tr-07.jsonl", "07"),
        ("[{unit}].*", "[7].jsonl", "7"),
    ],
)
def test_a_pattern_is_matched_at_the_end_of_the_path(text: str, path: str, unit: str) -> None:
    assert UnitFrom(text).source(file(path)) == Source("north", unit, path)


def test_a_fleet_may_stand_in_the_path_too() -> None:
    source = UnitFrom("{fleet}/{unit}/*").source(file("archive/south/T1/a.jsonl"))
    assert source == Source("south", "T1", "archive/south/T1/a.jsonl")


def test_without_a_pattern_a_path_says_nothing() -> None:
    for text, field in (("none", None), ("field:unit_no", "unit_no")):
        unit_from = UnitFrom(text)
        assert unit_from.field == field
        assert unit_from.source(file("故障/7_1.jsonl")) == Source("north", "", "故障/7_1.jsonl")
        unit_from.check(many(2, 1))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*_*", "has no {unit}"),
        ("", "has no {unit}"),
        ("{unit", "has no {unit}"),
        ("{unit}/{unit}_*", "each once"),
        ("{unit}_{time}", "no other name in braces"),
        ("field:", "write field:NAME"),
        ("field: ", "write field:NAME"),
    ],
)
def test_a_text_that_names_no_unit_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("{", r"\{")):
        UnitFrom(text)


def test_a_listing_that_does_not_fit_is_refused_with_a_file() -> None:
    files = [file("a/1_x.jsonl"), file("a/2_x.jsonl"), file("b/notes.json"), file("b/more.json")]
    UnitFrom("{unit}_*").check(files[:2])
    with pytest.raises(XfmrError, match=r"does not match 2 of 4 files: b/notes\.json, b/more\.json$"):
        UnitFrom("{unit}_*").check(files)
    with pytest.raises(XfmrError, match=r"matches none of 4 files, such as a/1_x\.jsonl$"):
        UnitFrom("{unit}--*/*").check(files)


@pytest.mark.parametrize("name", [" ", "\x07", "x" * 300])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(XfmrError, match="which cannot be a name"):
        UnitFrom("{unit}_*").check([file(f"{name}_1.jsonl")])
