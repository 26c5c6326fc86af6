"""People's labels: what is read, what is refused, and which records they are of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archives import START, Run, fleet_files, time_at, write_archive
from labelled import COLUMNS, all_labels, labelled, split_run

from xfmr.errors import XfmrError
from xfmr.labels import match_records, match_summary, read_labels
from xfmr.schema import KEY

HEADER = "sensor_id,data_time,label\n"
TIME = "2024-03-01T08:00:00Z"


@pytest.fixture
def labels_file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "labels.csv")

    return write


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return split_run(tmp_path)


def refusal(uri: str) -> str:
    with pytest.raises(XfmrError) as error:
        read_labels(uri)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_read_csv(labels_file: Callable[[str], str]) -> None:
    text = f"data_time,note,label,sensor_id\n{TIME},x, broken tooth ,007\n2024-03-01 16:02:00+08:00,,normal,ü\n"
    table = read_labels(labels_file("\ufeff" + text))
    assert table.columns.tolist() == COLUMNS
    assert table.values.tolist() == [
        ["", "007", pd.Timestamp(time_at(0)), "", "broken tooth"],
        ["", "ü", pd.Timestamp(time_at(2)), "", "normal"],
    ]


def test_further_columns_are_conditions_where_they_are_asked_for(labels_file: Callable[[str], str]) -> None:
    """But not the scores that a filled review queue brings along; and who is listed twice is still listed once."""
    text = "sensor_id,data_time,label,load,record_id,score,pseudo_label,unit,record\n"
    rows = [f"a,{TIME},worn,{load},17,0.5,uncertain,tr01,\n" for load in ("80", "90")]
    uri = labels_file(text + "".join(rows))
    table = read_labels(uri, conditions=True)
    assert table.columns.tolist() == [*COLUMNS, "condition: load", "condition: record"]
    assert table.values.tolist() == [["", "a", pd.Timestamp(time_at(0)), "tr01", "worn", "80", ""]]
    assert read_labels(uri).columns.tolist() == COLUMNS


def test_a_review_queue_that_is_filled_in_part(labels_file: Callable[[str], str]) -> None:
    text = "sensor_id,data_time,record_id,score,pseudo_label,label\n"
    rows = [f"{sensor},{TIME},1,0.5,uncertain,{label}\n" for sensor, label in (("a", ""), ("b", "worn"), ("c", ""))]
    assert read_labels(labels_file(text + "".join(rows)))["sensor_id"].tolist() == ["b"]


def test_a_parquet_file_with_values_missing(tmp_path: Path) -> None:
    rows = {
        "sensor_id": ["a", "b"],
        "data_time": [pd.Timestamp(START)] * 2,
        "label": ["worn", None],
        "unit": ["t", None],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "labels.parquet")
    assert "labels.parquet, line 3: no label" in refusal(str(tmp_path / "labels.parquet"))
    pd.DataFrame({**rows, "label": "worn"}).to_parquet(tmp_path / "labels.parquet")
    assert read_labels(str(tmp_path / "labels.parquet"))["unit"].tolist() == ["t", ""]


def test_labels_of_no_record_are_counted() -> None:
    labels = labelled(("a", 0, 1), ("a", 1, 2), ("b ", 0, 3))
    records = labelled(("a", 0, 1), ("a", 0, 7), ("b", 0, 3))
    assert match_summary(labels, records) == "1 of 3 labels are of its records"


def test_read_parquet(tmp_path: Path) -> None:
    row = {"fleet": "n", "unit": "T1", "sensor_id": 7, "data_time": pd.Timestamp(START), "label": "normal"}
    pd.DataFrame([row]).to_parquet(tmp_path / "labels.parquet")
    assert read_labels(str(tmp_path / "labels.parquet")).values.tolist() == [["n", "7", START, "T1", "normal"]]


def test_a_relative_path(labels_file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels_file(f"{HEADER}s,{TIME},normal\n")
    monkeypatch.chdir(tmp_path)
    assert len(read_labels("labels.csv")) == 1


def test_times_without_a_zone_are_utc(labels_file: Callable[[str], str]) -> None:
    table = read_labels(labels_file(f"{HEADER}s,2024-03-01 08:00:00,normal\n"))
    assert table["data_time"].tolist() == [START]


def test_the_same_label_twice_is_one(labels_file: Callable[[str], str]) -> None:
    rows = f"s,{TIME},normal\ns,2024-03-01T16:00:00+08:00,normal\n"
    assert len(read_labels(labels_file(HEADER + rows))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["is not a table"]),
        (f"sensor_id,data_time\ns,{TIME}\n", ["no column label;"]),
        (f"sensor_id;data_time;label\ns;{TIME};normal\n", ["no column sensor_id, data_time, label;"]),
        (f"{HEADER}s,{TIME},normal\ns,yesterday,normal\n", ["line 3", "data_time is no ISO 8601 time", "yesterday"]),
        (f"{HEADER}s,,normal\n", ["line 2", "data_time"]),
        (f"{HEADER}s,1709280000,normal\n", ["line 2", "data_time"]),
        (f"{HEADER}s,{TIME},normal\nt,{TIME},\n", ["line 3", "no label", "'t'"]),
        (f"{HEADER}s,{TIME},  \n", ["line 2", "no label"]),
        (f"{HEADER}s,{TIME}\n", ["line 2", "no label"]),
        (f"{HEADER}s,{TIME},normal\ns,{TIME},Normal \n", ["line 3", "write normal, or the fault"]),
        (f"{HEADER}s,{TIME},normal\ns,{TIME},normal,why\n", ["is not a table", "line 3"]),
        (f"{HEADER}s,{TIME},normal\ns,2024-03-01T09:00:00+01:00,worn\n", ["s at 2024-03-01", "two different labels"]),
    ],
)
def test_a_table_that_cannot_be_used(labels_file: Callable[[str], str], text: str, words: list[str]) -> None:
    message = refusal(labels_file(text))
    assert all(word in message for word in ["labels.csv", *words]), message


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    for name, data in [("latin.csv", HEADER.encode() + b"\xe9,"), ("labels.parquet", b"PAR1")]:
        (tmp_path / name).write_bytes(data)
        assert name in refusal(str(tmp_path / name))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("absent.csv", "absent/labels.parquet"):
        assert "does not exist: check the path given to --labels" in refusal(str(tmp_path / name))
    assert "cannot read" in refusal(str(tmp_path))


def test_match_records_finds_what_is_there(run: Run) -> None:
    labels = all_labels(run).iloc[::-1]
    stranger = labels.iloc[[0]].assign(sensor_id="stranger")
    found = match_records(pd.concat([stranger, labels]), run.features)
    assert found.columns.tolist() == [*COLUMNS, "record_id"]
    assert len(found) == 6
    assert found[KEY].values.tolist() == sorted(labels[KEY].values.tolist())
    ids = {(row["sensor_id"], row["data_time"]): row["record_id"] for row in run.table().to_pylist()}
    assert [ids[row.sensor_id, row.data_time] for row in found.itertuples()] == found["record_id"].tolist()


@pytest.mark.parametrize(
    "change", [{"sensor_id": "x"}, {"fleet": "north"}, {"data_time": pd.Timestamp(time_at(999))}]
)
def test_no_label_of_this_run(run: Run, change: dict[str, Any]) -> None:
    with pytest.raises(XfmrError, match="no label is of a record in this run"):
        match_records(all_labels(run).assign(**change), run.features)


def test_fleet_is_part_of_the_split_and_the_match(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=2))
    run = Run(tmp_path / "run", {"north": archive, "south": archive})
    run.featurize()
    labels = all_labels(run)
    assert len(match_records(labels[labels["fleet"] == "north"], run.features)) == 4


def test_a_null_in_parquet_is_no_label(tmp_path: Path) -> None:
    frame = pd.DataFrame({"sensor_id": ["a"], "data_time": ["2024-01-01"], "label": [None]})
    frame.to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(XfmrError, match="no label"):
        read_labels(str(tmp_path / "labels.parquet"))


def test_a_file_in_the_root_folder_is_not_looked_for_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text(HEADER)
    with pytest.raises(XfmrError, match="does not exist"):
        read_labels("/labels.csv")


def test_blank_lines_count(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{HEADER}\ns,yesterday,normal\n")
    with pytest.raises(XfmrError, match="line 3"):
        read_labels(str(tmp_path / "labels.csv"))


def test_a_comma_behind_the_last_column_moves_none(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{HEADER}s,2024-01-01,normal,\n")
    with pytest.raises(XfmrError) as error:
        read_labels(str(tmp_path / "labels.csv"))
    assert "'data_time': 'normal'" not in str(error.value)
