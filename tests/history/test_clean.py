"""The history that stage one learns from: no label, nothing held out, nothing dead, the same for any grouping."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archives import Run, fleet_files, line, time_at, write_archive

from xfmr.errors import XfmrError
from xfmr.history.folds import FoldedHistory, load_folded_history
from xfmr.history.reading import ReadGroup
from xfmr.normal import Rows, Standardiser, level_free
from xfmr.normal.cleaning import CLEANING_SHARE
from xfmr.schema import IDENTITY_COLUMNS, KEY, to_numpy
from xfmr.settings.stage_one import Branch
from xfmr.views.views import View

NONE = np.empty(0, np.int64)
N_FOLDS = 2
PLANES = ("cwt", "stft")


def load(
    run: Run, *, struck: np.ndarray = NONE, max_records: int = 1000, branch: Branch = "spectrum"
) -> FoldedHistory:
    view = View(branch, 48, "minmax")
    return load_folded_history(run.features, view, N_FOLDS, struck=struck, max_records=max_records)


def seen(history: FoldedHistory) -> pd.DataFrame:
    """Return all records that were read, those set aside among them, by sensor and time."""
    rows = pd.concat([history.rows.frame(), history.set_aside[IDENTITY_COLUMNS]])
    return rows.sort_values(KEY).reset_index(drop=True)


def ids_of(run: Run, *places: tuple[str, int]) -> np.ndarray:
    """Return the record ids of sensors and minutes."""
    rows = run.table().to_pylist()
    ids = {(row["sensor_id"], row["data_time"]): row["record_id"] for row in rows}
    return np.array([ids[sensor, time_at(minute)] for sensor, minute in places])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Twelve records of two sensors, a dead sensor, and three more places where the first signal stands."""
    files = fleet_files(minutes=6)
    files["day/dead.jsonl"] = [line("s3", minute, 0) for minute in range(4)]
    files["day/copies.jsonl"] = [line("s2", 20, 1), line("s4", 0, 1), line("s1", 21, 1)]
    return write_archive(tmp_path / "archive", files)


@pytest.fixture
def run(archive: Path, tmp_path: Path) -> Run:
    run = Run(tmp_path / "run", {"": archive})
    assert run.featurize().kept == 19
    return run


def test_every_living_record_is_seen_in_order_of_sensor_and_time(run: Run) -> None:
    clean = load(run)
    expected = [
        *(("s1", minute) for minute in (*range(6), 21)),
        *(("s2", minute) for minute in (*range(6), 20)),
        ("s4", 0),
    ]
    rows = seen(clean)
    assert list(zip(rows["sensor_id"], rows["data_time"], strict=True)) == [
        (sensor, time_at(minute)) for sensor, minute in expected
    ]
    np.testing.assert_array_equal(rows["record_id"], ids_of(run, *expected))
    kept = clean.rows.frame()
    assert kept.equals(kept.sort_values(KEY, ignore_index=True))
    assert clean.rows.ids.dtype == np.int64
    keys = [clean.rows.sensors[code] for code in clean.rows.codes]
    assert keys == list(zip(kept["fleet"], kept["unit"], kept["sensor_id"], strict=True))


def test_values_are_the_level_free_spectra_of_the_rows(run: Run) -> None:
    history = load(run)
    table = run.table("log_spectrum")
    by_id = dict(zip(table["record_id"].to_pylist(), level_free(to_numpy(table, "log_spectrum")), strict=True))
    values = np.stack([by_id[i] for i in history.rows.ids.tolist()])
    np.testing.assert_array_equal(history.values, history.inputs.scale(values, history.rows))


def test_what_is_unlike_the_rest_is_set_aside(tmp_path: Path) -> None:
    """Thirty records of noise, two of another kind: a step, which has a spectrum of its own."""
    files = fleet_files(sensors=["s"], minutes=30)
    step = [round(0.001 * i, 5) + (i > 128) for i in range(256)]
    files["odd.jsonl"] = [line("s", 40, step), line("s", 41, step[::-1])]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", files)}, group_bytes=10**9)
    run.featurize()
    clean = load(run)
    odd = ids_of(run, ("s", 40), ("s", 41))
    assert set(odd) <= set(clean.set_aside["record_id"])
    assert clean.set_aside.columns.tolist() == [*IDENTITY_COLUMNS, "distance"]
    assert clean.set_aside.nlargest(2, "distance")["record_id"].isin(odd).all()
    assert len(clean.set_aside) <= np.ceil(CLEANING_SHARE * 32)
    assert not np.isin(clean.rows.ids, clean.set_aside["record_id"]).any()


def test_the_standardiser_is_of_all_records_seen(run: Run) -> None:
    clean = load(run)
    table = run.table("log_spectrum")
    by_id = dict(zip(table["record_id"].to_pylist(), level_free(to_numpy(table, "log_spectrum")), strict=True))
    rows = seen(clean)
    expected = Standardiser.fit(np.stack([by_id[i] for i in rows["record_id"]]), Rows.of(rows))
    learned = clean.inputs.scalers["vector"].arrays()
    np.testing.assert_array_equal(learned["median"], expected.median)
    np.testing.assert_array_equal(learned["scale"], expected.scale)


def test_a_dead_sensor_that_looks_like_a_living_one_once_padded(tmp_path: Path) -> None:
    """A short constant and the same with zeros written out have one id, but only the first is flat."""
    step = [0.5] * 10
    lines = [line("dead", 0, step), line("alive", 0, step + [0.0] * 10), line("alive", 1, 1)]
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", {"a.jsonl": lines})})
    run.featurize()
    assert seen(load(run))["sensor_id"].tolist() == ["alive"] * 2


def test_struck_records_and_their_copies_are_not_in_it(run: Run) -> None:
    struck = ids_of(run, ("s1", 0), ("s2", 3))
    rows = seen(load(run, struck=struck))
    # The first stands in four places, the second in one.
    assert len(rows) == 15 - 5
    assert not rows["record_id"].isin(struck).any()
    assert "s4" not in set(rows["sensor_id"])


@pytest.mark.parametrize("group_bytes", [1, 10_000, 10**9])
def test_the_grouping_does_not_matter(archive: Path, run: Run, tmp_path: Path, group_bytes: int) -> None:
    other = Run(tmp_path / "other", {"": archive}, group_bytes=group_bytes)
    other.featurize()
    for struck, most in [(NONE, 1000), (ids_of(run, ("s2", 1)), 5)]:
        one, two = (load(each, struck=struck, max_records=most) for each in (run, other))
        pd.testing.assert_frame_equal(one.rows.frame(), two.rows.frame())
        pd.testing.assert_frame_equal(one.set_aside, two.set_aside)
        np.testing.assert_array_equal(one.values, two.values)
        assert one.digest == two.digest


@pytest.mark.parametrize("branch", ["spectrum", "dual"])
def test_the_order_in_which_groups_are_read_does_not_matter(tmp_path: Path, branch: Branch) -> None:
    files = fleet_files(minutes=4) | {"day/again.jsonl": [line("s1", 2, 90), line("s1", 2, 91), line("s2", 2, 92)]}
    run = Run(
        tmp_path / "run", {"": write_archive(tmp_path / "a", files)}, columns=("signal", "log_spectrum", *PLANES)
    )
    run.featurize()

    def backwards(read: ReadGroup, groups: Sequence[str]) -> Iterator[pa.Table]:
        return map(read, reversed(groups))

    view = View(branch, 48, "minmax")
    one, two = (
        load_folded_history(run.features, view, N_FOLDS, struck=NONE, max_records=1000, each=each)
        for each in (map, backwards)
    )
    assert len(one.values) > 5
    pd.testing.assert_frame_equal(one.rows.frame(), two.rows.frame())
    np.testing.assert_array_equal(one.values, two.values)


def test_fleets_stay_apart(archive: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "two", {"south": archive, "north": archive})
    run.featurize()
    clean = load(run)
    assert clean.rows.codes.tolist() == sorted(clean.rows.codes)
    assert clean.rows.sensors == tuple(sorted(clean.rows.sensors))
    assert seen(clean).groupby(["fleet", "sensor_id"]).size().to_dict() == {
        (fleet, sensor): n for fleet in ("north", "south") for sensor, n in {"s1": 7, "s2": 7, "s4": 1}.items()
    }


def test_more_history_is_thinned_the_same_way_each_time(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=10))
    run = Run(tmp_path / "run", {"": archive}, group_bytes=10**9)
    run.featurize()
    everything, few, fewer = (set(seen(load(run, max_records=most))["record_id"]) for most in (1000, 12, 5))
    assert (len(everything), len(few), len(fewer)) == (20, 12, 5)
    assert fewer < few < everything
    assert set(seen(load(run, max_records=5))["record_id"]) == fewer
    # More archive changes little: what was thinned out stays out.
    write_archive(archive, {"new.jsonl": [line("s9", 50, 77)]})
    run.featurize()
    assert len(set(seen(load(run, max_records=12))["record_id"]) - few) <= 1


def test_thinned_history_keeps_sensors_that_have_little(tmp_path: Path) -> None:
    files = fleet_files(minutes=20) | {"few.jsonl": [line("s8", 50, 77), line("s9", 50, 78), line("s9", 51, 79)]}
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", files)})
    run.featurize()
    counts = {most: seen(load(run, max_records=most))["sensor_id"].value_counts() for most in (4, 11)}
    assert counts[4].to_dict() == {"s1": 1, "s2": 1, "s8": 1, "s9": 1}
    assert counts[11].to_dict() == {"s1": 4, "s2": 4, "s8": 1, "s9": 2}


def test_the_digest_says_which_records(run: Run) -> None:
    assert load(run).digest == load(run).digest
    assert load(run).digest != load(run, struck=ids_of(run, ("s1", 1))).digest


def test_the_digest_says_whose_records_and_when(archive: Path, tmp_path: Path) -> None:
    def digest(name: str, *lines: bytes) -> str:
        run = Run(tmp_path / name, {"": write_archive(tmp_path / f"{name}-archive", {"a.jsonl": lines})})
        run.featurize()
        return load(run).digest

    first = [line("s1", minute, 1 + minute) for minute in range(4)]
    moved, renamed = line("s1", 9, 4), line("s2", 3, 4)
    assert len({digest("a", *first), digest("b", *first[:3], moved), digest("c", *first[:3], renamed)}) == 3
    assert digest("again", *first) == digest("a", *first)


def test_nothing_left_to_learn_from(run: Run) -> None:
    everything = run.table()["record_id"].to_numpy()
    with pytest.raises(XfmrError, match="holds 0 usable records to learn from"):
        load(run, struck=everything)
    with pytest.raises(XfmrError, match="holds 1 usable records"):
        load(run, struck=np.setdiff1d(everything, ids_of(run, ("s1", 0))))


def test_images_are_of_the_records_that_spectra_left(tmp_path: Path) -> None:
    run = Run(
        tmp_path / "run",
        {"": write_archive(tmp_path / "archive", fleet_files(minutes=6))},
        columns=["signal", "log_spectrum", "cwt", "stft"],
    )
    run.featurize()
    images, spectra = load(run, branch="image"), load(run)
    pd.testing.assert_frame_equal(images.rows.frame(), spectra.rows.frame())
    assert images.values.shape == (len(spectra.rows), 3, 48, 48)
    assert images.values.dtype == np.uint8
    assert (images.values.max(axis=(2, 3)) == 255).all()
