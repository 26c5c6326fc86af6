"""From parts to files of sensors: every row arrives once, less what comes daily at its hour."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archives import RECORDING
from fitted import SENSORS, publish_scores, scores_of

from xfmr.schema import IDENTITY_COLUMNS, KEY, SCORES
from xfmr.scores.parts import ScoreParts
from xfmr.scores.ranges import ScoreRanges, SensorWriter, n_ranges
from xfmr.scores.sets import read_scores
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.models import Models


@pytest.mark.parametrize("n", [1, 3, 40])
def test_every_row_arrives_once_whatever_the_cut(tmp_path: Path, n: int) -> None:
    store = Store(str(tmp_path / "run"))
    Models(store).publish("detector", "d0", b"", {}, recording=RECORDING)
    scores = scores_of(SENSORS, n_times=4)
    publish_scores(store, scores, n_ranges=n)
    found = read_scores(store).sort_values(KEY, ignore_index=True)
    expected = scores.to_pandas().sort_values(KEY, ignore_index=True)
    columns = [*IDENTITY_COLUMNS, "score"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_dtype=False)


def test_the_same_sensor_name_in_two_fleets_has_two_files(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "run"))
    Models(store).publish("detector", "d0", b"", {}, recording=RECORDING)
    made = publish_scores(store, scores_of([("north", "", "s1"), ("south", "", "s1")]), n_ranges=2)
    assert made.n_sensors == 2
    south = pd.read_parquet(tmp_path / "run/scores/fleet=south/sensor_id=s1/scores.parquet")
    assert south["record_id"].tolist() == [100, 101, 102]


def test_what_a_person_has_labelled_is_not_asked_for_again(tmp_path: Path) -> None:
    parts = ScoreParts(Store(str(tmp_path)), "d0", ("a",))
    parts.write("a", scores_of(SENSORS[:2]))
    ids = scores_of(SENSORS[:2])["record_id"].to_numpy()
    ranges, limits = ScoreRanges(parts, 1, forgive_daily=False), Thresholds(-1.0, 0.5, "mad")
    for labelled in (ids[:0], ids[[0, 3]]):
        queue = SensorWriter(ranges, parts.run.child("set"), limits, 100, labelled)("0")
        assert sorted(queue["record_id"].to_pylist()) == sorted(set(ids) - set(labelled))


@pytest.mark.parametrize(
    ("records", "cpus", "expected"), [(0, 2, 1), (144, 8, 1), (500_000, 2, 4), (2_000_000, 64, 100), (10**8, 2, 100)]
)
def test_how_many_ranges(records: int, cpus: int, expected: int) -> None:
    assert n_ranges(records, cpus) == expected


def week(sensor: str, extra: np.ndarray) -> pa.Table:
    """Make scores of a week, hour by hour, with what a record has more than chance."""
    times = pd.date_range("2024-06-03", periods=len(extra), freq="h", tz="UTC")
    scores = extra + 0.1 * np.random.default_rng(0).standard_normal(len(extra))
    rows = pd.DataFrame({"data_time": times, "record_id": np.arange(len(extra)), "score": scores})
    rows = rows.assign(fleet="", unit="", sensor_id=sensor, pseudo_label="normal")
    return pa.Table.from_pandas(rows, schema=SCORES, preserve_index=False)


@pytest.mark.parametrize("n", [1, 7])
def test_what_comes_daily_is_forgiven_to_that_sensor_alone(tmp_path: Path, n: int) -> None:
    hours = np.arange(7 * 24)
    evening, fault = (hours % 24 >= 18) & (hours % 24 < 22), (hours >= 60) & (hours < 110)
    parts = ScoreParts(Store(str(tmp_path)), "d0", ("a", "b", "c"))
    parts.write("a", week("s1", 5.0 * evening))
    parts.write("b", week("s2", 5.0 * fault).slice(100))  # the groups of a sensor come together
    parts.write("c", week("s2", 5.0 * fault).slice(0, 100))

    def scores(*, forgive_daily: bool) -> dict[str, np.ndarray]:
        ranges = ScoreRanges(parts, n, forgive_daily)
        rows = pa.concat_tables(map(ranges.rows, ranges.positions)).to_pandas().sort_values("data_time")
        alone = pa.concat_tables(map(ranges, ranges.positions))["score"].to_numpy()
        np.testing.assert_array_equal(np.sort(alone), np.sort(rows["score"]))
        return {sensor: rows[rows["sensor_id"] == sensor]["score"].to_numpy() for sensor in ("s1", "s2")}

    forgiven, as_they_are = scores(forgive_daily=True), scores(forgive_daily=False)
    assert as_they_are["s1"][evening].min() > 4
    assert forgiven["s1"][evening].max() < 0.7
    assert forgiven["s2"][fault].min() > 4
    assert forgiven["s1"].dtype == np.float32
