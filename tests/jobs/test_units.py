"""An archive of units whose sensors have the same ids: nothing is lost, and no name of a unit changes a score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archives import SAMPLE_RATE_HZ, Run, line, write_archive

import jobs.fit_detector
from jobs.diagnose import diagnose
from jobs.evaluate import evaluate
from jobs.featurize import featurize
from jobs.fit_detector import fit_detector
from jobs.pipeline import pipeline
from xfmr.errors import XfmrError
from xfmr.rows.features import VALUE_COLUMNS
from xfmr.scores.scoring import load_detector
from xfmr.scores.sets import read_sensor
from xfmr.settings import DiagnoseSettings, EvaluateSettings, Settings
from xfmr.storage import Store
from xfmr.training.trainer import LocalTrainer

UNITS, SENSORS, MINUTES = 5, ("1", "2"), 12
OPTIONS = {"sample_rate_hz": SAMPLE_RATE_HZ, "unit_from": "{unit}_*"}


def archive_of(folder: Path, units: Sequence[str], *, start: int = 0, word: str = "正常") -> Path:
    """Write a file a unit and minute; all units have sensors of the same ids and records at the same times."""
    return write_archive(
        folder,
        {
            f"{i:02}--{word}/{unit}_{minute:02}.jsonl": [
                line(sensor, minute, 1 + start + (i * MINUTES + minute) * len(SENSORS) + j)
                for j, sensor in enumerate(SENSORS)
            ]
            for i, unit in enumerate(units)
            for minute in range(MINUTES)
        },
    )


@pytest.mark.usefixtures("ray_cluster")
def test_from_an_archive_of_units_to_diagnosis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    units = [f"20250909150{i}" for i in range(UNITS)]
    archive, run = archive_of(tmp_path / "archive", units), str(tmp_path / "run")
    with pytest.raises(XfmrError) as error:
        featurize(Settings(run=run, archive=[str(archive)], sample_rate_hz=SAMPLE_RATE_HZ))
    assert str(error.value).startswith("sensor ids repeat across files: 96 records of 60 files share sensor and time")
    assert "tell where the unit stands: --unit-from '{unit}_*'" in str(error.value)
    assert not (tmp_path / "run/features/_SUCCESS.json").exists()

    pipeline(Settings(run=run, archive=[str(archive)], **OPTIONS))
    assert "120 lines read = 120 records kept + 0 quarantined + 0 duplicates" in capsys.readouterr().out
    assert len(list((tmp_path / "run/scores").glob("unit=*/sensor_id=*/scores.parquet"))) == UNITS * len(SENSORS)
    assert len(read_sensor(Store(run), "2", unit=units[3])) == MINUTES
    assert {"unit", "sensor_id"} <= set(pd.read_csv(tmp_path / "run/review/queue.csv"))

    new, out = archive_of(tmp_path / "new", units, start=1000), str(tmp_path / "new.parquet")
    diagnose(DiagnoseSettings(run=run, archive=[str(new)], out=out, **OPTIONS))
    diagnosed = pd.read_parquet(out)
    assert diagnosed.groupby(["unit", "sensor_id"]).size().tolist() == [MINUTES] * UNITS * len(SENSORS)

    labels = tmp_path / "labels.csv"
    labels.write_text(
        "unit,label\n" + "".join(f"{unit},normal\n" for unit in units[1:]) + f"{units[0]},worn\nx,worn\n"
    )
    capsys.readouterr()
    evaluate(EvaluateSettings(run=run, scores=out, labels=[str(labels)], resamples=100))
    told = capsys.readouterr().out
    assert "120 of 120 scored records are labelled, 24 as faults" in told
    assert "5 of 6 labels are of its records; the others match none, such as unit x" in told
    assert "LOF" in told, "no baselines were fitted"


def test_a_pattern_that_does_not_fit_is_refused_before_any_work(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "archive", ["a", "b"])
    for unit_from, words in [("{unit}--*/*/*", "matches none of 24 files, such as"), ("x{unit}*", "matches none")]:
        with pytest.raises(XfmrError, match=words):
            featurize(Settings(run=str(tmp_path / "run"), archive=[str(archive)], unit_from=unit_from))
    write_archive(archive, {"00--正常/note.jsonl": []})
    with pytest.raises(XfmrError, match=r"does not match 1 of 25 files: 00--正常/note\.jsonl"):
        featurize(Settings(run=str(tmp_path / "run"), archive=[str(archive)], unit_from="{unit}_*"))
    assert not (tmp_path / "run/features").exists()


@pytest.mark.parametrize("kind", ["bank", "vae"])
def test_no_name_of_a_unit_changes_a_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Neither its order among the others nor a word in it, such as a label."""
    monkeypatch.setattr(jobs.fit_detector, "ClusterTrainer", lambda *of_run: LocalTrainer())
    plain = archive_of(tmp_path / "plain", [f"{i:02}" for i in range(UNITS)])
    named = archive_of(tmp_path / "named", ["9", "7-故障", "5-正常", "3-fault", "1-normal"], word="故障")
    expected, found = (scores_of(archive, tmp_path / f"run-{archive.name}", kind) for archive in (plain, named))
    assert expected.keys() == found.keys()
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), rtol=1e-5, atol=1e-6)


def scores_of(archive: Path, folder: Path, kind: str) -> dict[int, float]:
    """Fit a detector to an archive, and return the score of each record by its id."""
    run = Run(folder, {"": archive}, columns=VALUE_COLUMNS, unit_from="{unit}_*")
    run.featurize()
    settings = Settings(run=run.store.path(), detector=kind, epochs=2, folds=2, **OPTIONS)
    fit_detector(settings)
    detector = load_detector(run.features)
    table = run.table(*detector.columns)
    return dict(zip(table["record_id"].to_pylist(), detector.score(table).tolist(), strict=True))
