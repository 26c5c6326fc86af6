"""Who is held out, and that what is held out stays out."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archives import START, Run, time_at
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import all_labels, labelled, minutes_of, split_run

from xfmr.errors import XfmrError
from xfmr.faults.split import check_disjoint, held_out_ids, part_of, split, without_contradictions
from xfmr.labels import match_records


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return split_run(tmp_path)


def test_what_one_signal_is_called_in_two_ways_is_left_out() -> None:
    rows = labelled(("a", 0, 1), ("b", 0, 1), ("a", 1, 2), ("b", 1, 2), ("c", 0, 3))
    kept = without_contradictions(rows.assign(label=["normal", "worn", "worn", "worn", "normal"]))
    assert kept["record_id"].tolist() == [2, 2, 3]


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


def test_held_out_ids_are_bare_numbers(run: Run) -> None:
    labels = all_labels(run)
    ids = held_out_ids(match_records(labels, run.features))
    assert isinstance(ids, np.ndarray)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    # Two records of the test sample, one of the validation sample; the copy has an id of these.
    assert len(ids) == 3
    relabelled = held_out_ids(match_records(labels.assign(label="worn"), run.features))
    np.testing.assert_array_equal(relabelled, ids)


def test_what_is_held_out_and_what_is_trained_on_share_nothing(run: Run) -> None:
    table = match_records(all_labels(run), run.features)
    training = table["record_id"][split(table) == "train"].to_numpy()
    assert len(training) == 2
    check_disjoint(training, held_out_ids(table))


def test_check_disjoint_counts_what_leaked() -> None:
    check_disjoint(np.array([1, 2, 2], np.int64), np.array([3], np.int64))
    check_disjoint(np.empty(0, np.int64), np.array([3], np.int64))
    with pytest.raises(XfmrError, match=r"^2 records held out .* were trained on"):
        check_disjoint(np.array([1, 2, 3], np.int64), np.array([3, 2, 9], np.int64))
