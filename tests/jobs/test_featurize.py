"""The featurize job end to end on real recordings: once, again, more of them, and killed half-way."""

import json
import shutil
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from processes import featurize_command, outputs, wait_for

from jobs.featurize import featurize, main
from jobs.groups import process
from xfmr.archive import ArchiveFile
from xfmr.archive.plan import Group
from xfmr.errors import XfmrError
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.features import FeatureRows
from xfmr.rows.row_set import Counts, RowSet
from xfmr.rows.writer import GroupWriter
from xfmr.schema import Recording
from xfmr.settings import SETTINGS_FILE, FeaturizeSettings, Settings
from xfmr.storage import Store

GROUP_BYTES = 1_000_000

SUCCESS = "features/_SUCCESS.json"


@pytest.fixture
def recordings(shared_data: Path) -> list[Path]:
    return sorted((shared_data / "gearbox/archive").rglob("*.jsonl"))


@pytest.fixture
def archive(recordings: list[Path], tmp_path: Path) -> Path:
    """Six files of four records."""
    (tmp_path / "archive").mkdir()
    for path in recordings[:6]:
        shutil.copyfile(path, tmp_path / "archive" / path.name)
    return tmp_path / "archive"


def settings_of(run: Path, archive: Path) -> Settings:
    return Settings(run=str(run), archive=[str(archive)], group_bytes=GROUP_BYTES)


def counts_of(run: Path) -> Counts:
    """Read the sum with which the job closed its features."""
    said = json.loads((run / SUCCESS).read_text())
    return Counts(**{name: said[name] for name in ("lines", "kept", "quarantined", "duplicates")})


def times_of(folder: Path) -> dict[str, int]:
    """Return when each result was written."""
    paths = [path for name in ("features", "quarantine", "ledger") for path in (folder / name).rglob("*.*")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in paths if path.name != "_SUCCESS.json"}


def copy_later(path: Path, *, hours: int, to: Path) -> None:
    """Copy a file's records to a later time."""
    with path.open() as source, to.open("w") as target:
        for line in source:
            record = json.loads(line)
            later = datetime.fromisoformat(record["data_time"]) + timedelta(hours=hours)
            target.write(json.dumps(record | {"data_time": later.isoformat()}) + "\n")


@pytest.mark.usefixtures("ray_cluster")
def test_end_to_end(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    damaged = archive / "damaged.jsonl"
    damaged.write_text("{\n" + sorted(archive.iterdir())[0].read_text())
    featurize(settings_of(run, archive))
    counts = Counts(lines=29, kept=24, quarantined=1, duplicates=4)
    assert counts_of(run) == counts
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"featurize: {counts}; features in {run}/features"
    features = FeatureSet(Store(str(run)))
    assert len(features.groups) == 2
    rows = [row for table in features.tables(["path", "n_samples", "flat"]) for row in table.to_pylist()]
    assert {row["sensor_id"] for row in rows} == {"gbx-a1", "gbx-a2", "gbx-a3", "gbx-a4"}
    assert {row["n_samples"] for row in rows} == {8192}
    assert not any(row["flat"] for row in rows)
    assert len({row["record_id"] for row in rows}) == 24
    assert {row["path"] for row in rows} == {path.name for path in archive.iterdir()} - {first_name(archive)}
    assert (run / SETTINGS_FILE).exists()


def first_name(archive: Path) -> str:
    """Return the file whose records stand in ``damaged.jsonl`` too, which comes before it."""
    return min(path.name for path in archive.iterdir() if path.name != "damaged.jsonl")


@pytest.mark.usefixtures("ray_cluster")
def test_again_there_is_nothing_to_do_and_more_is_added(
    archive: Path, recordings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    featurize(settings_of(run, archive))
    first, before = counts_of(run), times_of(run)
    featurize(settings_of(run, archive))
    assert (counts_of(run), times_of(run)) == (first, before)
    assert "2 groups, 2 finished before, 0 to do" in capsys.readouterr().out
    shutil.copyfile(recordings[6], archive / recordings[6].name)
    featurize(settings_of(run, archive))
    assert counts_of(run).kept == first.kept + 4
    after = times_of(run)
    assert {name: after[name] for name in before} == before
    assert "3 groups, 2 finished before, 1 to do" in capsys.readouterr().out


@pytest.mark.usefixtures("ray_cluster")
def test_a_long_file_is_cut(recordings: list[Path], tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    with (tmp_path / "archive/long.jsonl").open("w") as file:
        for path in recordings[:10]:
            file.write(path.read_text() + "\n")
    featurize(settings_of(tmp_path / "run", tmp_path / "archive"))
    features = FeatureSet(Store(str(tmp_path / "run")))
    assert len(features.groups) == 2
    assert sorted(n for table in features.tables(["line"]) for n in table["line"].to_pylist()) == [
        number for number in range(1, 51) if number % 5
    ]


@pytest.mark.usefixtures("ray_cluster")
def test_other_settings_make_another_set(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, settings = tmp_path / "run", settings_of(tmp_path / "run", archive)
    other = FeaturizeSettings(**settings.model_dump() | {"record_length": 4096, "health": False})
    featurize(settings)
    first, before = FeatureSet(Store(str(run))).groups, times_of(run)
    featurize(other)
    features = FeatureSet(Store(str(run)))
    assert {len(table["signal"][0]) for table in features.tables(["signal"])} == {4096}
    assert {name: times_of(run)[name] for name in before} == before
    capsys.readouterr()
    featurize(settings)
    assert FeatureSet(Store(str(run))).groups == first
    assert "2 groups, 2 finished before, 0 to do" in capsys.readouterr().out
    featurize(other.model_copy(update={"drop_other_features": True}))
    assert {path.stem for path in (run / "features").glob("*.parquet")} == set(features.groups)


def test_what_there_is_to_do_is_said_and_nothing_done(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = outputs(tmp_path)
    main(FeaturizeSettings(archive=[str(archive)], plan=True, group_bytes=GROUP_BYTES))
    said = capsys.readouterr().out
    assert "6 files, 0.00" in said
    assert "in 2 groups, 0 finished before" in said
    assert "to do: about 24 records" in said
    assert "CPU cores like the" in said
    assert "with GPUs: not known" in said
    assert outputs(tmp_path) == before


@pytest.mark.usefixtures("ray_cluster")
def test_what_is_finished_is_no_longer_to_do(
    archive: Path, recordings: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, settings = tmp_path / "run", FeaturizeSettings(**settings_of(tmp_path / "run", archive).model_dump())
    main(settings)
    shutil.copyfile(recordings[6], archive / recordings[6].name)
    before = outputs(run)
    capsys.readouterr()
    main(settings.model_copy(update={"plan": True}))
    said = capsys.readouterr().out
    assert "in 3 groups, 2 finished before" in said
    assert "to do: about 4 records" in said
    main(settings.model_copy(update={"plan": True, "sample_rate_hz": 4096.0}))
    assert "0 finished before" in capsys.readouterr().out
    assert outputs(run) == before


@pytest.mark.usefixtures("ray_cluster")
def test_killed_half_way_and_run_again(recordings: list[Path], tmp_path: Path) -> None:
    archive, run = tmp_path / "archive", tmp_path / "run"
    archive.mkdir()
    for i in range(40):
        copy_later(recordings[i % 10], hours=i, to=archive / f"{i:02}.jsonl")
    with featurize_command(archive, run, tmp_path / "log") as job:
        wait_for(lambda: any((run / "ledger").glob("*.json")) or job.process.poll() is not None, seconds=120)
    finished = {path.stem for path in (run / "ledger").glob("*.json")}
    assert 0 < len(finished) < 10, (tmp_path / "log").read_text()
    assert not (run / SUCCESS).exists()
    before = times_of(run)

    featurize(settings_of(run, archive))
    assert counts_of(run) == Counts(lines=160, kept=160, quarantined=0, duplicates=0)
    undisturbed = tmp_path / "undisturbed"
    featurize(settings_of(undisturbed, archive))
    after = times_of(run)
    kept = [name for name in before if Path(name).stem in finished]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    for name in ("manifest.parquet", *after):
        assert (run / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert not [path for path in run.rglob("*") if path.name.startswith(".")]


def test_what_fails_in_a_worker_fails_in_one_line(tmp_path: Path) -> None:
    group = Group("g", (ArchiveFile("", "a.jsonl", 1, 1),))
    worker = GroupWriter(
        RowSet(Store(str(tmp_path))), {"": "s9://bucket"}, partial(FeatureRows, Recording(8192.0, 8192))
    )
    with pytest.raises(XfmrError, match=r"^s9://bucket: not a path or URI [^\n]*$"):
        process([group], worker, label="test")
