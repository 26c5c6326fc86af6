"""Scores of a run: one file a sensor whatever its name, nothing outside their folder, and back as they were."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archives import START, Run, fleet_files, write_archive
from fitted import publish_detector, write_thresholds
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.errors import XfmrError
from xfmr.published import Models
from xfmr.records.fields import sensor_id_of
from xfmr.records.model import UnusableError
from xfmr.schema import SCORES
from xfmr.scoring import (
    GroupScorer,
    load_detector,
    publish_scores,
    read_scores,
    read_thresholds,
    sensor_folder,
    thresholds_of,
    with_pseudo_labels,
)
from xfmr.storage import Store
from xfmr.thresholds import Thresholds

SENSORS = [
    *(("", name) for name in ("../../etc", "a/b", ".", "..", "变压器一", "007", "a=b", "%2e", "a b", "sensor_id=x")),
    *(("..", "a"), ("north=1", "a"), ("北", "a/b")),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with files beside its scores that nothing may touch."""
    made = Store(str(tmp_path / "runs/a"))
    made.write("features/b.parquet", b"features")
    write_thresholds(made, 1.0, 2.0)
    return made


def scores_of(sensors: list[tuple[str, str]], n_times: int = 3) -> pa.Table:
    """Make scores, the latest first."""
    rows = [
        (fleet, sensor, START + timedelta(minutes=minute), 100 * i + minute, i + minute / 8, "uncertain")
        for i, (fleet, sensor) in enumerate(sensors)
        for minute in reversed(range(n_times))
    ]
    return pa.Table.from_pylist([dict(zip(SCORES.names, row, strict=True)) for row in rows], schema=SCORES)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def as_published(scores: pa.Table) -> pd.DataFrame:
    return pd.DataFrame(scores.to_pandas()).sort_values(["fleet", "sensor_id", "data_time"], ignore_index=True)


def test_every_sensor_comes_back_whatever_its_name(store: Store) -> None:
    scores = scores_of(SENSORS)
    assert publish_scores(store, scores) == len(SENSORS)
    found = read_scores(store).sort_values(["fleet", "sensor_id", "data_time"], ignore_index=True)
    pd.testing.assert_frame_equal(found, as_published(scores), check_dtype=False)
    assert found["record_id"].dtype == np.int64
    assert found["score"].dtype == np.float32


def test_nothing_is_written_outside_the_folder_of_scores(store: Store, tmp_path: Path) -> None:
    before = files_in(tmp_path)
    publish_scores(store, scores_of(SENSORS))
    written = files_in(tmp_path) - before
    assert len(written) == len(SENSORS)
    assert all(name.startswith("runs/a/scores/") and name.endswith("/scores.parquet") for name in written)
    assert (tmp_path / "runs/a/features/b.parquet").read_bytes() == b"features"


@given(st.text(min_size=1, max_size=8, alphabet=st.characters(codec="utf-8")), st.text(max_size=8))
@settings(max_examples=200, deadline=None)
def test_the_name_of_a_folder_is_one_plain_part(sensor: str, fleet: str) -> None:
    try:
        sensor_id_of({"sensor_id": sensor})
        sensor_id_of({"sensor_id": fleet or "none"})
    except UnusableError:
        return
    parts = sensor_folder(fleet, sensor).split("/")
    assert len(parts) == (2 if fleet else 1)
    assert parts[-1].startswith("sensor_id=")
    assert not any("\\" in part or ":" in part for part in parts)


def test_the_names_that_people_see_are_pinned() -> None:
    assert sensor_folder("", "tr01-s1") == "sensor_id=tr01-s1"
    assert sensor_folder("", "../../etc") == "sensor_id=..%2F..%2Fetc"
    assert sensor_folder("北", "变压器 一") == "fleet=北/sensor_id=变压器%20一"


def test_a_sensors_file_is_in_order_of_time(store: Store) -> None:
    publish_scores(store, scores_of([("", "s1")]))
    table = store.read_table("scores/sensor_id=s1/scores.parquet")
    assert table["score"].to_pylist() == [0.0, 0.125, 0.25]
    assert table.schema.field("data_time").type == SCORES.field("data_time").type


def test_sensors_that_are_gone_leave_no_scores_behind(store: Store) -> None:
    publish_scores(store, scores_of([("", "s1"), ("", "s2"), ("n", "s1")]))
    publish_scores(store, scores_of([("", "s2")], n_times=1))
    assert {info.path.removeprefix(store.path("scores/")) for info in store.files("scores")} == {
        "sensor_id=s2/scores.parquet"
    }
    assert read_scores(store)["data_time"].tolist() == [START]


@pytest.mark.parametrize("sensors", [[("", "tr1"), ("", "a/b")], [("n", "tr1"), ("s", "tr1")]])
def test_pandas_reads_a_sensor_and_the_whole_folder(store: Store, sensors: list[tuple[str, str]]) -> None:
    scores = scores_of(sensors)
    publish_scores(store, scores)
    one = pd.read_parquet(store.path(f"scores/{sensor_folder(*sensors[0])}/scores.parquet"))
    assert one["score"].tolist() == [0.0, 0.125, 0.25]
    whole = pd.read_parquet(store.path("scores")).astype({"sensor_id": str})
    assert len(whole) == len(scores)
    assert set(whole["sensor_id"]) == {sensor for _, sensor in sensors}


def test_a_run_without_scores_is_told_so(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "run"))
    for read in (read_thresholds, read_scores):
        with pytest.raises(XfmrError, match=r"/run has no scores: run jobs\.score on it first$"):
            read(store)


def test_scores_that_were_removed_are_missed(store: Store) -> None:
    with pytest.raises(XfmrError, match=r"/scores is empty: remove [^\n]*thresholds\.json and run jobs\.score$"):
        read_scores(store)


def test_thresholds_come_back(store: Store) -> None:
    assert read_thresholds(store) == Thresholds(1.0, 2.0, "mad")


def test_too_few_scores_for_thresholds_are_an_error_of_one_line() -> None:
    with pytest.raises(XfmrError, match=r"^no thresholds by mad: [^\n]*larger archive or another method$"):
        thresholds_of(np.arange(3.0), "mad")


def test_pseudo_labels_by_hand() -> None:
    scored = pa.table({"score": pa.chunked_array([[0.5, 1.0], [1.5, 2.0, 9.0]], pa.float32())})
    labelled = with_pseudo_labels(scored, Thresholds(1.0, 2.0, "mad"))
    assert labelled["pseudo_label"].to_pylist() == ["normal", "normal", "uncertain", "anomaly", "anomaly"]


def test_the_groups_of_a_run_are_scored_by_its_detector(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=3))})
    run.featurize()
    with pytest.raises(XfmrError, match=r"has no detector model: run jobs\.fit_detector on it first$"):
        load_detector(Models(run.store))
    detector = publish_detector(run)
    scorer = GroupScorer(run.store)
    scored = pa.concat_tables([scorer(group) for group in run.features.groups])
    assert len(run.features.groups) == 3
    assert scored.column_names == ["fleet", "sensor_id", "data_time", "record_id", "score"]
    assert scored.select(["record_id"]).equals(run.table().select(["record_id"]))
    np.testing.assert_allclose(scored["score"], detector.score(run.table("log_spectrum")), rtol=1e-4)


def test_scores_of_an_earlier_detector_are_not_used(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    Models(store).publish("detector", "first", b"", {})
    write_thresholds(store, 1, 2)
    assert read_thresholds(store).upper == 2
    Models(store).publish("detector", "second", b"", {})
    with pytest.raises(XfmrError, match=r"of an earlier detector: run jobs\.score"):
        read_thresholds(store)
