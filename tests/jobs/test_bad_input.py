"""Mistakes of a person: exit status 2, one line that says what and where, and nothing half-written."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from archives import Run, fleet_files, write_archive
from fitted import publish_detector

from jobs.command import run_job
from jobs.diagnose import diagnose
from jobs.evaluate import evaluate
from jobs.featurize import featurize
from jobs.finetune import finetune
from jobs.fit_detector import fit_detector
from jobs.pipeline import pipeline
from jobs.pretrain import pretrain
from jobs.score import score
from xfmr.scores.sets import CURRENT, read_scores
from xfmr.settings import DiagnoseSettings, EvaluateSettings, Settings
from xfmr.storage.models import Models

pytestmark = pytest.mark.usefixtures("ray_cluster")
JOBS: dict[str, tuple[Callable[[Any], None], type[Settings]]] = {
    "diagnose": (diagnose, DiagnoseSettings),
    "evaluate": (evaluate, EvaluateSettings),
    "featurize": (featurize, Settings),
    "finetune": (finetune, Settings),
    "fit_detector": (fit_detector, Settings),
    "pipeline": (pipeline, Settings),
    "pretrain": (pretrain, Settings),
    "score": (score, Settings),
}
Refusal = Callable[..., str]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run a job as its command would, in a folder of its own; the answer is the exit status."""
    monkeypatch.chdir(tmp_path)

    def run(job: str, *argv: str) -> int:
        monkeypatch.setattr(sys, "argv", [f"jobs/{job}.py", *argv])
        function, settings = JOBS[job]
        return run_job(function, settings, inherit_archive=job != "diagnose")

    return run


@pytest.fixture
def refusal(command: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refusal:
    """Run a job that must fail and write nothing; the answer is what it says."""

    def run(job: str, *argv: str) -> str:
        before = contents(tmp_path)
        capsys.readouterr()
        assert command(job, *argv) == 2
        assert contents(tmp_path) == before
        return only_line(capsys.readouterr().err)

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def only_line(words: str) -> str:
    """Return the one line there must be, live lines of progress apart."""
    lines = [line for line in words.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line]
    assert len(lines) == 1, words
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path / "archive", fleet_files())


@pytest.fixture
def run(archive: Path, tmp_path: Path) -> Run:
    """A featurized run in the folder ``run``."""
    made = Run(tmp_path / "run", {"": archive})
    made.featurize()
    return made


@pytest.mark.parametrize("job", ["featurize", "pipeline"])
def test_a_missing_archive(refusal: Refusal, tmp_path: Path, job: str) -> None:
    message = refusal(job, "--run", "run", "--archive", "absent")
    assert message == f"error: archive {tmp_path}/absent does not exist: check the path given to --archive"
    assert refusal(job, "--run", "run") == "error: no archive: give --archive URI"


def test_an_archive_without_a_record_file(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "archive/day").mkdir(parents=True)
    (tmp_path / "archive/day/notes.txt").write_text("nothing yet")
    for job in ("featurize", "pipeline"):
        assert "holds no .jsonl or .json file" in refusal(job, "--run", "run", "--archive", "archive")


def test_an_archive_without_one_good_record(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_archive(tmp_path / "archive", {"a.jsonl": [b"{", b'{"sensor_id": "a"}', b""]})
    assert command("featurize", "--run", "run", "--archive", "archive") == 2
    message = only_line(capsys.readouterr().err)
    assert "holds no usable record: 2 lines read = 0 records kept + 2 quarantined + 0 duplicates" in message
    assert not (tmp_path / "run/features/_SUCCESS.json").exists()
    (reasons,) = (tmp_path / "run/quarantine").glob("*.parquet")
    assert len(pd.read_parquet(reasons)) == 2


@pytest.mark.parametrize("job", ["pretrain"])
def test_a_run_that_was_made_with_another_sample_rate(refusal: Refusal, run: Run, archive: Path, job: str) -> None:
    run.store.write("settings.yaml", f"archive: ['{archive}']\nsample_rate_hz: 8192.0\n".encode())
    message = refusal(job, "--run", "run", "--sample-rate-hz", "12000")
    assert "was made with sample_rate_hz 8192.0, not 12000.0" in message


@pytest.mark.parametrize("job", ["featurize", "pipeline"])
def test_a_run_folder_that_cannot_be_written(refusal: Refusal, archive: Path, tmp_path: Path, job: str) -> None:
    (tmp_path / "file").write_text("a regular file")
    assert "file/run" in refusal(job, "--run", "file/run", "--archive", str(archive))
    assert "file" in refusal(job, "--run", "file", "--archive", str(archive))


@pytest.mark.parametrize("job", ["pretrain", "score"])
def test_a_step_before_featurize(refusal: Refusal, job: str) -> None:
    assert "holds no finished features: run jobs.featurize on it first" in refusal(job, "--run", "run")


@pytest.mark.parametrize(
    ("job", "flags", "words"),
    [
        ("fit_detector", ["--detector", "svdd"], "run jobs.pretrain on it first"),
        ("finetune", ["--labels", "labels.csv"], "run jobs.pretrain on it first"),
        ("diagnose", ["--archive", "archive", "--out", "new.parquet"], "run jobs.fit_detector on it first"),
        ("evaluate", ["--labels", "labels.csv"], "run jobs.score on it first"),
    ],
)
def test_a_step_before_its_turn(
    refusal: Refusal, run: Run, tmp_path: Path, job: str, flags: list[str], words: str
) -> None:
    (tmp_path / "labels.csv").write_text("sensor_id,data_time,label\ns1,2024-03-01T08:00:00Z,normal\n")
    assert words in refusal(job, "--run", "run", *flags)


def test_diagnose_before_score(refusal: Refusal, run: Run) -> None:
    publish_detector(run)
    run.store.remove(CURRENT)
    flags = ["--run", "run", "--archive", "archive", "--out", "new.parquet"]
    assert "has no scores: run jobs.score on it first" in refusal("diagnose", *flags)


@pytest.mark.parametrize("out", ["new.csv", "new.parquet.gz", "folder/"])
def test_diagnose_into_a_file_of_unknown_form(refusal: Refusal, run: Run, out: str) -> None:
    publish_detector(run)
    message = refusal("diagnose", "--run", "run", "--archive", "archive", "--out", out)
    assert message == f"error: --out {out}: give a file that ends in .parquet or .jsonl"


def test_diagnose_takes_no_archive_from_the_run(refusal: Refusal, run: Run, archive: Path) -> None:
    """By default it would diagnose the very records it was trained on."""
    publish_detector(run)
    run.store.write("settings.yaml", f"archive: ['{archive}']\n".encode())
    assert refusal("diagnose", "--run", "run", "--out", "a.jsonl") == "error: no archive: give --archive URI"


@pytest.mark.parametrize("damage", [b"", b"not a model", None])
def test_a_damaged_detector(refusal: Refusal, run: Run, damage: bytes | None) -> None:
    publish_detector(run)
    name = "models/detector-d0/model.safetensors"
    run.store.write(name, run.store.read(name)[:-1] if damage is None else damage)
    message = refusal("diagnose", "--run", "run", "--archive", "archive", "--out", "new.parquet")
    assert "/run/models/detector-d0/model.safetensors is not a whole xfmr model" in message
    assert message.endswith("remove its folder and train again")


@pytest.mark.parametrize("flag", [("--sample-rate-hz", "16384"), ("--record-length", "4096")])
def test_diagnose_records_of_another_kind(refusal: Refusal, run: Run, flag: tuple[str, str]) -> None:
    publish_detector(run)
    message = refusal("diagnose", "--run", "run", "--archive", "archive", "--out", "new.parquet", *flag)
    assert re.search(rf"was made for records of \S+ \S+, not {flag[1]}.*, or give {flag[0]} 8192", message)


@pytest.mark.parametrize("job", ["score", "evaluate"])
def test_features_of_another_kind_than_the_detector_s(
    refusal: Refusal, run: Run, archive: Path, tmp_path: Path, job: str
) -> None:
    publish_detector(run)
    Run(tmp_path / "run", {"": archive}, record_length=4096).featurize()
    (tmp_path / "labels.csv").write_text("sensor_id,data_time,label\ns1,2024-03-01T08:00:00Z,normal\n")
    message = refusal(job, "--run", "run", *(["--labels", "labels.csv"] if job == "evaluate" else []))
    assert "was made for records of record_length 8192, not 4096: run jobs.fit_detector on the features" in message


def test_score_looks_at_its_detector_first(refusal: Refusal, run: Run) -> None:
    assert "run jobs.fit_detector on it first" in refusal("score", "--run", "run")
    Models(run.store).publish("detector", "d0", b"damaged", {}, recording=run.recording)
    assert "is not a whole xfmr model" in refusal("score", "--run", "run")


def test_a_damaged_encoder(refusal: Refusal, run: Run) -> None:
    Models(run.store).publish("pretrain", "p0", b"\x80\x04not a model", {}, recording=run.recording)
    message = refusal("fit_detector", "--run", "run", "--detector", "svdd")
    assert "/run/models/pretrain-p0/model.safetensors is not a whole xfmr model" in message


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "labels.csv does not exist: check the path given to --labels"),
        ("sensor_id,label\ns1,normal\n", "labels.csv: no column data_time"),
        (
            "sensor_id,data_time,label\ns1,2024-03-01T08:00:00Z,normal\ns1,noon,normal\n",
            "labels.csv, line 3: data_time",
        ),
    ],
)
@pytest.mark.parametrize(("job", "flags"), [("pretrain", []), ("evaluate", ["--scores", "new.jsonl"])])
def test_labels_that_cannot_be_used(
    refusal: Refusal, run: Run, tmp_path: Path, labels: str | None, words: str, job: str, flags: list[str]
) -> None:
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    row = {
        "sensor_id": "s1",
        "data_time": "2024-03-01T08:00:00Z",
        "record_id": 1,
        "score": 1,
        "pseudo_label": "normal",
    }
    (tmp_path / "new.jsonl").write_text(json.dumps(row))
    message = refusal(job, "--run", "run", "--labels", "labels.csv", *flags)
    assert words in message.replace(f"{tmp_path}/", "")


def test_evaluate_without_labels(refusal: Refusal, run: Run) -> None:
    assert refusal("evaluate", "--run", "run") == "error: nothing to compare with: give --labels FILE"


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--run", "run", "--epoch", "3"], "--epoch"),
        (["--run", "run", "stray"], "stray"),
        (["--run", "run", "--workers", "none"], "--workers"),
        (["--run", "run", "--workers", "0"], "--workers"),
        (["--run", "run", "--image-size", "20"], "--image-size"),
        (["--run", "run", "--sample-rate-hz", "nan"], "--sample-rate-hz"),
        (["--run", "run", "--branch", "sound"], "--branch"),
        (["--run", "run", "--pretrain.epochs", "0"], "--pretrain.epochs"),
        (["--run"], "--run"),
        ([], "--run is required"),
        (["--run", "run", "--config", "absent.yaml"], "cannot read --config absent.yaml"),
        (["--run", "run", "--config", "bad.yaml"], "bad.yaml is not YAML"),
        (["--run", "run", "--config", "list.yaml"], "list.yaml must hold settings"),
        (["--run", "run", "--config", "typo.yaml"], "there is no setting epoch"),
    ],
)
def test_flags_and_files_of_settings(
    refusal: Refusal, tmp_path: Path, job: str, flags: list[str], words: str
) -> None:
    (tmp_path / "bad.yaml").write_text("epochs: [1\nseed: }")
    (tmp_path / "list.yaml").write_text("- epochs\n")
    (tmp_path / "typo.yaml").write_text("epoch: 3\n")
    out = ["--out", "new.parquet"] if job == "diagnose" else []
    assert words in refusal(job, *flags, *out)


def test_a_sensor_that_is_called_like_a_path(command: Callable[..., int], tmp_path: Path) -> None:
    sensors = ["../../etc", "..", "a/b", "/root", "变压器"]
    archive = write_archive(tmp_path / "in/archive", fleet_files(sensors=sensors, minutes=4))
    run = Run(tmp_path / "in/run", {"": archive})
    run.featurize()
    publish_detector(run)
    run.store.remove(CURRENT)
    before = contents(tmp_path)
    assert command("score", "--run", "in/run") == 0
    written = contents(tmp_path).keys() - before.keys()
    folders = (f"{run.store.uri}/score_sets/", f"{run.store.uri}/score_parts/")
    outside = {name for name in written if not name.startswith(folders)}
    assert outside == {
        f"{run.store.uri}/{name}" for name in ("score_distribution.png", "settings.yaml", "thresholds.json")
    }
    assert sum(name.endswith("/scores.parquet") for name in written) == 5
    assert set(read_scores(run.store)["sensor_id"]) == set(sensors)
    assert set(pd.read_csv(tmp_path / "in/run/review/queue.csv")["sensor_id"]) <= set(sensors)
