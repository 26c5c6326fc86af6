"""Which records a grown archive's scores keep from being learned: named once for an archive as it is."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, line, write_archive
from fitted import publish_detector, publish_scores

from jobs.struck import struck_ids
from xfmr.errors import XfmrError
from xfmr.history.of_run import bank_history, branch_history
from xfmr.schema import IDENTITY_COLUMNS, SCORES
from xfmr.scores.left_out import left_out_ids
from xfmr.scores.thresholds import Thresholds
from xfmr.settings import Settings
from xfmr.storage.models import Models
from xfmr.views.hum import HARMONIC_COLUMNS, hum_views


@pytest.fixture
def run(tmp_path: Path) -> Run:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=12))
    run = Run(tmp_path / "run", {"": archive}, columns=("signal", *HARMONIC_COLUMNS))
    run.featurize()
    return run


def grow(run: Run, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", {"later.jsonl": [line("s1", 100, 77)]})
    run.featurize()


def publish(run: Run, anomalies: np.ndarray, key: str) -> None:
    """Publish scores of all records of a run, of which the given ones are anomalies."""
    rows = run.table().select(IDENTITY_COLUMNS)
    scores = pa.array(5.0 * np.isin(rows["record_id"].to_numpy(), anomalies), pa.float32())
    names = pa.nulls(len(rows), pa.string())
    table = rows.append_column("score", scores).append_column("pseudo_label", names).select(SCORES.names)
    publish_scores(run.store, table.cast(SCORES), key=key, thresholds=Thresholds(1.0, 2.0, "mad"))


def ids(run: Run) -> np.ndarray:
    return np.unique(run.table()["record_id"].to_numpy())


def test_before_the_first_scores_nothing_is_left_out(run: Run) -> None:
    assert len(left_out_ids(run.features)) == 0


def test_the_anomalies_of_the_scores_are_left_out_until_the_archive_grows(run: Run, tmp_path: Path) -> None:
    publish_detector(run)
    first, second = ids(run)[:3], ids(run)[3:5]
    publish(run, first, "one")
    np.testing.assert_array_equal(left_out_ids(run.features), first)
    publish(run, second, "two")
    np.testing.assert_array_equal(left_out_ids(run.features), first)
    grow(run, tmp_path)
    with pytest.raises(XfmrError, match=r"1 of 25 records in [^\n]* have no score: run jobs\.score"):
        left_out_ids(run.features)
    publish(run, second, "three")
    np.testing.assert_array_equal(left_out_ids(run.features), second)


def test_scores_of_an_earlier_detector_do_not_count(run: Run) -> None:
    made = publish_detector(run)
    publish(run, ids(run)[:3], "one")
    Models(run.store).publish("detector", "d1", made.to_bytes(), {}, recording=run.recording)
    with pytest.raises(XfmrError, match="earlier detector"):
        left_out_ids(run.features)


@pytest.mark.parametrize("leave_out", [True, False])
def test_neither_bank_nor_networks_see_them(run: Run, leave_out: bool) -> None:
    publish_detector(run)
    publish(run, ids(run)[:3], "one")
    settings = Settings(run=run.store.path(), sample_rate_hz=SAMPLE_RATE_HZ, leave_out_anomalies=leave_out)
    struck = struck_ids(settings)
    views = hum_views(mains_hz=50, sample_rate_hz=SAMPLE_RATE_HZ)
    bank, networks = bank_history(settings, views, struck), branch_history(settings, struck)
    for history in (bank, networks):
        read = np.concatenate([history.rows.ids, history.set_aside["record_id"]])
        assert np.isin(ids(run)[:3], read).any() != leave_out
        assert np.isin(ids(run)[3:], read).all()
