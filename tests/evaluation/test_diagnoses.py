"""Diagnosis files that are read or rejected, the join with labels, and fault types."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archives import time_at

from xfmr.errors import XfmrError
from xfmr.evaluation import fault_type_quality, join_labels, read_diagnoses
from xfmr.schema import KEY

TIME = "2024-03-01T08:00:00.000000Z"
UNLIMITED = {"from": pd.NaT, "to": pd.NaT}
ROW = {"fleet": "", "unit": "", "sensor_id": "a", "data_time": TIME, "record_id": -(2**62) + 1, "score": 0.5}
ROW |= {"pseudo_label": "normal", "fault_type": None, "confidence": None}


def named(*rows: tuple[int, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["record_id", "label", "fault_type"])


def test_fault_types_are_compared_on_records_that_were_not_trained_on() -> None:
    table = named((1, "worn", "worn"), (2, "worn", "normal"), (3, "normal", "normal"), (4, "normal", "normal"))
    assert fault_type_quality(table, np.array([1, 4])) == {"records": 2, "macro_f1": 1 / 3, "accuracy": 0.5}
    assert fault_type_quality(table, np.array([2])) == {"records": 3, "macro_f1": 1.0, "accuracy": 1.0}
    assert fault_type_quality(table, np.array([1, 2, 3, 4])) == {"records": 0}


def test_without_fault_types_there_is_no_quality() -> None:
    assert fault_type_quality(named((1, "worn", None)), np.array([])) is None
    assert fault_type_quality(pd.DataFrame({"record_id": [1], "label": ["worn"]}), np.array([])) is None


def test_scores_and_labels_meet_on_fleet_sensor_and_time() -> None:
    times = [pd.Timestamp(time_at(minute)) for minute in (0, 1)]
    scores = pd.DataFrame({**ROW, "fleet": ["", "n"], "data_time": times[0], "score": [1.0, 2.0]})
    labels = pd.DataFrame(
        {"fleet": "n", "unit": "", "sensor_id": "a", "data_time": times, "label": ["worn", "normal"], **UNLIMITED}
    )
    records = join_labels(scores, labels)
    assert records[["fleet", "score", "label", "fault"]].values.tolist() == [["n", 2.0, "worn", True]]
    with pytest.raises(XfmrError, match=r"^no scored record is labelled: compare"):
        join_labels(scores, labels.assign(sensor_id="b"))


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(*rows: Any, name: str = "new.jsonl") -> str:
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_read_jsonl(file: Callable[..., str]) -> None:
    table = read_diagnoses(file(ROW, ROW | {"sensor_id": "b", "data_time": "2024-03-01T16:02:00+08:00"}))
    assert table["data_time"].tolist() == [time_at(0), time_at(2)]
    assert table["data_time"].dtype == "datetime64[us, UTC]"
    assert table["record_id"].tolist() == [ROW["record_id"]] * 2
    no_fleet = {name: value for name, value in ROW.items() if name not in ("fleet", "unit")}
    assert read_diagnoses(file(no_fleet))[["fleet", "unit"]].values.tolist() == [["", ""]]


def test_other_columns_of_a_file_cannot_be_taken_for_those_of_the_labels(file: Callable[..., str]) -> None:
    assert list(read_diagnoses(file(ROW | {"load": "0.5", "label": "worn"}))) == list(ROW)


def test_read_parquet(tmp_path: Path) -> None:
    pd.DataFrame([ROW | {"data_time": pd.Timestamp(time_at(3))}]).to_parquet(tmp_path / "new.PARQUET")
    assert read_diagnoses(str(tmp_path / "new.PARQUET"))["data_time"].tolist() == [time_at(3)]


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name not in names}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([ROW, '{"sensor_id": '], "is neither Parquet nor JSONL"),
        (["sensor_id,data_time,score,pseudo_label"], "is neither Parquet nor JSONL"),
        ([without("score", "pseudo_label")], "no column score, pseudo_label; give a file that jobs.diagnose wrote"),
        ([without("record_id")], "no column record_id;"),
        (["[1, 2]"], "no column sensor_id, "),
        ([], "no column sensor_id, "),
        ([ROW, ROW | {"data_time": "yesterday"}], "data_time"),
        ([ROW, ROW | {"score": "high"}], "score"),
        ([ROW, ROW | {"score": None}], "score"),
        ([ROW, ROW | {"score": float("inf")}], "1 rows without a usable score"),
        ([ROW, ROW | {"record_id": "first"}], "1 rows without a usable record_id"),
    ],
)
def test_a_file_that_diagnose_did_not_write(file: Callable[..., str], rows: list[Any], expected: str) -> None:
    with pytest.raises(XfmrError) as error:
        read_diagnoses(file(*rows))
    message = str(error.value)
    assert "\n" not in message
    assert "new.jsonl" in message
    assert expected in message


def test_a_sensor_called_by_a_number_is_still_a_name(file: Callable[..., str]) -> None:
    labels = pd.DataFrame([{**ROW, "sensor_id": "7", "label": "worn"}])[[*KEY, "label"]].assign(**UNLIMITED)
    labels["data_time"] = pd.to_datetime(labels["data_time"], utc=True)
    assert join_labels(read_diagnoses(file(ROW | {"sensor_id": 7})), labels)["label"].tolist() == ["worn"]


def test_a_file_that_is_not_there_or_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(XfmrError, match=r"absent\.jsonl does not exist: check the path given to --scores$"):
        read_diagnoses(str(tmp_path / "absent.jsonl"))
    (tmp_path / "new.parquet").write_bytes(b"PAR1")
    with pytest.raises(XfmrError, match=r"cannot read [^\n]*new\.parquet"):
        read_diagnoses(str(tmp_path / "new.parquet"))
