"""Archive and run on an object store: the whole chain there, killed and gone on with, as on a local disk."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from archives import Run, long_archive
from processes import Command, featurize_command, wait_for
from s3 import ObjectStore

from xfmr.evaluation import read_diagnoses
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.features import VALUE_COLUMNS
from xfmr.scores.sets import read_scores
from xfmr.storage import Store
from xfmr.storage.lease import LEASE
from xfmr.synth import FleetSpec, write_fleet


def done(log: Path, job: str, *flags: str, seconds: float = 120) -> str:
    """Run a job to its end; the answer is its words."""
    with Command([sys.executable, "-m", f"jobs.{job}", *flags], log) as command:
        status, words = command.finish(seconds=seconds)
    assert status == 0, words
    return words


def rows_of(features: FeatureSet) -> pa.Table:
    """Return all rows, in an order of their own."""
    rows = pa.concat_tables(features.tables([*VALUE_COLUMNS, "path", "line"]))
    return rows.sort_by([("path", "ascending"), ("line", "ascending")])


@pytest.mark.slow
def test_killed_half_way_and_then_to_the_end(bucket: str, object_store: ObjectStore, tmp_path: Path) -> None:
    local, log = long_archive(tmp_path / "archive", n_files=40), tmp_path / "log"
    archive, run = object_store.upload(local, f"{bucket}/archive"), Store(f"{bucket}/run")
    with featurize_command(archive, run.uri, log) as job:
        assert wait_for(lambda: len(run.files("ledger")) >= 2, seconds=60), log.read_text()
        job.kill()
    assert 2 <= len(run.files("ledger")) < 13
    run.remove(LEASE)  # else the next job would wait half a minute to see whether anybody renews it

    flags = ["--archive", archive, "--run", run.uri]
    words = done(log, "pipeline", *flags, "--group-bytes", "1000000")
    undisturbed = Run(tmp_path / "run", {"": local}, columns=VALUE_COLUMNS)
    counts = undisturbed.featurize()
    assert f"featurize: {counts}; features in" in words
    assert rows_of(FeatureSet(run)).equals(rows_of(undisturbed.features))
    assert len(read_scores(run)) == counts.kept
    assert not run.exists(LEASE)

    done(log, "diagnose", *flags, "--out", f"{bucket}/out/new.jsonl", "--group-bytes", "10000000")
    assert len(read_diagnoses(f"{bucket}/out/new.jsonl")) == counts.kept


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_training_and_evaluation(bucket: str, object_store: ObjectStore, tmp_path: Path) -> None:
    """Ray Train's checkpoints go to the store and come back from it; a killed driver's lease runs out."""
    write_fleet(FleetSpec(n_units=4, sensors_per_unit=2, n_times=40, fault_share=0.12), tmp_path)
    archive = object_store.upload(tmp_path / "archive", f"{bucket}/archive")
    labels = object_store.upload(tmp_path / "labels.csv", f"{bucket}/labels.csv")
    run, log = Store(f"{bucket}/run"), tmp_path / "log"
    flags = ["--archive", archive, "--run", run.uri, "--labels", labels, "--detector", "svdd", "--epochs", "4"]
    argv = [sys.executable, "-m", "jobs.pipeline", *flags, "--workers", "2"]
    with Command(argv, log) as job:
        assert wait_for(lambda: run.files("models") or job.process.poll() is not None, seconds=200), log.read_text()
        job.kill()
    assert run.exists(LEASE)
    words = done(log, "pipeline", *argv[3:], seconds=500)
    assert "test:" in words
    assert any("checkpoint" in info.path for info in run.files("models"))
    found = json.loads(run.read("evaluation.json"))
    assert found["detectors"]["xfmr"]["overall"]["records"] == 320
