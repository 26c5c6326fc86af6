"""The labels job: names of folders become a table, once and in the open."""

from pathlib import Path

import pandas as pd
import pytest
from archives import line, write_archive

from jobs.labels import main
from xfmr.labels import read_labels

FLAGS = ["--unit-from", "{unit}_*", "--label-from", "*--{label}--*", "--words", "正常=normal", "故障=loose winding"]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    names = ["111--正常--交流变压器/a_1", "111--正常--交流变压器/a_2", "114--故障--交流变压器--1/b_1"]
    return write_archive(tmp_path / "archive", {f"{name}.jsonl": [line("1", 0, 1)] for name in names})


def refused(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(flags) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_names_become_a_table_that_other_jobs_take(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.csv"
    assert main(["--archive", str(archive), *FLAGS, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"labels: 2 units: 1 loose winding, 1 normal; written to {out}\n"
    assert out.read_text() == "unit,label\na,normal\nb,loose winding\n"
    assert read_labels([str(out)])[["unit", "label"]].values.tolist() == [["a", "normal"], ["b", "loose winding"]]
    assert "exists: people may have corrected it" in refused(
        capsys, "--archive", str(archive), *FLAGS, "--out", str(out)
    )


def test_without_words_the_names_are_the_labels_and_fleets_stay_apart(archive: Path, tmp_path: Path) -> None:
    flags = ["--archive", f"n={archive}", "--archive", f"s={archive}", *FLAGS[:4]]
    assert main([*flags, "--out", str(tmp_path / "labels.csv")]) == 0
    table = pd.read_csv(tmp_path / "labels.csv")
    assert table.values.tolist() == [["n", "a", "正常"], ["n", "b", "故障"], ["s", "a", "正常"], ["s", "b", "故障"]]


@pytest.mark.parametrize(
    ("path", "flags", "words"),
    [
        ("115--检修--x/c_1.jsonl", FLAGS, "give the label of '检修' too, such as --words 检修=normal"),
        ("other/c_1.jsonl", FLAGS, "other/c_1.jsonl names no label"),
        (
            "114--故障--x/a_3.jsonl",
            FLAGS,
            "unit a is normal by 111--正常--交流变压器/a_1.jsonl and loose winding by",
        ),
        ("114--故障--x/c.jsonl", FLAGS, "does not match 1 of 4 files: 114--故障--x/c.jsonl"),
        ("x.jsonl", ["--unit-from", "field:u", *FLAGS[2:]], "names no unit"),
        ("x.jsonl", [*FLAGS[:2], "--label-from", "*--*"], "has no {label}"),
    ],
)
def test_what_cannot_be_a_table(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str, flags: list[str], words: str
) -> None:
    write_archive(archive, {path: [line("1", 0, 2)]})
    assert words in refused(capsys, "--archive", str(archive), *flags, "--out", str(tmp_path / "labels.csv"))
    assert not (tmp_path / "labels.csv").exists()


def test_a_word_without_a_label_is_refused(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--archive", str(archive), *FLAGS, "正常", "--out", "labels.csv"])
    assert "'正常' is not WORD=LABEL" in capsys.readouterr().err
