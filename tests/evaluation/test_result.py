"""Comparison of detectors, in the file and on the console."""

import json

import numpy as np
import pandas as pd
import pytest
from archives import time_at

from xfmr.evaluation import (
    Assessment,
    Predictions,
    Result,
    Truth,
    assess,
    auc_differences,
    group_curves,
    group_table,
    overall_table,
)

NOISE = np.random.default_rng(0).standard_normal(240)


@pytest.fixture(scope="module")
def truth() -> Truth:
    """Four units of two sensors at 30 times, the later ones with more faults, at two loads."""
    rows = [(unit, sensor, minute) for unit in range(4) for sensor in "ab" for minute in range(30)]
    table = pd.DataFrame(
        {
            "fleet": "",
            "unit": "",
            "sensor_id": [f"u{unit}-{sensor}" for unit, sensor, _ in rows],
            "data_time": [pd.Timestamp(time_at(minute)) for _, _, minute in rows],
            "of_unit": [f"u{unit}" for unit, _, _ in rows],
            "label": ["worn" if minute < 2 * unit + 1 else "normal" for unit, _, minute in rows],
            "condition: load": ["high" if minute % 2 else "low" for _, _, minute in rows],
        }
    )
    return Truth(table.assign(fault=table["label"] != "normal"), resamples=100, seed=0)


@pytest.fixture(scope="module")
def predictions(truth: Truth) -> dict[str, Predictions]:
    good, poor = (4 * truth.fault + NOISE, truth.fault + NOISE)
    return {name: Predictions(score, score > 2) for name, score in {"xfmr": good, "PCA error": poor}.items()}


@pytest.fixture(scope="module")
def assessments(truth: Truth, predictions: dict[str, Predictions]) -> dict[str, Assessment]:
    return {name: assess(truth, predicted) for name, predicted in predictions.items()}


@pytest.fixture(scope="module")
def result(truth: Truth, predictions: dict[str, Predictions], assessments: dict[str, Assessment]) -> Result:
    return Result(
        truth, assessments, group_curves(truth, predictions["xfmr"]), {"in_history": 3, "fault_types": None}
    )


def test_a_detector_is_assessed_over_all_records_by_group_and_by_unit(assessments: dict[str, Assessment]) -> None:
    ours = assessments["xfmr"]
    assert (ours.overall.records, ours.overall.faults, ours.overall.samples) == (240, 32, 120)
    assert {grouping: len(groups) for grouping, groups in ours.groups.items()} == {"sensor_id": 8, "load": 2}
    low, high = ours.groups["load"]["low"], ours.groups["load"]["high"]
    assert (low.records + high.records, low.faults + high.faults) == (240, 32)
    assert ours.overall.intervals["auc"][0] < ours.overall.auc < ours.overall.intervals["auc"][1]
    assert ours.units.spearman == pytest.approx(1)
    assert ours.curve is not None


def test_the_same_seed_gives_the_same_figures(
    truth: Truth, predictions: dict[str, Predictions], assessments: dict[str, Assessment]
) -> None:
    again = assess(Truth(truth.records, resamples=100, seed=0), predictions["xfmr"])
    assert (again.overall, again.groups) == (assessments["xfmr"].overall, assessments["xfmr"].groups)
    other = assess(Truth(truth.records, resamples=100, seed=1), predictions["xfmr"])
    assert other.overall.auc == assessments["xfmr"].overall.auc
    assert other.overall.intervals != assessments["xfmr"].overall.intervals


def test_a_paired_difference_has_a_narrower_interval(assessments: dict[str, Assessment]) -> None:
    """Both are wrong on the same records, so the draws change both AUCs in much the same way."""
    lead = auc_differences(assessments)["PCA error"]
    assert lead["auc"] == pytest.approx(assessments["xfmr"].overall.auc - assessments["PCA error"].overall.auc)
    low, high = lead["interval"]
    assert 0 < low < lead["auc"] < high
    assert high - low < sum(np.ptp(each.overall.intervals["auc"]) for each in assessments.values())
    assert auc_differences({"a": assessments["xfmr"], "b": assessments["xfmr"]}) == {
        "b": {"auc": 0.0, "interval": (0.0, 0.0)}
    }


def test_only_groups_with_faults_and_normal_records_have_curves(
    truth: Truth, predictions: dict[str, Predictions]
) -> None:
    some = truth.records[truth.records["fault"] | (truth.records["of_unit"] != "u3")].reset_index(drop=True)
    kept = Truth(some, resamples=100, seed=0)
    curves = group_curves(kept, Predictions(np.arange(len(some)), np.zeros(len(some), bool)))
    assert set(curves["sensor_id"]) == {f"u{unit}-{sensor}" for unit in range(3) for sensor in "ab"}
    assert list(curves["load"]) == ["high", "low"]


def test_the_file_is_complete_and_strict_json(result: Result) -> None:
    saved = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert (saved["in_history"], saved["resamples"], saved["seed"]) == (3, 100, 0)
    ours = saved["detectors"]["xfmr"]
    assert set(saved["detectors"]) == {"xfmr", "PCA error"}
    assert set(ours) == {"overall", "groups", "units", "curve"}
    assert len(ours["overall"]["intervals"]["auc"]) == 2
    assert ours["groups"]["load"]["low"]["records"] == 120
    assert len(ours["curve"]["recall"]) == len(ours["curve"]["precision"])
    assert set(saved["group_curves"]) == {"sensor_id", "load"}
    assert set(saved["leads"]) == {"PCA error"}


def test_the_console(result: Result) -> None:
    overall, sensors, loads, notes = result.text().split("\n\n")
    assert [row.split()[0] for row in overall.splitlines()] == ["detector", "xfmr", "PCA"]
    assert "AUC of xfmr minus its" in overall
    assert len(sensors.splitlines()) == 9
    assert [row.split()[:3] for row in loads.splitlines()[1:]] == [["high", "120", "12"], ["low", "120", "20"]]
    assert "AUC PCA error" in loads
    assert notes.splitlines() == [
        "95 % intervals: bootstrap of 120 samples (all sensors of a unit at one time), 100 times",
        "rank correlation of unit score and fault share, 4 units: 1.000, p = 0.083",
        "3 of these records were in the history the detector learned from",
    ]


def test_the_console_tells_what_is_missing(truth: Truth, assessments: dict[str, Assessment]) -> None:
    many = {"condition: note": [f"note {i}" for i in range(240)]}
    lonely = Truth(truth.records.assign(of_unit="", **many), resamples=100, seed=0)
    alone = {"xfmr": assess(lonely, Predictions(NOISE, NOISE > 2))}
    fault_types = {"records": 2, "macro_f1": 0.51249, "accuracy": 0.5}
    notes = Result(lonely, alone, {}, {"fault_types": fault_types}).text().split("\n\n")[-1].splitlines()
    assert notes[1:] == [
        "rank correlation of unit score and fault share, 0 units: "
        "undefined, fewer than 3 units are named in the labels",
        "no baselines: the features of these records are not in the run (diagnose keeps them)",
        "no conditions, having too many values: note",
        "fault types of 2 records not trained on: macro F1 0.512, accuracy 0.500",
    ]


def test_a_classifier_trained_on_all_records_has_no_quality(truth: Truth) -> None:
    alone = {"xfmr": assess(truth, Predictions(NOISE, NOISE > 2))}
    notes = Result(truth, alone, {}, {"fault_types": {"records": 0}}).text().splitlines()
    assert notes[-1] == "fault types: the classifier was trained on all of these records"


def test_what_is_not_defined_is_a_dash(truth: Truth) -> None:
    normal = truth.records[~truth.records["fault"]].reset_index(drop=True)
    score = np.zeros(len(normal))
    assessment = assess(Truth(normal, resamples=100, seed=0), Predictions(score, score > 1))
    row = overall_table(
        {"xfmr": assessment}, auc_differences({"xfmr": assessment, "other": assessment})
    ).splitlines()[1]
    assert row.split() == ["xfmr", "-", "-", "-", "-", "-", "1.000", "0.000"]
    assert assessment.curve is None
    assert Result(Truth(normal, 100, 0), {"xfmr": assessment}, {}, {}).curves == {}


def test_of_many_groups_the_worst_are_shown() -> None:
    """Sensors 0 to 9 rank in the wrong order, the others in the right one; two have only normal records."""
    rows = [(f"s{i:02}", fault, -fault if i < 10 else fault) for i in range(43) for fault in (0, 1)]
    rows += [("t", 0, 0), ("v", 0, 5)]
    table = pd.DataFrame(rows, columns=["sensor_id", "fault", "score"])
    table = table.assign(fleet="", unit="", of_unit="", label=np.where(table["fault"] == 1, "worn", "normal"))
    table = table.assign(data_time=pd.Timestamp(time_at(0)), fault=table["fault"] == 1)
    truth = Truth(table, resamples=100, seed=0)
    score = table["score"].to_numpy()
    lines = group_table({"xfmr": assess(truth, Predictions(score, score > 2))}, "sensor_id").splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == [f"s{i:02}" for i in range(40)]
    assert lines[-1] == "(the 40 worst of 45; all are in evaluation.json)"
