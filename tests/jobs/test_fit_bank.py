"""The bank of a run: what it is made of, and what must not be in it."""

from pathlib import Path

import numpy as np
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, line, time_at, write_archive

from jobs.fit_detector import fit_detector
from xfmr.detectors.bank import BankDetector
from xfmr.faults.split import held_out_ids
from xfmr.labels import match_records, read_labels
from xfmr.scores.scoring import load_detector
from xfmr.settings import Settings
from xfmr.views.hum import HARMONIC_COLUMNS

COLUMNS = ("signal", *HARMONIC_COLUMNS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two sensors of 30 records, and copies of the first one's under another name."""
    folder = tmp_path_factory.mktemp("bank")
    files = fleet_files(sensors=("s1", "s2"), minutes=30)
    copies = [line("copy", minute, 1 + minute) for minute in range(30)]
    originals = [line("original", minute, 1 + minute) for minute in range(30)]
    archive = write_archive(folder / "archive", {**files, "copies.jsonl": copies, "originals.jsonl": originals})
    run = Run(folder / "run", {"": archive}, columns=COLUMNS)
    run.featurize()
    return run


def settings_of(run: Run, **changes: object) -> Settings:
    return Settings(run=run.store.path(), sample_rate_hz=SAMPLE_RATE_HZ, **changes)


def test_fitted_scored_and_skipped(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    fit_detector(settings_of(run))
    assert "set aside" in "".join(capsys.readouterr())
    detector = load_detector(run.features)
    scores = np.concatenate([detector.score(table) for table in run.features.tables(detector.columns)])
    assert len(scores) == run.features.n_records
    assert np.isfinite(scores).all()
    before = detector.to_bytes()
    fit_detector(settings_of(run))
    assert "skipped" in "".join(capsys.readouterr())
    assert load_detector(run.features).to_bytes() == before


def test_no_held_out_record_is_in_the_bank_nor_a_copy_of_one(run: Run, tmp_path: Path) -> None:
    rows = [f"original,{time_at(minute).isoformat()},normal" for minute in range(30)]
    (tmp_path / "labels.csv").write_text("\n".join(["sensor_id,data_time,label", *rows]) + "\n")
    struck = held_out_ids(match_records(read_labels([str(tmp_path / "labels.csv")]), run.features))
    assert 0 < len(struck) < 30
    fit_detector(settings_of(run))
    assert np.isin(struck, load_detector(run.features).history_ids).any(), "the test could not fail"
    fit_detector(settings_of(run, labels=[str(tmp_path / "labels.csv")]))
    bank = load_detector(run.features)
    assert not np.isin(struck, bank.history_ids).any()
    table = run.table("zerone", "log_spectrum")
    kept = table.filter(np.isin(table["record_id"].to_numpy(), bank.history_ids))
    assert "copy" in kept["sensor_id"].to_pylist()


@pytest.mark.parametrize("change", ["sensor", "time"])
def test_other_sensors_or_times_of_the_same_signals_are_learned_anew(tmp_path: Path, change: str) -> None:
    def archive(prefix: str, later: int) -> Path:
        lines = [line(f"{prefix}{i}", minute + later, 1 + 2 * minute + i) for minute in range(20) for i in range(2)]
        return write_archive(tmp_path / "archive", {"all.jsonl": lines})

    run = Run(tmp_path / "run", {"": archive("s", 0)}, columns=COLUMNS)
    run.featurize()
    fit_detector(settings_of(run))
    before = load_detector(run.features)
    archive("site-s" if change == "sensor" else "s", 60 if change == "time" else 0)
    run.featurize()
    fit_detector(settings_of(run))
    after = load_detector(run.features)
    assert isinstance(before, BankDetector)
    assert isinstance(after, BankDetector)
    np.testing.assert_array_equal(before.history_ids, after.history_ids)
    assert len(run.store.folders("models")) == 2
    prefix = "site-s" if change == "sensor" else "s"
    assert {sensor for _, _, sensor in after.whole.sensors} == {f"{prefix}0", f"{prefix}1"}
