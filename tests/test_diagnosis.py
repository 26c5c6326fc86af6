"""New records diagnosed in one pass: the same answers as step by step, in Parquet and in JSONL alike."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archives import Run, fleet_files, line, time_at, write_archive
from fitted import detector, inputs_of, publish_classifier, publish_detector, write_thresholds

from xfmr.archive import list_archive
from xfmr.diagnosis import DiagnosisRows, Instruments, check_output, forgiven, merge, write_output
from xfmr.errors import XfmrError
from xfmr.evaluation import read_diagnoses
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.row_set import DIAGNOSED, RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.schema import DIAGNOSES
from xfmr.scores.thresholds import Thresholds
from xfmr.storage.models import Models

SENSORS = ["s2", "变压器/1", "../a"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=5))})
    made.featurize()
    return made


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Three sensors at four times, the latest in the first file, a duplicate, a dead sensor and a damaged line."""
    files = {
        f"{9 - minute}.jsonl": [line(s, minute, 100 + 3 * minute + i) for i, s in enumerate(SENSORS)]
        for minute in range(4)
    }
    files["zz.jsonl"] = [line("s2", 0, 100), line("dead", 2, 0), b'{"sensor_id": "s2"']
    return write_archive(tmp_path / "new", files)


def diagnose(run: Run, new: Path, *, by: Instruments | None = None) -> pa.Table:
    """Diagnose in this process what the job does on a cluster."""
    work = run.store.child(f"diagnosed/{len(run.store.folders('diagnosed'))}")
    archives = {"": str(new)}
    rows = RowSet(work, DIAGNOSED)
    groups, _ = rows.update_plan(list_archive("", str(new)), key="x", group_bytes=1)
    instruments = by or Instruments.current(run.store)
    writer = GroupWriter(rows, archives, partial(DiagnosisRows, run.store, instruments, run.recording))
    for group in groups:
        writer(group.to_json())
    counts = rows.close()
    assert (counts.lines, counts.kept, counts.quarantined, counts.duplicates) == (15, 13, 1, 1)
    return merge(work)


def test_diagnoses_are_those_of_detector_thresholds_and_classifier(run: Run, new: Path, tmp_path: Path) -> None:
    made, classifier = publish_detector(run), publish_classifier(run)
    found = diagnose(run, new)
    assert found.schema.names == DIAGNOSES.names
    step_by_step = Run(tmp_path / "again", {"": new})
    step_by_step.featurize()
    table = step_by_step.table("log_spectrum").sort_by([("sensor_id", "ascending"), ("data_time", "ascending")])
    assert found.select(["sensor_id", "data_time", "record_id"]).equals(
        table.select(["sensor_id", "data_time", "record_id"])
    )
    np.testing.assert_allclose(found["score"], made.score(table), rtol=1e-4)
    names, confidence = classifier.predict(table)
    assert found["fault_type"].to_pylist() == names.tolist()
    np.testing.assert_allclose(found["confidence"], confidence, rtol=1e-4)
    lower, upper = (run.store.read_json("thresholds.json")[side] for side in ("lower", "upper"))
    expected = [
        "normal" if s <= lower else "anomaly" if s >= upper else "uncertain" for s in found["score"].to_pylist()
    ]
    assert found["pseudo_label"].to_pylist() == expected
    assert len(set(expected)) > 1


def test_rows_are_ordered_by_sensor_and_time(run: Run, new: Path) -> None:
    publish_detector(run)
    found = diagnose(run, new)
    keys = list(zip(found["sensor_id"].to_pylist(), found["data_time"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert len(set(keys)) == 13


def test_without_a_classifier_fault_types_are_null(run: Run, new: Path) -> None:
    publish_detector(run)
    found = diagnose(run, new)
    assert (found["fault_type"].null_count, found["confidence"].null_count) == (13, 13)
    assert found.schema.field("fault_type").type == pa.string()


@pytest.mark.parametrize("with_classifier", [True, False])
def test_parquet_and_jsonl_say_the_same(run: Run, new: Path, tmp_path: Path, with_classifier: bool) -> None:
    publish_detector(run)
    if with_classifier:
        publish_classifier(run)
    table = diagnose(run, new)
    for name in ("out/new.parquet", "out/new.jsonl"):
        write_output(table, str(tmp_path / name))
    parquet, jsonl = (read_diagnoses(str(tmp_path / f"out/new.{form}")) for form in ("parquet", "jsonl"))
    assert list(parquet) == list(jsonl) == DIAGNOSES.names
    assert jsonl["record_id"].tolist() == table["record_id"].to_pylist()
    assert parquet["fault_type"].isna().all() == (not with_classifier)
    parquet, jsonl = (
        frame.fillna({"fault_type": "none"}).astype({"confidence": float}) for frame in (parquet, jsonl)
    )
    pd.testing.assert_frame_equal(parquet, jsonl, check_dtype=False, rtol=1e-7)
    assert pd.read_parquet(tmp_path / "out/new.parquet")["sensor_id"].nunique() == 4


def test_jsonl_is_one_plain_object_a_line(tmp_path: Path) -> None:
    row = ("", "", "变压器/1", time_at(1), -(2**63), 0.5, "normal", None, None)
    table = pa.Table.from_pylist([dict(zip(DIAGNOSES.names, row, strict=True))] * 2, schema=DIAGNOSES)
    write_output(table, str(tmp_path / "new.jsonl"))
    text = (tmp_path / "new.jsonl").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "变压器" in text
    assert [json.loads(each) for each in text.splitlines()] == [
        {
            "fleet": "",
            "unit": "",
            "sensor_id": "变压器/1",
            "data_time": "2024-03-01T08:01:00.000000Z",
            "record_id": -(2**63),
            "score": 0.5,
            "pseudo_label": "normal",
            "fault_type": None,
            "confidence": None,
        }
    ] * 2


@pytest.mark.parametrize("score", [1.2345678e-06, 3.0517578e-05, 123456.79, 1.0000001])
def test_jsonl_keeps_every_digit_of_a_score(tmp_path: Path, score: float) -> None:
    row = ("", "", "a", time_at(1), 1, score, "normal", "worn", 1 / 3)
    table = pa.Table.from_pylist([dict(zip(DIAGNOSES.names, row, strict=True))], schema=DIAGNOSES)
    write_output(table, str(tmp_path / "new.jsonl"))
    found = json.loads((tmp_path / "new.jsonl").read_text())
    assert np.float32(found["score"]) == np.float32(score)
    assert np.float32(found["confidence"]) == np.float32(1 / 3)


@pytest.mark.parametrize("out", ["new.csv", "new", "new.parquet/", "parquet", "new.jsonl.gz"])
def test_an_output_of_unknown_form_is_refused(out: str) -> None:
    with pytest.raises(XfmrError, match=r"^--out [^\n]*: give a file that ends in \.parquet or \.jsonl$"):
        check_output(out)


@pytest.mark.parametrize("out", ["new.parquet", "a/NEW.JSONL", "s3://bucket/new.jsonl"])
def test_parquet_and_jsonl_are_known(out: str) -> None:
    check_output(out)


def test_what_is_missing_shows_before_any_work(run: Run) -> None:
    with pytest.raises(XfmrError, match=r"run jobs\.fit_detector on it first$"):
        Instruments.current(run.store)
    publish_detector(run)
    run.store.remove("scored")
    with pytest.raises(XfmrError, match=r"run jobs\.score on it first$"):
        Instruments.current(run.store)


def test_what_is_kept_of_the_features_serves_evaluate(run: Run, new: Path) -> None:
    publish_detector(run)
    diagnose(run, new)
    tables = FeatureSet(run.store.child("diagnosed/0"), DIAGNOSED).tables(["flat", "log_spectrum"])
    kept = pa.concat_tables(tables).to_pylist()
    assert [row["sensor_id"] for row in kept if row["flat"]] == ["dead"]
    assert {len(row["log_spectrum"]) for row in kept} == {LOG_SPECTRUM_LENGTH}


def test_a_pass_keeps_the_instruments_it_began_with(run: Run, new: Path) -> None:
    """Others become current while it runs."""
    publish_detector(run)
    instruments = Instruments.current(run.store)
    before = diagnose(run, new)
    Models(run.store).publish(
        "detector", "d1", detector(inputs_of(run), seed=1).to_bytes(), {}, recording=run.recording
    )
    write_thresholds(run.store, 0.0, 1.0)
    assert diagnose(run, new, by=instruments).equals(before)
    assert not diagnose(run, new).equals(before)


def test_what_comes_daily_is_forgiven_and_labelled_anew() -> None:
    hours = np.arange(5 * 24)
    evening, fault = (hours % 24 >= 18) & (hours % 24 < 22), (hours >= 56) & (hours < 80)
    times = pd.date_range("2024-06-03", periods=len(hours), freq="h", tz="UTC")
    rows = pd.DataFrame({"data_time": times, "record_id": hours, "score": np.maximum(6.0 * evening, 9.0 * fault)})
    rows = rows.assign(fleet="", unit="", sensor_id="s1", pseudo_label="anomaly", fault_type="worn", confidence=0.5)
    found = forgiven(pa.Table.from_pandas(rows, schema=DIAGNOSES, preserve_index=False), Thresholds(1, 2, "mad"))
    assert found.schema == DIAGNOSES
    alarms = np.array(found["pseudo_label"].to_pylist()) == "anomaly"
    np.testing.assert_array_equal(alarms, fault)
