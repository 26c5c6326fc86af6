"""From scores of groups to files of sensors: every row arrives once, whatever the cut, and nothing is done twice."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import Run, fleet_files, line, write_archive
from fitted import detector, inputs_of, publish_detector, scores_of

from xfmr.errors import XfmrError
from xfmr.schema import IDENTITY_COLUMNS
from xfmr.scores.parts import GroupScorer, ScoreParts
from xfmr.storage import Store
from xfmr.storage.models import Models


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", fleet_files(minutes=3))})
    made.featurize()
    publish_detector(made)
    return made


def score(run: Run, key: str = "d0") -> ScoreParts:
    """Make the parts that are missing."""
    parts = ScoreParts.planned(run.features, key)
    scorer = GroupScorer(parts)
    for name in parts.missing():
        scorer(name)
    return parts


def test_the_groups_of_a_run_are_scored_by_its_detector(run: Run) -> None:
    parts = score(run)
    assert len(parts.names) == 3
    found = parts.of_shards(0, 2**16)
    assert found.column_names == [*IDENTITY_COLUMNS, "score"]
    expected = run.table("log_spectrum").sort_by([("sensor_id", "ascending"), ("data_time", "ascending")])
    assert found["record_id"].equals(expected["record_id"])
    made = detector(inputs_of(run))
    np.testing.assert_allclose(found["score"], made.score(expected), rtol=1e-4)


def test_only_what_is_missing_is_scored(run: Run, tmp_path: Path) -> None:
    parts = score(run)
    assert parts.missing() == []
    run.store.remove(parts.file(parts.names[1]))
    assert parts.missing() == [parts.names[1]]
    score(run)
    write_archive(tmp_path / "archive", {"day/later.jsonl": [line("s1", 50, 90)]})
    run.featurize()
    grown = ScoreParts.planned(run.features, "d0")
    assert set(parts.names) < set(grown.names)
    assert len(grown.missing()) == 1


def test_a_group_that_lost_a_row_is_scored_anew(run: Run, tmp_path: Path) -> None:
    """A copy of its record that stands before it has come to the archive."""
    before = score(run)
    write_archive(tmp_path / "archive", {"a/copy.jsonl": [line("s1", 0, 1)]})
    run.featurize()
    after = ScoreParts.planned(run.features, "d0")
    assert len(set(after.names) - set(before.names)) == 2
    assert len(score(run).of_shards(0, 2**16)) == run.features.n_records == 6
    after.remove_others()
    assert len(run.store.files(after.folder)) == 4


def test_parts_of_another_detector_are_removed(run: Run) -> None:
    score(run)
    Models(run.store).publish(
        "detector", "d1", detector(inputs_of(run), seed=1).to_bytes(), {}, recording=run.recording
    )
    parts = score(run, "d1")
    parts.remove_others()
    assert {info.path for info in run.store.files("score_parts")} == {
        run.store.path(parts.file(name)) for name in parts.names
    }


def test_a_damaged_part_is_named(run: Run) -> None:
    parts = score(run)
    run.store.write(parts.file(parts.names[0]), b"not Parquet")
    with pytest.raises(XfmrError, match=r"^cannot read [^\n]*; remove [^\n]*/score_parts/d0 and run again$"):
        parts.of_shards(0, 1)


def test_shards_of_a_range_come_from_few_row_groups(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    parts = ScoreParts(store, "d0", ("a",))
    parts.write("a", scores_of([("", "", f"s{i}") for i in range(2000)], n_times=1))
    with store.filesystem.open_input_file(store.path(parts.file("a"))) as file:
        groups = pa.parquet.ParquetFile(file).metadata
        limits = [
            groups.row_group(i).column(groups.schema.names.index("shard")).statistics
            for i in range(groups.num_row_groups)
        ]
    assert len(limits) == 4
    assert all(one.max <= other.min for one, other in pairwise(limits))
