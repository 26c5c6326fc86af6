"""A run's scores are one whole set: for people by the names they know, for readers at any moment, after any kill."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archives import RECORDING
from fitted import SENSORS, publish_scores, scores_of, write_thresholds
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.errors import XfmrError
from xfmr.normal import SensorKey
from xfmr.records.fields import sensor_id_of
from xfmr.records.record import UnusableError
from xfmr.schema import SCORES
from xfmr.scores.sets import (
    PARTITIONING,
    ScoreSet,
    current_key,
    read_current,
    read_scores,
    read_sensor,
    read_thresholds,
    sensor_file,
)
from xfmr.scores.thresholds import Thresholds
from xfmr.storage import Store
from xfmr.storage.models import Models

OLD, NEW = [("", "", "s1"), ("", "", "s2")], [("", "", "s2"), ("", "", "s3"), ("", "", "s4")]
NAMES = ("scores", "thresholds.json", "review", "score_distribution.png")


def with_detector(store: Store) -> Store:
    Models(store).publish("detector", "d0", b"", {}, recording=RECORDING)
    return store


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return with_detector(Store(str(tmp_path / "runs/a")))


@pytest.fixture
def remote(bucket: str) -> Store:
    return with_detector(Store(f"{bucket}/runs/a"))


@pytest.fixture(params=["local", "remote"])
def run(request: pytest.FixtureRequest) -> Store:
    """A run on this machine's disk, and one on an object store."""
    return cast(Store, request.getfixturevalue(request.param))


def contents(run: Store) -> tuple[set[str], float, int]:
    """Return what of a set must go together: its sensors, upper threshold and number of records."""
    frame = read_scores(run)
    return set(frame["sensor_id"]), read_thresholds(run).upper, len(frame)


@pytest.mark.parametrize("where", ["local", "remote"])
def test_every_sensor_comes_back_whatever_its_name(where: str, request: pytest.FixtureRequest) -> None:
    run, scores = request.getfixturevalue(where), scores_of(SENSORS)
    assert publish_scores(run, scores).n_sensors == len(SENSORS)
    found = read_scores(run).sort_values(["fleet", "sensor_id", "data_time"], ignore_index=True)
    expected = scores.to_pandas().sort_values(["fleet", "sensor_id", "data_time"], ignore_index=True)
    columns = [name for name in SCORES.names if name != "pseudo_label"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], check_dtype=False)
    assert set(found["pseudo_label"]) == {"normal", "uncertain", "anomaly"}
    assert (found["record_id"].dtype, found["score"].dtype) == (np.int64, np.float32)


def test_nothing_is_written_outside_the_folders_of_scores(local: Store, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("as it was")
    publish_scores(local, scores_of(SENSORS))
    written = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file() and not p.is_symlink()}
    inside = ("runs/a/score_sets/k/", "runs/a/score_parts/d0/", "runs/a/models/")
    assert {name for name in written if not name.startswith(inside)} == {"beside"}
    assert sum(name.startswith("runs/a/score_sets/k/scores/") for name in written) == len(SENSORS)


@given(st.text(min_size=1, max_size=8, alphabet=st.characters(codec="utf-8")), st.text(max_size=8))
@settings(max_examples=200, deadline=None)
def test_the_name_of_a_folder_is_one_plain_part(sensor: str, fleet: str) -> None:
    try:
        sensor_id_of({"sensor_id": sensor})
        sensor_id_of({"sensor_id": fleet or "none"})
    except UnusableError:
        return
    parts = sensor_file(sensor, unit=fleet, fleet=fleet).split("/")
    assert len(parts) == (5 if fleet else 3)
    assert parts[-2].startswith("sensor_id=")
    assert not any("\\" in part or ":" in part for part in parts)


def test_the_names_that_people_see_are_pinned() -> None:
    assert sensor_file("tr01-s1") == "scores/sensor_id=tr01-s1/scores.parquet"
    assert sensor_file("../../etc") == "scores/sensor_id=..%2F..%2Fetc/scores.parquet"
    assert sensor_file("1", unit="114") == "scores/unit=114/sensor_id=1/scores.parquet"
    assert sensor_file("变压器 一", fleet="北") == "scores/fleet=北/sensor_id=变压器%20一/scores.parquet"


def test_a_sensors_file_is_in_order_of_time(local: Store) -> None:
    publish_scores(local, scores_of([("", "", "s1")]))
    table = local.read_table("scores/sensor_id=s1/scores.parquet")
    assert table["score"].to_pylist() == [0.0, 0.125, 0.25]
    assert table.schema.field("data_time").type == SCORES.field("data_time").type


@pytest.mark.parametrize(
    "sensors", [[("", "", "tr1"), ("", "", "a/b")], [("n", "", "tr1"), ("s", "", "tr1")], [("", "", "007")]]
)
def test_pandas_reads_a_sensor_and_the_whole_folder(local: Store, sensors: list[SensorKey]) -> None:
    publish_scores(local, scores_of(sensors))
    fleet, unit, sensor = sensors[0]
    one = pd.read_parquet(local.path(sensor_file(sensor, unit=unit, fleet=fleet)))
    assert one["score"].tolist() == [0.0, 0.125, 0.25]
    whole = pd.read_parquet(local.path("scores"), partitioning=PARTITIONING)
    assert set(whole["sensor_id"]) == {key[-1] for key in sensors}
    named = {"fleet": fleet, "unit": unit, "sensor_id": sensor}
    filters = [(column, "==", name) for column, name in named.items() if name]
    assert len(pd.read_parquet(local.path("scores"), partitioning=PARTITIONING, filters=filters)) == 3


def test_a_sensor_is_read_from_its_file(run: Store) -> None:
    publish_scores(run, scores_of(SENSORS))
    for i, (fleet, unit, sensor) in enumerate(SENSORS):
        ids = read_sensor(run, sensor, unit=unit, fleet=fleet)["record_id"].to_numpy()
        assert (ids - 100 * i).tolist() == [0, 1, 2]
    with pytest.raises(XfmrError, match=r"^cannot read [^\n]*/sensor_id=absent/scores\.parquet: "):
        read_sensor(run, "absent")


def test_the_known_names_lead_to_the_set_in_use(local: Store) -> None:
    for key, sensors in (("a", OLD), ("b", NEW)):
        made = publish_scores(local, scores_of(sensors), key=key)
        made.store.write("score_distribution.png", key.encode())
        for name in NAMES:
            assert Path(local.path(name)).resolve() == Path(made.store.path(name)).resolve()
    assert Path(local.path("score_distribution.png")).read_bytes() == b"b"


def test_a_new_set_replaces_the_old_one(run: Store) -> None:
    publish_scores(run, scores_of([("", "", "s1"), ("", "", "s2"), ("n", "", "s1")]), key="a")
    made = publish_scores(run, scores_of([("", "", "s2")], n_times=1), key="b")
    assert made.remove_others() == []
    assert run.folders("score_sets") == ["b"]
    assert contents(run) == ({"s2"}, 2.0, 1)
    assert (ScoreSet(run, "b").is_current, ScoreSet(run, "a").is_current) == (True, False)


class Killed(BaseException):
    """The process ends here: nothing is caught, nothing tidied."""


def kill_before(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let all that changes files work so often, and then no more."""
    taken = iter(range(step))

    def mortal(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if next(taken, None) is None:
                raise Killed
            return function(*args, **options)

        return call

    for owner, name in [
        (Store, "write"),
        (Store, "remove"),
        (Store, "remove_folder"),
        (Path, "symlink_to"),
        (Path, "replace"),
    ]:
        monkeypatch.setattr(owner, name, mortal(getattr(owner, name)))


@pytest.mark.parametrize("first", [True, False])
def test_killed_at_each_step_all_is_old_or_all_is_new(
    run: Store, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = ({"s1", "s2"}, 2.0, 6), ({"s2", "s3", "s4"}, 9.0, 12)
    if not first:
        publish_scores(run, scores_of(OLD), key="a")
    seen = []
    for step in range(100):
        with monkeypatch.context() as patch:
            kill_before(patch, step)
            try:
                made = publish_scores(run, scores_of(NEW, n_times=4), key="b", thresholds=Thresholds(1, 9, "mad"))
                made.remove_others()
                break
            except Killed:
                seen.append(contents(run) if current_key(run) else None)
    assert contents(run) == new
    assert run.folders("score_sets") == ["b"]
    before = None if first else old
    assert len(seen) >= 6
    assert seen[0] == before
    assert seen == sorted(seen, key=lambda found: found == new), "it went back"
    assert all(found in (before, new) for found in seen)


def test_a_reader_never_sees_two_sets(local: Store) -> None:
    """Ten sensors, whose scores and upper threshold are all of one set, switched as often as can be."""
    ended, found = threading.Event(), []
    sensors = [("", "", f"s{i}") for i in range(10)]

    def publish(number: int) -> None:
        scores = scores_of(sensors, n_times=1)
        same = scores.set_column(
            SCORES.get_field_index("score"), SCORES.field("score"), pa.array([float(number)] * 10, pa.float32())
        )
        limits = Thresholds(-1, number, "mad")
        publish_scores(local, same, key=f"k{number}", thresholds=limits).remove_others()

    def read() -> None:
        while not ended.is_set():
            scores, origin = read_current(local, lambda found: (found.scores(), found.origin()))
            found.append((scores["score"].nunique(), len(scores), scores["score"].iloc[0] == origin.thresholds.upper))

    publish(0)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 40):
        publish(number)
    ended.set()
    reader.join()
    assert len(found) > 5
    assert set(found) == {(1, 10, True)}


def test_a_queue_that_was_written_in_is_kept(run: Store) -> None:
    first = publish_scores(run, scores_of(OLD), key="a")
    text = first.store.read("review/queue.csv").decode()
    first.store.write("review/queue.csv", text.replace(",\n", ",normal\n", 1).encode())
    (kept,) = publish_scores(run, scores_of(NEW), key="b").remove_others()
    assert kept.startswith(run.path("reviewed/a-"))
    kept_name = kept.removeprefix(run.path("")).lstrip("/")
    assert ",normal\n" in run.read(kept_name).decode()
    again = publish_scores(run, scores_of(OLD), key="a")
    assert again.remove_others() == []
    again.store.write("review/queue.csv", text.replace(",\n", ",worn\n", 1).encode())
    (other,) = publish_scores(run, scores_of(NEW), key="b").remove_others()
    assert ",normal\n" in run.read(kept_name).decode(), "the first review is still there"
    assert other != kept


def test_a_folder_in_the_place_of_a_link(local: Store) -> None:
    local.write("scores/sensor_id=a/scores.parquet", b"of an earlier version")
    with pytest.raises(XfmrError, match=r"/runs/a/scores is not the link that it should be: move it away"):
        publish_scores(local, scores_of(OLD))
    assert current_key(local) is None


def test_a_run_without_scores_is_told_so(run: Store) -> None:
    for read in (read_thresholds, read_scores):
        with pytest.raises(XfmrError, match=r"/a has no scores: run jobs\.score on it first$"):
            read(run)


def test_scores_that_were_removed_are_missed(local: Store) -> None:
    made = publish_scores(local, scores_of(OLD))
    made.store.remove_folder("scores")
    assert not made.is_current
    with pytest.raises(XfmrError, match=r"/scores is empty: run jobs\.score to make it again$"):
        read_scores(local)


def test_scores_of_an_earlier_detector_are_not_used(local: Store) -> None:
    write_thresholds(local, 1, 2)
    assert read_thresholds(local) == Thresholds(1.0, 2.0, "mad")
    Models(local).publish("detector", "second", b"", {}, recording=RECORDING)
    with pytest.raises(XfmrError, match=r"of an earlier detector: run jobs\.score"):
        read_thresholds(local)
