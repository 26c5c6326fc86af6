"""How a run's history is read: on a cluster what one process reads."""

from pathlib import Path

import numpy as np
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, write_archive

from xfmr.history import of_run
from xfmr.history.of_run import bank_history
from xfmr.settings import Settings
from xfmr.views.hum import HARMONIC_COLUMNS, hum_views


@pytest.mark.usefixtures("ray_cluster")
def test_a_cluster_reads_what_one_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=8))
    run = Run(tmp_path / "run", {"": archive}, columns=("signal", *HARMONIC_COLUMNS))
    run.featurize()
    settings = Settings(run=run.store.path(), sample_rate_hz=SAMPLE_RATE_HZ)
    views, none = hum_views(mains_hz=50, sample_rate_hz=SAMPLE_RATE_HZ), np.empty(0, np.int64)
    alone = bank_history(settings, views, none)
    monkeypatch.setattr(of_run, "has_more_nodes", lambda: True)
    together = bank_history(settings, views, none)
    assert capsys.readouterr().err.count("history: 100%") == 2
    assert len(alone.values) > 10
    assert alone.rows.frame().equals(together.rows.frame())
    assert alone.set_aside.equals(together.set_aside)
    np.testing.assert_array_equal(alone.values, together.values)
