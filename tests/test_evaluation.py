"""Scores against labels: figures that can be checked by hand, honest baselines, and files that are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archives import Run, line, time_at, write_archive

import xfmr.evaluation
from xfmr.errors import XfmrError
from xfmr.evaluation import (
    Baselines,
    Quality,
    fault_type_quality,
    judge_against,
    overall_table,
    quality,
    quality_by_sensor,
    read_diagnoses,
    sensor_table,
)
from xfmr.features import N_SAMPLES

TIME = "2024-03-01T08:00:00.000000Z"
ROW = {"fleet": "", "sensor_id": "a", "data_time": TIME, "record_id": -(2**62) + 1, "score": 0.5}
ROW |= {"pseudo_label": "normal", "fault_type": None, "confidence": None}


def judged_by(fault: list[int], score: list[float], anomaly: list[int]) -> Quality:
    return quality(np.array(fault, bool), np.array(score), np.array(anomaly, bool))


def test_perfect_scores() -> None:
    assert judged_by([0, 0, 1], [1, 2, 3], [0, 0, 1]) == Quality(3, 1, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_scores_the_wrong_way_round() -> None:
    found = judged_by([1, 0, 0, 0], [1, 2, 3, 4], [0, 1, 1, 1])
    assert found == Quality(4, 1, 0.0, 0.25, 0.0, 0.0, 0.0)


def test_figures_by_hand() -> None:
    """Ranks from the top: fault, normal, fault, normal; the upper threshold lets the first three through."""
    found = judged_by([1, 0, 1, 0], [4, 3, 2, 1], [1, 1, 1, 0])
    assert found.auc == pytest.approx(3 / 4)
    assert found.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert (found.precision, found.recall) == (pytest.approx(2 / 3), 1.0)
    assert found.macro_f1 == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_equal_scores_are_a_coin_toss() -> None:
    assert judged_by([1, 0, 0, 1], [7, 7, 7, 7], [0, 0, 0, 0]).auc == 0.5


def test_what_one_class_alone_does_not_define_is_none() -> None:
    normal = judged_by([0, 0], [1, 2], [0, 0])
    assert (normal.auc, normal.average_precision, normal.precision, normal.recall) == (None, None, None, None)
    faults = judged_by([1, 1], [1, 2], [1, 0])
    assert (faults.auc, faults.precision, faults.recall) == (None, 1.0, 0.5)
    assert judged_by([], [], []) == Quality(0, 0, None, None, None, None, None)


def diagnosed(*rows: tuple[str, str, float, str, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["fleet", "sensor_id", "score", "pseudo_label", "fault"])


def test_each_sensor_is_judged_by_its_own_records() -> None:
    table = diagnosed(
        *(("", "a", 1.0, "normal", False), ("", "a", 2.0, "uncertain", True)),
        *(("n", "a", 9.0, "anomaly", False), ("n", "a", 8.0, "anomaly", True)),
    )
    found = quality_by_sensor(table)
    assert list(found) == ["all", "a", "n/a"]
    assert (found["a"].auc, found["a"].recall) == (1.0, 0.0)
    assert (found["n/a"].auc, found["n/a"].precision) == (0.0, 0.5)
    assert (found["all"].records, found["all"].faults, found["all"].auc) == (4, 2, 0.5)


def test_the_console_tables() -> None:
    table = diagnosed(
        *(("", "a", 1.0, "normal", False), ("", "a", 2.0, "normal", True)),
        *(("", "b", 9.0, "normal", False), ("", "b", 8.0, "normal", False)),
    )
    results = {"xfmr": quality_by_sensor(table), "other": quality_by_sensor(table.assign(score=-table["score"]))}
    overall, header = overall_table(results), sensor_table(results).splitlines()[0]
    assert [row.split()[:4] for row in overall.splitlines()[1:]] == [
        ["xfmr", "4", "1", "0.333"],
        ["other", "4", "1", "0.667"],
    ]
    assert "AUC xfmr" in header
    assert "AUC other" in header
    assert [row.split()[:5] for row in sensor_table(results).splitlines()[1:]] == [["a", "2", "1", "1.000", "0.000"]]
    assert overall.splitlines()[1].split()[5] == "-"  # no anomaly at all has no precision


def test_without_faults_no_sensor_can_be_ranked() -> None:
    assert sensor_table({"xfmr": quality_by_sensor(diagnosed(("", "a", 1.0, "normal", False)))}) == ""


def test_the_sensors_left_out_of_the_console_are_counted() -> None:
    rows = [("", f"s{i:02}", float(fault), "normal", fault) for i in range(43) for fault in (False, True)]
    lines = sensor_table({"xfmr": quality_by_sensor(diagnosed(*rows))}).splitlines()
    assert len(lines) == 42
    assert lines[-1] == "(3 more in evaluation.json)"


def named(*rows: tuple[int, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["record_id", "label", "fault_type"])


def test_fault_types_are_judged_on_records_that_were_not_trained_on() -> None:
    table = named((1, "worn", "worn"), (2, "worn", "normal"), (3, "normal", "normal"), (4, "normal", "normal"))
    assert fault_type_quality(table, np.array([1, 4])) == {"records": 2, "macro_f1": 1 / 3, "accuracy": 0.5}
    assert fault_type_quality(table, np.array([2])) == {"records": 3, "macro_f1": 1.0, "accuracy": 1.0}
    assert fault_type_quality(table, np.array([1, 2, 3, 4])) == {"records": 0}


def test_without_fault_types_there_is_nothing_to_judge() -> None:
    assert fault_type_quality(named((1, "worn", None)), np.array([])) is None
    assert fault_type_quality(pd.DataFrame({"record_id": [1], "label": ["worn"]}), np.array([])) is None


def test_scores_and_labels_meet_on_fleet_sensor_and_time() -> None:
    times = [pd.Timestamp(time_at(minute)) for minute in (0, 1)]
    scores = pd.DataFrame({"fleet": ["", "n"], "sensor_id": "a", "data_time": times[0], "score": [1.0, 2.0]})
    labels = pd.DataFrame(
        {"fleet": "n", "sensor_id": "a", "data_time": times, "unit": "", "label": ["worn", "normal"]}
    )
    judged = judge_against(scores, labels)
    assert judged[["fleet", "score", "label", "fault"]].values.tolist() == [["n", 2.0, "worn", True]]
    with pytest.raises(XfmrError, match=r"^no scored record is labelled: compare"):
        judge_against(scores, labels.assign(sensor_id="b"))


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
    no_fleet = {name: value for name, value in ROW.items() if name != "fleet"}
    assert read_diagnoses(file(no_fleet))["fleet"].tolist() == [""]


def test_read_parquet(tmp_path: Path) -> None:
    pd.DataFrame([ROW | {"data_time": pd.Timestamp(time_at(3))}]).to_parquet(tmp_path / "new.PARQUET")
    assert read_diagnoses(str(tmp_path / "new.PARQUET"))["data_time"].tolist() == [time_at(3)]


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in ROW.items() if name not in names}


@pytest.mark.parametrize(
    ("rows", "words"),
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
    ],
)
def test_a_file_that_diagnose_did_not_write(file: Callable[..., str], rows: list[Any], words: str) -> None:
    with pytest.raises(XfmrError) as error:
        read_diagnoses(file(*rows))
    message = str(error.value)
    assert "\n" not in message
    assert "new.jsonl" in message
    assert words in message


def test_a_file_that_is_not_there_or_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(XfmrError, match=r"absent\.jsonl does not exist: check the path given to --scores$"):
        read_diagnoses(str(tmp_path / "absent.jsonl"))
    (tmp_path / "new.parquet").write_bytes(b"PAR1")
    with pytest.raises(XfmrError, match=r"cannot read [^\n]*new\.parquet"):
        read_diagnoses(str(tmp_path / "new.parquet"))


def noise(seed: int, *, rumbling: bool = False) -> list[float]:
    """White noise, or the red noise of something loose."""
    white = np.random.default_rng(seed).standard_normal(N_SAMPLES)
    values = np.cumsum(white) if rumbling else white
    return [round(value, 4) for value in values.tolist()]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty records of white noise and one of red."""
    lines = [line("a", minute, noise(minute, rumbling=minute == 40)) for minute in range(41)]
    return write_archive(tmp_path_factory.mktemp("archive"), {"a.jsonl": lines})


@pytest.fixture
def run(archive: Path, tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": archive}, columns=["log_spectrum"])
    made.featurize()
    return made


@pytest.fixture
def judged(run: Run) -> pd.DataFrame:
    table = run.table().to_pandas()
    return pd.DataFrame(table.assign(fault=table["data_time"] == time_at(40)))


def history_of(judged: pd.DataFrame) -> np.ndarray:
    return judged.loc[~judged["fault"], "record_id"].to_numpy(np.int64)


def test_plain_detectors_rank_an_obvious_fault_first(run: Run, judged: pd.DataFrame) -> None:
    baselines = Baselines(run.store, history_of(judged), seed=0, method="mad")
    found = dict(baselines.judge(run.store, judged))
    assert set(found) == {"isolation forest", "one-class SVM"}
    for name, sensors in found.items():
        assert (sensors["all"].records, sensors["all"].faults) == (41, 1)
        assert sensors["all"].auc == 1.0, name
        assert sensors["a"] == sensors["all"]


def test_the_outlier_decides_by_the_historys_threshold(run: Run, judged: pd.DataFrame) -> None:
    found = dict(Baselines(run.store, history_of(judged), seed=0, method="percentile").judge(run.store, judged))
    assert found["one-class SVM"]["all"].recall == 1.0


def test_judging_some_records_leaves_the_others_out(run: Run, judged: pd.DataFrame) -> None:
    some = judged.iloc[[40, 3, 7]]
    found = dict(Baselines(run.store, history_of(judged), seed=0, method="mad").judge(run.store, some))
    assert found["isolation forest"]["all"].records == 3


def test_records_whose_features_are_not_kept_have_no_baselines(run: Run, judged: pd.DataFrame) -> None:
    baselines = Baselines(run.store, history_of(judged), seed=0, method="mad")
    strangers = judged.assign(record_id=judged["record_id"] ^ 1)
    assert list(baselines.judge(run.store, strangers)) == []
    assert list(baselines.judge(run.store, pd.concat([judged, strangers]))) == []


def test_records_of_a_finished_diagnosis_are_found_once(run: Run, judged: pd.DataFrame, tmp_path: Path) -> None:
    new = write_archive(tmp_path / "new", {"n.jsonl": [line("a", 50, noise(50)), line("a", 51, noise(51))]})
    for key in ("x", "y"):
        Run(tmp_path / f"run/diagnosed/{key}", {"": new}, columns=["log_spectrum"]).featurize()
    Run(tmp_path / "run/diagnosed/unfinished", {"": new}, columns=["log_spectrum"]).plan()
    diagnosed = Run(tmp_path / "run/diagnosed/x", {"": new}).table().to_pandas().assign(fault=[True, False])
    baselines = Baselines(run.store, history_of(judged), seed=0, method="mad")
    found = dict(baselines.judge(run.store, pd.concat([diagnosed, judged.iloc[:1]])))
    assert {sensors["all"].records for sensors in found.values()} == {3}


def test_a_history_too_short_for_thresholds_is_an_error(run: Run, judged: pd.DataFrame) -> None:
    with pytest.raises(XfmrError, match=r"^no thresholds by mad"):
        Baselines(run.store, history_of(judged)[:5], seed=0, method="mad")


def test_baselines_depend_on_the_history_alone_and_not_on_its_order(run: Run, judged: pd.DataFrame) -> None:
    history = history_of(judged)[:30]
    first = Baselines(run.store, history, seed=0, method="mad")
    again = Baselines(run.store, history[::-1].copy(), seed=0, method="mad")
    assert again.thresholds == first.thresholds
    assert Baselines(run.store, history_of(judged), seed=0, method="mad").thresholds != first.thresholds


def test_of_a_long_history_the_smallest_ids_are_enough(
    monkeypatch: pytest.MonkeyPatch, run: Run, judged: pd.DataFrame
) -> None:
    """Ids are hashes, so the smallest of them, read without a sign, are as good as random."""
    monkeypatch.setattr(xfmr.evaluation, "MAX_BASELINE_HISTORY", 15)
    history = history_of(judged)
    smallest = sorted(history.tolist(), key=lambda number: number % 2**64)[:15]
    capped = Baselines(run.store, history, seed=0, method="mad")
    assert capped.thresholds == Baselines(run.store, np.array(smallest), seed=0, method="mad").thresholds
