"""The closed set: duplicates go, the sum adds up, and the outcome does not depend on how the work was cut."""

from pathlib import Path
from unittest.mock import Mock

import pyarrow as pa
import pytest
from archives import Run, fleet_files, line, write_archive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.row_set import Counts
from xfmr.storage import Store

# Records of two sensors at two times, three of them in several places; the first line of each in order of path and
# line is the one to keep.
COPIED = {
    "a/1.jsonl": [("s1", 0), ("s1", 0), ("s2", 0)],
    "b/2.jsonl": [("s2", 0), ("s1", 1)],
    "b/10.jsonl": [("s1", 1), ("s1", 0)],
    "c.jsonl": [("s2", 1), ("s2", 1), ("s2", 1)],
}
FIRST = {("", "a/1.jsonl", 1), ("", "a/1.jsonl", 3), ("", "b/10.jsonl", 1), ("", "c.jsonl", 1)}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    files = {
        name: [line(sensor, minute, int(sensor[1:]) * 10 + minute) for sensor, minute in records]
        for name, records in COPIED.items()
    }
    return write_archive(tmp_path / "archive", files)


@pytest.mark.parametrize("group_bytes", [1, 4000, 10**9])
def test_of_duplicates_the_smallest_path_and_line_stays(copied: Path, tmp_path: Path, group_bytes: int) -> None:
    run = Run(tmp_path / "run", {"": copied}, group_bytes=group_bytes)
    assert run.featurize() == Counts(lines=10, kept=4, quarantined=0, duplicates=6)
    assert run.kept() == FIRST
    assert run.table("path").num_rows == 4


@given(order=st.permutations(range(4)))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_order_of_work_does_not_matter(
    order: list[int], copied: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(tmp_path_factory.mktemp("run"), {"": copied})
    groups = run.plan()
    run.process(groups[i] for i in order)
    run.rows.close()
    assert run.kept() == FIRST


def test_the_same_sensor_and_time_in_two_fleets_are_two_records(copied: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"north": copied, "south": copied})
    assert run.featurize() == Counts(lines=20, kept=8, quarantined=0, duplicates=12)
    assert run.kept() == {(fleet, path, number) for fleet in ("north", "south") for _, path, number in FIRST}


def test_killed_while_closing(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "run", {"": copied})
    run.process(run.plan())
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_json", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.rows.close()
    with pytest.raises(XfmrError, match="no finished features"):
        FeatureSet(run.store)
    assert run.featurize() == Counts(lines=10, kept=4, quarantined=0, duplicates=6)
    assert run.kept() == FIRST


def test_closing_again_changes_nothing(copied: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": copied})
    counts = run.featurize()
    success = run.store.read(run.rows.success_file)
    assert run.rows.close() == counts
    assert run.store.read(run.rows.success_file) == success
    assert run.kept() == FIRST


def test_features_that_are_gone_are_made_anew(copied: Path, tmp_path: Path) -> None:
    """Duplicates, too, are looked for again: the group is whole at first."""
    run = Run(tmp_path / "run", {"": copied})
    counts = run.featurize()
    for info in run.store.files("features"):
        if info.extension == "parquet":
            run.store.filesystem.delete_file(info.path)
            assert run.featurize() == counts
            assert run.kept() == FIRST


def test_appended_files_join_and_the_old_ones_stay(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=3))
    run = Run(tmp_path / "run", {"": archive})
    run.featurize()
    old = set(run.features.groups)
    write_archive(archive, {"new.jsonl": [line("s1", 9, 99), line("s1", 0, 1)]})
    assert run.featurize() == Counts(lines=8, kept=7, quarantined=0, duplicates=1)
    assert old < set(run.features.groups)


def test_an_appended_file_may_precede_what_stands_in_an_old_group(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [line("s", 0, 1)], "c.jsonl": [line("s", 1, 2)]})
    run = Run(tmp_path / "run", {"": archive}, group_bytes=10**9)
    run.featurize()
    write_archive(archive, {"b.jsonl": [line("s", 1, 2)]})
    assert run.featurize() == Counts(lines=3, kept=2, quarantined=0, duplicates=1)
    assert run.kept() == {("", "a.jsonl", 1), ("", "b.jsonl", 1)}


def test_files_that_left_the_archive_leave_the_set(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=3))
    run = Run(tmp_path / "run", {"": archive})
    run.featurize()
    (archive / "day/m00.jsonl").unlink()
    write_archive(archive, {"day/m01.jsonl": [line("s3", 1, 50)]})
    assert run.featurize() == Counts(lines=3, kept=3, quarantined=0, duplicates=0)
    assert {path for _, path, _ in run.kept()} == {"day/m01.jsonl", "day/m02.jsonl"}
    for folder in ("features", "quarantine"):
        stored = {info.base_name for info in run.store.files(folder)} - {"_SUCCESS.json"}
        assert stored == {f"{group}.parquet" for group in run.features.groups}


def test_readers_get_the_columns_they_ask_for(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=2))})
    run.featurize()
    features = FeatureSet(run.store)
    assert features.groups == sorted(features.groups)
    names = ["fleet", "unit", "sensor_id", "data_time", "record_id"]
    assert features.read(features.groups[0]).column_names == names
    tables = list(features.tables(["log_spectrum", "flat"]))
    assert len(tables) == 2
    assert pa.concat_tables(tables).column_names == [*names, "log_spectrum", "flat"]


def test_a_run_without_features_says_so(tmp_path: Path) -> None:
    with pytest.raises(XfmrError, match=r"run jobs\.featurize on it first"):
        FeatureSet(Run(tmp_path, {}).store)


def test_the_sum_is_said_in_words() -> None:
    assert str(Counts(lines=10, kept=7, quarantined=2, duplicates=1)) == (
        "10 lines read = 7 records kept + 2 quarantined + 1 duplicates"
    )


def test_a_duplicate_whose_original_left_the_archive_comes_back(tmp_path: Path) -> None:
    files = {"1.jsonl": [line("s", 0, 1)], "2.jsonl": [line("s", 0, 1), line("s", 1, 2)]}
    archive = write_archive(tmp_path / "archive", files)
    run = Run(tmp_path / "run", {"": archive})
    assert run.featurize() == Counts(lines=3, kept=2, quarantined=0, duplicates=1)
    (archive / "1.jsonl").unlink()
    assert run.featurize() == Counts(lines=2, kept=2, quarantined=0, duplicates=0)
    assert run.kept() == {("", "2.jsonl", 1), ("", "2.jsonl", 2)}


def test_an_archive_that_lost_its_last_record_leaves_no_finished_set(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [line("s", 0, 1)]})
    run = Run(tmp_path / "run", {"": archive})
    run.featurize()
    write_archive(archive, {"a.jsonl": [b"{"]})
    with pytest.raises(XfmrError, match="no usable record"):
        run.featurize()
    with pytest.raises(XfmrError, match=r"run jobs\.featurize"):
        run.features  # noqa: B018
