"""People's labels: what is refused, who is held out, and that what is held out stays out."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archives import START, Run, fleet_files, line, time_at, write_archive
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.errors import XfmrError
from xfmr.labels import (
    Part,
    check_disjoint,
    held_out_ids,
    match_records,
    matched,
    part_of,
    read_labels,
    split,
    without_contradictions,
)

HEADER = "sensor_id,data_time,label\n"
TIME = "2024-03-01T08:00:00Z"
KEY = ["fleet", "sensor_id", "data_time"]
COLUMNS = [*KEY, "unit", "label"]


@pytest.fixture
def labels_file(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "labels.csv")

    return write


def refusal(uri: str) -> str:
    with pytest.raises(XfmrError) as error:
        read_labels(uri)
    assert "\n" not in str(error.value)
    return str(error.value)


def minutes_of(part: Part, *, fleet: str = "", unit: str = "") -> list[int]:
    """Return those of the first 100 minutes whose samples belong to a part."""
    return [minute for minute in range(100) if part_of(fleet, unit, pd.Timestamp(time_at(minute))) == part]


def labelled(*rows: tuple[str, int, int]) -> pd.DataFrame:
    """Make what match_records gives of sensors, minutes and record ids."""
    return pd.DataFrame(
        [("", sensor, pd.Timestamp(time_at(minute)), "", "normal", record) for sensor, minute, record in rows],
        columns=[*COLUMNS, "record_id"],
    )


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


def test_what_one_signal_is_called_in_two_ways_is_left_out() -> None:
    rows = labelled(("a", 0, 1), ("b", 0, 1), ("a", 1, 2), ("b", 1, 2), ("c", 0, 3))
    kept = without_contradictions(rows.assign(label=["normal", "worn", "worn", "worn", "normal"]))
    assert kept["record_id"].tolist() == [2, 2, 3]


def test_labels_of_no_record_are_counted() -> None:
    labels = labelled(("a", 0, 1), ("a", 1, 2), ("b ", 0, 3))
    records = labelled(("a", 0, 1), ("a", 0, 7), ("b", 0, 3))
    assert matched(labels, records) == "1 of 3 labels are of its records"


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


def test_parts_never_change() -> None:
    """Pinned: a release that split otherwise would train on what earlier ones held out."""
    assert minutes_of("test")[:5] == [11, 15, 21, 25, 33]
    assert minutes_of("validation")[:5] == [7, 19, 34, 38, 43]
    assert minutes_of("test", fleet="north", unit="T1")[:5] == [2, 7, 19, 25, 33]


def test_shares_of_the_parts() -> None:
    parts = pd.Series([part_of("", "", pd.Timestamp(START + timedelta(minutes=2 * i))) for i in range(5000)])
    shares = parts.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.15, abs=0.02)
    assert shares["validation"] == pytest.approx(0.15, abs=0.02)


def test_the_resolution_of_a_time_does_not_matter() -> None:
    for minute in range(20):
        time = pd.Timestamp(time_at(minute))
        assert {part_of("", "", time.as_unit(unit)) for unit in ("s", "us", "ns")} == {part_of("", "", time)}


def test_all_sensors_of_a_sample_fall_in_one_part() -> None:
    rows = [(sensor, minute, 10 * minute + i) for minute in range(50) for i, sensor in enumerate("abc")]
    table = labelled(*rows)
    parts = split(table)
    assert set(parts) == {"train", "validation", "test"}
    assert parts.groupby(table["data_time"]).nunique().max() == 1


def test_added_labels_change_no_part() -> None:
    rows = [("a", minute, minute) for minute in range(0, 60, 2)]
    more = [("b", minute, 100 + minute) for minute in range(60)]
    before = split(labelled(*rows))
    assert split(labelled(*rows, *more))[: len(rows)].tolist() == before.tolist()
    shuffled = labelled(*rows).sample(frac=1, random_state=1)
    assert split(shuffled).sort_index().tolist() == before.tolist()


def test_copies_of_a_held_out_signal_are_held_out_with_it() -> None:
    train, test, validation = (minutes_of(part) for part in ("train", "test", "validation"))
    table = labelled(
        ("a", test[0], 1),
        ("b", train[0], 1),  # another sensor and time
        ("a", validation[0], 2),
        ("a", train[1], 2),  # another time
        ("a", train[2], 3),
        ("b", train[2], 4),
    )
    assert split(table).tolist() == ["test", "test", "validation", "validation", "train", "train"]


@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99), st.integers(0, 8)), min_size=1, max_size=40)
)
@settings(max_examples=60, deadline=None)
def test_no_signal_is_in_two_parts(rows: list[tuple[str, int, int]]) -> None:
    table = labelled(*rows)
    parts = split(table)
    assert parts.groupby(table["record_id"]).nunique().max() == 1
    by_time = [part_of("", "", time) for time in table["data_time"]]
    # Nothing comes back into training.
    assert all(now != "train" for now, before in zip(parts, by_time, strict=True) if before != "train")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A hundred minutes are too many: one labelled sample of each part, and a copy of the test signal."""
    train, test, validation = (minutes_of(part)[0] for part in ("train", "test", "validation"))
    lines = [
        *(line("s1", train, 1), line("s2", train, 2)),
        *(line("s1", test, 3), line("s2", test, 4)),
        line("s1", validation, 5),
        line("copy", train, 3),
    ]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", {"a.jsonl": lines})})
    run.featurize()
    return run


def all_labels(run: Run) -> pd.DataFrame:
    return pd.DataFrame(run.table().to_pandas()[KEY].assign(unit="", label="normal"))


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


def test_held_out_ids_are_bare_numbers(run: Run) -> None:
    labels = all_labels(run)
    ids = held_out_ids(labels, run.features)
    assert isinstance(ids, np.ndarray)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    # Two records of the test sample, one of the validation sample; the copy has an id of these.
    assert len(ids) == 3
    relabelled = held_out_ids(labels.assign(label="worn"), run.features)
    np.testing.assert_array_equal(relabelled, ids)


def test_what_is_held_out_and_what_is_trained_on_share_nothing(run: Run) -> None:
    table = match_records(all_labels(run), run.features)
    training = table["record_id"][split(table) == "train"].to_numpy()
    assert len(training) == 2
    check_disjoint(training, held_out_ids(all_labels(run), run.features))


def test_check_disjoint_counts_what_leaked() -> None:
    check_disjoint(np.array([1, 2, 2], np.int64), np.array([3], np.int64))
    check_disjoint(np.empty(0, np.int64), np.array([3], np.int64))
    with pytest.raises(XfmrError, match=r"^2 records held out .* were trained on"):
        check_disjoint(np.array([1, 2, 3], np.int64), np.array([3, 2, 9], np.int64))


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
