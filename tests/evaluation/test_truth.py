"""Moments of the bootstrap, and groups of records."""

import numpy as np
import pandas as pd
import pytest
from archives import time_at
from hypothesis import given
from hypothesis import strategies as st

from xfmr.evaluation import Predictions, Truth
from xfmr.evaluation.truth import condition_groups


def records(n: int, **columns: object) -> pd.DataFrame:
    """Make n normal records of one sensor, one a minute, but for the columns given."""
    times = [pd.Timestamp(time_at(i)) for i in range(n)]
    names = {"fleet": "", "unit": "", "sensor_id": "a", "of_unit": "", "label": "normal"}
    made = pd.DataFrame({**names, "data_time": times} | columns)
    return made.assign(fault=made["label"] != "normal")


def truth(n: int, **columns: object) -> Truth:
    return Truth(records(n, **columns), resamples=100, seed=0)


def grouped(values: list[str], fault: list[int]) -> dict[str, list[int]]:
    groups = condition_groups(pd.Series(values, dtype=str), np.array(fault, bool))
    return {name: rows.tolist() for name, rows in groups.items()}


def test_all_sensors_of_a_unit_at_one_time_are_a_moment() -> None:
    times = [pd.Timestamp(time_at(minute)) for minute in (0, 0, 1, 0)]
    moments = truth(4, sensor_id=["a", "b", "a", "c"], data_time=times, of_unit=["u", "u", "u", "v"]).moment
    assert moments[0] == moments[1]
    assert len(set(moments)) == 3


def test_without_units_all_sensors_of_a_fleet_at_one_time_are_a_moment() -> None:
    times = [pd.Timestamp(time_at(minute)) for minute in (0, 0, 1, 0)]
    moments = truth(4, sensor_id=["a", "b", "a", "c"], data_time=times, fleet=["n", "n", "n", "s"]).moment
    assert moments[0] == moments[1]
    assert len(set(moments)) == 3


def test_sensors_hours_and_labels_are_groups() -> None:
    times = [pd.Timestamp(time_at(60 * hour)) for hour in (0, 0, 11, 11)]
    groups = truth(4, fleet=["", "n", "n", ""], data_time=times, label=["normal", "worn", "normal", "bent"]).groups
    assert {grouping: list(members) for grouping, members in groups.items()} == {
        "sensor_id": ["a", "n/a"],
        "hour_utc": ["08:00", "19:00"],
        "label": ["bent", "worn"],
    }
    assert groups["sensor_id"]["a"].tolist() == [0, 3]
    assert groups["hour_utc"]["19:00"].tolist() == [2, 3]
    assert groups["label"]["worn"].tolist() == [0, 1, 2]


def test_a_condition_that_never_changes_groups_nothing() -> None:
    assert list(truth(3, **{"condition: load": "80"}).groups) == ["sensor_id"]


def test_conditions_keep_their_names() -> None:
    values = {"condition: load": ["1", "2", "1"], "condition: score": ["x", "y", "z"]}
    assert list(truth(3, **values).groups) == ["sensor_id", "load", "score"]


def test_a_condition_groups_faults_and_normal_records_alike() -> None:
    assert grouped(["high", "low", "high", ""], [0, 0, 1, 1]) == {"high": [0, 2], "low": [1]}


def test_numbers_are_in_their_order_and_written_once() -> None:
    assert grouped(["100", "20", "20.0", "-1e1"], [0, 0, 1, 0]) == {"-10": [3], "20": [1, 2], "100": [0]}


def test_what_only_faults_have_is_set_against_all_normal_records() -> None:
    """The severity of normal records is 0 or empty."""
    for of_normal in ("0", ""):
        assert grouped(["big", of_normal, "big", of_normal, "small"], [1, 0, 1, 0, 1]) == {
            "big": [0, 1, 2, 3],
            "small": [1, 3, 4],
        }


def test_without_normal_records_there_is_nothing_to_set_faults_against() -> None:
    assert grouped(["x", "y"], [1, 1]) == {"x": [0], "y": [1]}


def test_many_numbers_are_cut_into_quarters() -> None:
    groups = grouped([f"{value}" for value in range(101)], [i % 2 for i in range(101)])
    assert list(groups) == ["0 to 25", "25 to 50", "50 to 75", "75 to 100"]
    assert [len(rows) for rows in groups.values()] == [26, 25, 25, 25]
    assert groups["25 to 50"] == [*range(26, 51)]


@pytest.mark.parametrize("first", [1_000_001, 1_717_372_800])
def test_numbers_that_are_alike_in_their_first_digits_stay_apart(first: int) -> None:
    few = grouped([f"{first + i // 2}" for i in range(8)], [i % 2 for i in range(8)])
    assert list(few.values()) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    quarters = grouped([f"{first + i}" for i in range(40)], [i % 2 for i in range(40)])
    assert sorted(row for rows in quarters.values() for row in rows) == [*range(40)]


def test_the_severity_of_faults_is_cut_into_quarters_of_the_faults() -> None:
    values = ["0.000"] * 50 + [f"{value / 100:.3f}" for value in range(1, 41)]
    groups = grouped(values, [0] * 50 + [1] * 40)
    assert list(groups) == ["0.01 to 0.1075", "0.1075 to 0.205", "0.205 to 0.3025", "0.3025 to 0.4"]
    assert all(rows[:50] == [*range(50)] and len(rows) == 60 for rows in groups.values())


def test_many_texts_are_no_condition() -> None:
    made = truth(60, **{"condition: note": [f"note {i}" for i in range(60)], "condition: load": ["1", "2"] * 30})
    assert list(made.groups) == ["sensor_id", "load"]
    assert made.skipped_conditions == ["note"]


@given(st.lists(st.tuples(st.sampled_from(["", "1", "2", "x", "0.5"]), st.booleans()), max_size=30))
def test_every_record_with_a_value_is_in_a_group(rows: list[tuple[str, bool]]) -> None:
    values, fault = [row[0] for row in rows], [int(row[1]) for row in rows]
    groups = grouped(values, fault)
    assert all(members == sorted(set(members)) for members in groups.values())
    grouped_rows = {row for members in groups.values() for row in members}
    normal = {values[i] for i in range(len(rows)) if not fault[i]}
    of_faults = len(normal) == 1 and not any(values[i] in normal for i in range(len(rows)) if fault[i])
    if of_faults and not any(value for value, bad in rows if bad):
        assert groups == {}
    else:
        expected = {i for i, value in enumerate(values) if value or (of_faults and not fault[i])}
        assert grouped_rows == expected


def test_some_records_are_assessed_by_their_own_moments() -> None:
    made = truth(40, label=["normal", "worn"] * 20, sensor_id=["a", "a", "b", "b"] * 10)
    score = np.where(made.records["sensor_id"] == "a", made.fault, ~made.fault).astype(float)
    predictions = Predictions(score, score > 0.5)
    a, b = (made.quality(predictions, rows) for rows in made.groups["sensor_id"].values())
    assert (a.records, a.faults, a.samples, a.auc, a.intervals["auc"]) == (20, 10, 20, 1.0, (1.0, 1.0))
    assert (b.auc, b.recall, b.false_alarm_rate) == (0.0, 0.0, 1.0)
    assert made.quality(predictions).auc == pytest.approx(0.5)
