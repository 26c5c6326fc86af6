"""People's labels: what is read, what is refused, and which records they are of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pyarrow as pa
import pytest
from archives import START, Run, fleet_files, time_at, write_archive
from labelled import all_labels, labelled, split_run

from xfmr.errors import XfmrError
from xfmr.labels import label_records, match_records, match_summary, read_labels
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, KEY

LABEL_COLUMNS = [*KEY, "from", "to", "label"]
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
        read_labels([uri])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_read_csv(labels_file: Callable[[str], str]) -> None:
    text = f"data_time,note,label,sensor_id\n{TIME},x, broken tooth ,007\n2024-03-01 16:02:00+08:00,,normal,ü\n"
    table = read_labels([labels_file("\ufeff" + text)])
    assert table.columns.tolist() == LABEL_COLUMNS
    assert table.drop(columns=["from", "to"]).values.tolist() == [
        ["", "", "007", pd.Timestamp(time_at(0)), "broken tooth"],
        ["", "", "ü", pd.Timestamp(time_at(2)), "normal"],
    ]
    assert table[["from", "to"]].isna().all(axis=None)


def test_further_columns_are_conditions_where_they_are_asked_for(labels_file: Callable[[str], str]) -> None:
    """But not the scores that a filled review queue brings along; and who is listed twice is still listed once."""
    text = "sensor_id,data_time,label,load,record_id,score,pseudo_label,unit,record\n"
    rows = [f"a,{TIME},worn,{load},17,0.5,uncertain,tr01,\n" for load in ("80", "90")]
    uri = labels_file(text + "".join(rows))
    table = read_labels([uri], conditions=True)
    assert table.columns.tolist() == [*LABEL_COLUMNS, "condition: load", "condition: record"]
    (row,) = table.drop(columns=["from", "to"]).values.tolist()
    assert row == ["", "tr01", "a", pd.Timestamp(time_at(0)), "worn", "80", ""]
    assert read_labels([uri]).columns.tolist() == LABEL_COLUMNS


def test_a_review_queue_that_is_filled_in_part(labels_file: Callable[[str], str]) -> None:
    text = "sensor_id,data_time,record_id,score,pseudo_label,label\n"
    rows = [f"{sensor},{TIME},1,0.5,uncertain,{label}\n" for sensor, label in (("a", ""), ("b", "worn"), ("c", ""))]
    assert read_labels([labels_file(text + "".join(rows))])["sensor_id"].tolist() == ["b"]


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
    assert read_labels([str(tmp_path / "labels.parquet")])["unit"].tolist() == ["t", ""]


def test_labels_of_no_record_are_counted() -> None:
    times = dict.fromkeys(("from", "to"), pd.NaT)
    labels = labelled(("a", 0, 1), ("a", 1, 2), ("b ", 0, 3)).drop(columns="of_unit").assign(**times)
    records = labelled(("a", 0, 1), ("a", 0, 7), ("b", 0, 3))
    summary = match_summary(labels, records)
    assert summary.startswith("1 of 3 labels are of its records; the others match none, such as sensor a at 2024-03")


def test_read_parquet(tmp_path: Path) -> None:
    row = {"fleet": "n", "unit": "T1", "sensor_id": 7, "data_time": pd.Timestamp(START), "label": "normal"}
    pd.DataFrame([row]).to_parquet(tmp_path / "labels.parquet")
    (row,) = read_labels([str(tmp_path / "labels.parquet")])[[*KEY, "label"]].values.tolist()
    assert row == ["n", "T1", "7", START, "normal"]


def test_a_relative_path(labels_file: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labels_file(f"{HEADER}s,{TIME},normal\n")
    monkeypatch.chdir(tmp_path)
    assert len(read_labels(["labels.csv"])) == 1


def test_times_without_a_zone_are_utc(labels_file: Callable[[str], str]) -> None:
    table = read_labels([labels_file(f"{HEADER}s,2024-03-01 08:00:00,normal\n")])
    assert table["data_time"].tolist() == [START]


def test_the_same_label_twice_is_one(labels_file: Callable[[str], str]) -> None:
    rows = f"s,{TIME},normal\ns,2024-03-01T16:00:00+08:00,normal\n"
    assert len(read_labels([labels_file(HEADER + rows)])) == 1


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
    assert found.columns.tolist() == [*IDENTITY_COLUMNS, "of_unit", "label"]
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
        read_labels([str(tmp_path / "labels.parquet")])


def test_a_file_in_the_root_folder_is_not_looked_for_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text(HEADER)
    with pytest.raises(XfmrError, match="does not exist"):
        read_labels(["/labels.csv"])


def test_blank_lines_count(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{HEADER}\ns,yesterday,normal\n")
    with pytest.raises(XfmrError, match="line 3"):
        read_labels([str(tmp_path / "labels.csv")])


def test_a_comma_behind_the_last_column_moves_none(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"{HEADER}s,2024-01-01,normal,\n")
    with pytest.raises(XfmrError) as error:
        read_labels([str(tmp_path / "labels.csv")])
    assert "'data_time': 'normal'" not in str(error.value)


def labels_of_units(*rows: str) -> str:
    return "unit,sensor_id,data_time,from,to,label\n" + "\n".join(rows) + "\n"


def unit_records(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Make records of units, sensors and times."""
    times = pd.to_datetime([time for _, _, time in rows], utc=True).astype("datetime64[us, UTC]")
    names = {"fleet": "", "unit": [unit for unit, _, _ in rows], "sensor_id": [sensor for _, sensor, _ in rows]}
    return pd.DataFrame({**names, "data_time": times, "record_id": range(len(rows))})


RECORDS = unit_records(
    *(("114", sensor, f"2024-03-0{day}T08:00:00") for day in (1, 2, 3) for sensor in ("1", "2")),
    ("115", "1", "2024-03-01T08:00:00"),
)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["114,,,,,worn"], ["worn"] * 6),
        (["114,,,,,worn", "115,,,,,normal"], ["worn"] * 6 + ["normal"]),
        (["114,2,,,,worn"], ["", "worn"] * 3),
        (["114,,,2024-03-02,,worn"], [""] * 2 + ["worn"] * 4),
        (["114,,,,2024-03-02,worn"], ["worn"] * 4),
        (["114,,,,2024-03-02T08:00:00Z,worn"], ["worn"] * 4),
        (["114,,,,2024-03-02T07:59:59Z,worn"], ["worn"] * 2),
        (["114,,,2024-03-02,2024-03-02,worn"], [""] * 2 + ["worn"] * 2),
        (["114,1,2024-03-01T08:00:00Z,,,worn"], ["worn"]),
        (["114,,2024-03-02T08:00:00Z,,,worn"], [""] * 2 + ["worn"] * 2),
    ],
)
def test_a_label_is_of_a_unit_a_sensor_a_period_or_a_record(
    labels_file: Callable[[str], str], rows: list[str], expected: list[str]
) -> None:
    found = label_records(read_labels([labels_file(labels_of_units(*rows))]), RECORDS)
    by_record = found.set_index("record_id")["label"].reindex(RECORDS["record_id"], fill_value="")
    assert by_record.tolist() == expected + [""] * (7 - len(expected))
    assert (found["of_unit"] == found["unit"]).all()


def test_the_most_specific_label_counts(labels_file: Callable[[str], str]) -> None:
    """As when a review queue corrects one record of a unit."""
    rows = ["114,,,,,worn", "114,,,2024-03-02,,bent", "114,2,,,,loose", "114,2,2024-03-03T08:00:00Z,,,normal"]
    labels = read_labels([labels_file(labels_of_units(*rows))])
    found = label_records(labels, RECORDS).sort_values("record_id")
    assert found["label"].tolist() == ["worn", "loose", "bent", "loose", "bent", "normal"]
    assert match_summary(labels, RECORDS) == "4 of 4 labels are of its records"


def test_two_periods_that_disagree_are_refused(labels_file: Callable[[str], str]) -> None:
    rows = ["114,,,2024-03-01,2024-03-02,worn", "114,,,2024-03-02,2024-03-03,bent"]
    labels = read_labels([labels_file(labels_of_units(*rows))])
    with pytest.raises(
        XfmrError, match=r"^unit 114, sensor 1 at 2024-03-02 [^\n]* has two different labels: keep one$"
    ):
        label_records(labels, RECORDS)


def test_labels_come_from_several_files(tmp_path: Path) -> None:
    (tmp_path / "units.csv").write_text("unit,label\n114,worn\n999,worn\n")
    (tmp_path / "queue.csv").write_text(f"{HEADER[:-1]},unit\n1,2024-03-01T08:00:00Z,normal,114\n")
    labels = read_labels([str(tmp_path / name) for name in ("units.csv", "queue.csv")])
    assert label_records(labels, RECORDS).sort_values("record_id")["label"].tolist() == ["normal"] + ["worn"] * 5
    assert match_summary(labels, RECORDS) == (
        "2 of 3 labels are of its records; the others match none, such as unit 999"
    )


def test_two_files_that_disagree_are_refused(tmp_path: Path) -> None:
    for name, label in (("a.csv", "worn"), ("b.csv", "bent")):
        (tmp_path / name).write_text(f"unit,label\n114,{label}\n")
    with pytest.raises(XfmrError, match=r"b\.csv: unit 114 has two different labels: keep one"):
        read_labels([str(tmp_path / name) for name in ("a.csv", "b.csv")])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (",,,,,worn", "line 2: it names no sensor_id and no unit"),
        (",1,,,,worn", "line 2: data_time is no ISO 8601 time"),
        ("114,1,2024-03-01,2024-03-01,,worn", "line 2: give either data_time or from and to"),
        ("114,,,May,,worn", "line 2: from is no ISO 8601 time"),
        ("114,,,,soon,worn", "line 2: to is no ISO 8601 time"),
        ("114,,,,,", "line 2: no label"),
    ],
)
def test_a_row_of_a_unit_that_cannot_be_used(labels_file: Callable[[str], str], row: str, words: str) -> None:
    assert words in refusal(labels_file(labels_of_units(row)))


def test_a_sensor_of_several_units_is_several_sensors(labels_file: Callable[[str], str]) -> None:
    """Times do not repeat here, so that nothing but the labels tells the units apart."""
    rows = [f"11{day},1,2024-03-0{day}T08:00:00Z,,,worn" for day in (1, 2, 3)]
    labels = read_labels([labels_file(labels_of_units(*rows))])
    features = Mock(spec=FeatureSet, tables=lambda: [pa.Table.from_pandas(RECORDS[:6].assign(unit=""))])
    with pytest.raises(
        XfmrError, match=r"^the labels name 3 units of sensor 1, and the run has none: give --unit-from$"
    ):
        match_records(labels, features)


@pytest.mark.parametrize(
    ("records", "row", "words"),
    [
        (RECORDS.assign(unit=""), "114,,,,,worn", "the run has none: make it with --unit-from"),
        (RECORDS, ",1,2024-03-01T08:00:00Z,,,worn", "give them a column unit"),
        (RECORDS, "999,,,,,worn", "such as unit 999 and unit 114, sensor 1 at 2024-03-01 08:00:00+00:00"),
    ],
)
def test_why_no_label_is_of_a_record(
    labels_file: Callable[[str], str], records: pd.DataFrame, row: str, words: str
) -> None:
    labels = read_labels([labels_file(labels_of_units(row))])
    features = Mock(spec=FeatureSet, tables=lambda: [pa.Table.from_pandas(records)])
    with pytest.raises(XfmrError, match=r"^no label is of a record in this run: ") as error:
        match_records(labels, features)
    assert words in str(error.value)
