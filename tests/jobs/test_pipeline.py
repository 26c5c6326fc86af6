"""The whole chain on a small synthetic fleet, and on real recordings."""

import json
from datetime import date
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from jobs.diagnose import diagnose
from jobs.evaluate import evaluate
from jobs.finetune import finetune
from jobs.pipeline import pipeline
from xfmr.errors import XfmrError
from xfmr.faults.split import held_out_ids
from xfmr.labels import match_records, read_labels
from xfmr.rows.feature_set import FeatureSet
from xfmr.scores.scoring import load_detector
from xfmr.settings import DiagnoseSettings, EvaluateSettings, Settings
from xfmr.settings.stage_one import Branch, PretrainSettings, SvddSettings
from xfmr.settings.stage_three import FinetuneSettings
from xfmr.storage.models import Models
from xfmr.synth import FleetSpec, write_fleet

pytestmark = pytest.mark.usefixtures("ray_cluster")

QUICK = {
    "pretrain": PretrainSettings(epochs=15),
    "detector": "svdd",
    "svdd": SvddSettings(epochs=5),
    "finetune": FinetuneSettings(epochs=10, frozen_epochs=3),
}

OTHERS = sorted(set(get_args(Branch)) - {"spectrum"})


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two fleets whose units and sensors have the same names, and their labels in one table."""
    folder = tmp_path_factory.mktemp("fleets")
    past = {"n_times": 40, "fault_share": 0.12, "faulty_unit_share": 0.5}
    later = {"n_times": 6, "fault_share": 0.2, "first_day": date(2024, 7, 1)}
    for when, times in {"past": past, "later": later}.items():
        for seed, fleet in enumerate(["north", "south"]):
            write_fleet(FleetSpec(n_units=2, sensors_per_unit=2, seed=seed, **times), folder / when / fleet)
        labels = {fleet: pd.read_csv(folder / when / fleet / "labels.csv", dtype=str) for fleet in ("north", "south")}
        pd.concat(labels, names=["fleet"]).reset_index("fleet").to_csv(folder / when / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two transformers with a sensor each, one of them faulty now and then."""
    folder = tmp_path_factory.mktemp("pair")
    write_fleet(FleetSpec(n_units=2, sensors_per_unit=1, n_times=32, fault_share=0.2, faulty_unit_share=0.5), folder)
    return folder


def archives(folder: Path) -> list[str]:
    return [f"{fleet}={folder / fleet / 'archive'}" for fleet in ("north", "south")]


def modified(run: Path) -> dict[str, int]:
    """When each file of a run was last written, settings apart."""
    files = (path for path in run.rglob("*") if path.is_file() and path.stem != "evaluation")
    return {str(path): path.stat().st_mtime_ns for path in files if "features/_" not in str(path)}


def test_from_archives_to_diagnosis(fleets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "new.parquet"
    labels = str(fleets / "past/labels.csv")
    settings = Settings(run=str(run), archive=archives(fleets / "past"), labels=[labels], **QUICK)
    pipeline(settings)
    assert "320 lines read = 320 records kept + 0 quarantined + 0 duplicates" in capsys.readouterr().out
    assert len(list((run / "scores").glob("fleet=*/sensor_id=*/scores.parquet"))) == 8
    one, other = (
        pd.read_parquet(run / f"scores/fleet={f}/sensor_id=tr01-s1/scores.parquet") for f in ("north", "south")
    )
    assert set(one["record_id"]).isdisjoint(other["record_id"])
    assert (run / "score_distribution.png").read_bytes().startswith(b"\x89PNG")
    assert list(pd.read_csv(run / "review/queue.csv"))[-1] == "label"

    before = modified(run)
    pipeline(settings)
    assert capsys.readouterr().out.count("skipped") == 4
    assert {path for path, written in modified(run).items() if before.get(path) != written} <= {
        str(run / name) for name in ("settings.yaml", "manifest.parquet")
    }

    diagnose(DiagnoseSettings(run=str(run), archive=archives(fleets / "later"), out=str(out), **QUICK))
    diagnoses = pd.read_parquet(out)
    assert len(diagnoses) == 48
    pd.testing.assert_frame_equal(diagnoses, diagnoses.sort_values(["fleet", "sensor_id", "data_time"]))
    assert diagnoses["confidence"].between(0, 1).all()
    assert diagnoses.groupby(["fleet", "sensor_id"]).size().tolist() == [6] * 8
    assert set(diagnoses["fault_type"]) <= {"normal", *pd.read_csv(labels)["label"]}

    truth = str(fleets / "later/labels.csv")
    evaluate(EvaluateSettings(run=str(run), scores=str(out), labels=[truth]))
    report = json.loads((run / "evaluation.json").read_text())
    assert set(report["detectors"]) == {"xfmr", "isolation forest", "one-class SVM", "LOF", "PCA error"}
    ours = report["detectors"]["xfmr"]
    assert (ours["overall"]["records"], ours["units"]["units"]) == (48, 4)
    assert set(ours["groups"]) >= {"sensor_id", "severity"}
    assert set(ours["groups"]["sensor_id"]) >= {"north/tr01-s1", "south/tr01-s1"}
    assert (run / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert "rank correlation of unit score and fault share, 4 units" in capsys.readouterr().out
    assert report["in_history"] == 0
    assert report["fault_types"]["records"] == 48

    labelled = match_records(read_labels([labels]), FeatureSet(settings.store))
    models, held_out = Models(settings.store), held_out_ids(labelled)
    set_aside = pd.DataFrame({"record_id": held_out[:1]})
    for stage in ("pretrain", "detector"):
        models.write_set_aside(stage, models.required_key(stage), set_aside)
        with pytest.raises(XfmrError, match=r"^1 records held out for validation or test were trained on"):
            finetune(settings)
        models.write_set_aside(stage, models.required_key(stage), set_aside[:0])


def test_a_grown_archive_is_learned_without_what_was_found_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, run = tmp_path / "archive", str(tmp_path / "run")
    settings = Settings(run=run, archive=[str(archive)], leave_out_anomalies=True)
    first = {"n_units": 2, "sensors_per_unit": 2, "seed": 1}
    write_fleet(FleetSpec(**first, n_times=32, fault_share=0), tmp_path)
    pipeline(settings)
    assert "0 records left out" in capsys.readouterr().out
    later = FleetSpec(**first, n_times=16, first_day=date(2024, 7, 1), fault_share=0.25)
    write_fleet(later, tmp_path / "later")
    (tmp_path / "later/archive").rename(archive / "later")
    pipeline(settings)
    found = pd.read_parquet(f"{run}/models/left_out.parquet")["record_id"]
    assert f"{len(found)} records left out" in capsys.readouterr().out
    labels = pd.read_csv(tmp_path / "later/labels.csv", parse_dates=["data_time"])
    scores = pd.read_parquet(f"{run}/scores").merge(labels, on=["sensor_id", "data_time"])
    faulty = scores.loc[scores["label"] != "normal", "record_id"]
    assert faulty.isin(found).mean() > 0.3, "the first detector found them; they begin small"
    learned = load_detector(FeatureSet(settings.store)).history_ids
    assert not set(found) & set(learned.tolist())
    pipeline(settings)
    assert capsys.readouterr().out.count("skipped") == 3


@pytest.mark.slow
@pytest.mark.parametrize("branch", OTHERS)
def test_a_branch_from_archive_to_diagnosis(branch: Branch, pair: Path, tmp_path: Path) -> None:
    """Few epochs, for the way and not for the result: what the encoder needs arrives in every job."""
    run, out = str(tmp_path / "run"), str(tmp_path / "new.parquet")
    quick = {**QUICK, "branch": branch, "image_size": 32, "epochs": 1}
    archive = str(pair / "archive")
    pipeline(Settings(run=run, archive=[archive], labels=[str(pair / "labels.csv")], **quick))
    scores = pd.read_parquet(f"{run}/scores", columns=["score", "sensor_id"])
    assert len(scores) == 64
    diagnose(DiagnoseSettings(run=run, archive=[archive], out=out, **quick))
    diagnoses = pd.read_parquet(out)
    # The same records are read again: what was learned of the history is applied as it was when they were scored.
    assert sorted(diagnoses["score"]) == pytest.approx(sorted(scores["score"]), abs=0.05)
    assert diagnoses["fault_type"].notna().all()
    assert "fault_types" in json.loads((tmp_path / "run/evaluation.json").read_text())


def test_real_recordings_at_loads_the_history_has_not_shown(shared_data: Path, tmp_path: Path) -> None:
    run, out = str(tmp_path / "run"), str(tmp_path / "new.parquet")
    pipeline(Settings(run=run, archive=[str(shared_data / "gearbox/archive")]))
    diagnose(DiagnoseSettings(run=run, archive=[str(shared_data / "gearbox/new")], out=out))
    evaluate(EvaluateSettings(run=run, scores=out, labels=[str(shared_data / "gearbox/labels.csv")]))
    judged = json.loads((tmp_path / "run/evaluation.json").read_text())["detectors"]["xfmr"]["overall"]
    assert (judged["records"], judged["faults"]) == (192, 96)
    assert judged["auc"] > 0.88
