"""Settings: who wins, what is refused and how, and that a run keeps what it was made with."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from xfmr.errors import XfmrError
from xfmr.settings import (
    SETTINGS_FILE,
    DiagnoseSettings,
    Settings,
    feature_settings,
    read_settings,
    save_settings,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(*argv: str, **options: Any) -> Settings:
    return read_settings(Settings, ["--run", "run", *argv], prog="test", **options)


def write(path: Path, **values: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return str(path)


def refusal(*argv: str) -> str:
    with pytest.raises(XfmrError) as error:
        read(*argv)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_flags_before_config_before_run_before_default(here: Path) -> None:
    write(here / "run" / SETTINGS_FILE, seed=1, workers=1, image_size=100)
    config = write(here / "c.yaml", seed=2, workers=2)
    settings = read("--config", config, "--seed", "3")
    assert (settings.seed, settings.workers, settings.image_size, settings.branch) == (3, 2, 100, "spectrum")


def test_the_sources_of_a_group_are_merged_setting_by_setting(here: Path) -> None:
    write(here / "run" / SETTINGS_FILE, pretrain={"epochs": 1, "batch_size": 10, "objective": "contrastive"})
    config = write(here / "c.yaml", pretrain={"epochs": 2, "batch_size": 20})
    pretrain = read("--config", config, "--pretrain.epochs", "3").pretrain
    assert (pretrain.epochs, pretrain.batch_size, pretrain.objective) == (3, 20, "contrastive")
    assert pretrain.learning_rate == Settings(run="run").pretrain.learning_rate


def test_an_archive_of_the_config_replaces_that_of_the_run(here: Path) -> None:
    write(here / "run" / SETTINGS_FILE, archive=["/a", "n=/b"])
    assert read("--config", write(here / "c.yaml", archive=["/c"])).archive == ["/c"]
    assert read("--archive", "/d").archive == ["/d"]
    assert read().archive == ["/a", "n=/b"]
    assert read(inherit_archive=False).archive == []


def test_dotted_names_and_dashes() -> None:
    settings = read("--svdd.nu", "0.1", "--sample-rate-hz=12000", "--finetune.max-pseudo-labels", "7")
    assert (settings.svdd.nu, settings.sample_rate_hz, settings.finetune.max_pseudo_labels) == (0.1, 12000, 7)


def test_the_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEED", "seed", "XFMR_SEED"):
        monkeypatch.setenv(name, "5")
    assert read().seed == 0


def test_archives_become_absolute(here: Path) -> None:
    settings = read("--archive", "a/../b", "--archive", "north=c", "--archive", "south=s3://d/e")
    assert settings.archive == [f"{here}/b", f"north={here}/c", "south=s3://d/e"]
    assert read("--archive", str(here)).required_archive() == [str(here)]
    with pytest.raises(XfmrError, match="give --archive"):
        read().required_archive()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--epochs", "many"], ["--epochs", "valid integer", "'many'"]),
        (["--epochs", "0"], ["--epochs", "greater than or equal to 1", "'0'"]),
        (["--sample-rate-hz", "-1"], ["--sample-rate-hz", "greater than 0"]),
        (["--sample-rate-hz", "nan"], ["--sample-rate-hz"]),
        (
            ["--branch", "spectra"],
            ["--branch", "'spectrum'", "'zerone'", "'image'", "'raster'", "'dual'", "'spectra'"],
        ),
        (["--svdd.nu", "5"], ["--svdd.nu", "less than 1"]),
        (["--seed", "-1", "--workers", "0"], ["--seed", "--workers"]),
        (["--archive", "a", "--archive", "b"], ["--archive", "two names"]),
        (["--nonsense", "1"], ["--nonsense", "--help"]),
        (["--pretrain.epoch", "1"], ["--pretrain.epoch"]),
        (["--sample_rate_hz", "1"], ["--sample_rate_hz"]),
        (["--see", "1"], ["--see"]),
        (["stray"], ["stray"]),
        (["--config", "absent.yaml"], ["--config", "absent.yaml", "No such file"]),
        (["--config", "."], ["--config"]),
        (["--epochs"], ["--epochs", "expected one argument"]),
        (["--run", ""], ["--run"]),
        (["--run", "s9://bucket"], ["s9://bucket"]),
        (["--run", "~nobody-of-this-name/run"], ["~nobody-of-this-name/run: no path"]),
        (["--run", "r\udcff"], ["not in UTF-8: give it another name"]),
        (["--seed", "4294967296"], ["--seed", "less than 4294967296"]),
    ],
)
def test_a_flag_that_cannot_be_is_named(argv: list[str], words: list[str]) -> None:
    message = refusal(*argv)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch: 5", ["epoch"]),
        ("pretrain: {epoch: 5}", ["pretrain.epoch"]),
        ("epochs: five", ["--epochs", "'five'"]),
        ("seed:", ["--seed", "None"]),
        ("pretrain: 5", ["--pretrain"]),
        ("archive: somewhere", ["--archive"]),
        ("archive: [a, {b: c}]", ["--archive.1"]),
        ("seed: 2024-01-01", ["--seed"]),
        ("a: [", ["c.yaml is not YAML"]),
        ("- 1", ["c.yaml", "name: value"]),
        ("", ["c.yaml", "name: value"]),
        ("\0", ["c.yaml is not YAML"]),
        ("a: &a [*a]", ["setting a"]),
    ],
)
def test_a_config_that_cannot_be_is_named(here: Path, text: str, words: list[str]) -> None:
    (here / "c.yaml").write_text(text)
    message = refusal("--config", "c.yaml")
    assert all(word in message for word in words), message


def test_a_config_that_is_not_text(here: Path) -> None:
    (here / "c.yaml").write_bytes(b"seed: \xff\xfe")
    assert "c.yaml is not YAML" in refusal("--config", "c.yaml")


def test_the_run_is_required() -> None:
    with pytest.raises(XfmrError, match=r"^--run is required$"):
        read_settings(Settings, [], prog="test")


@pytest.mark.parametrize(("place", "argv"), [("c.yaml", ["--config", "c.yaml"]), (f"run/{SETTINGS_FILE}", [])])
def test_yaml_runs_no_code(here: Path, place: str, argv: list[str]) -> None:
    write(here / place)
    (here / place).write_text("seed: !!python/object/apply:os.system ['touch pwned']")
    assert "is not YAML" in refusal(*argv)
    assert not (here / "pwned").exists()


def test_saved_settings_come_back(here: Path) -> None:
    settings = read(
        *("--archive", "north=a", "--archive", "süd=b", "--labels", "s3://c/l.csv", "--epochs", "3", "--seed", "8"),
        *("--sample-rate-hz", "12000", "--thresholds.method", "percentile", "--finetune.pseudo-weight", "0.25"),
    )
    save_settings(settings)
    assert read() == settings
    written = (here / "run" / SETTINGS_FILE).read_bytes()
    save_settings(read())
    assert (here / "run" / SETTINGS_FILE).read_bytes() == written


def test_the_file_a_config_came_from_is_not_kept(here: Path) -> None:
    save_settings(read("--config", write(here / "c.yaml", seed=4)))
    (here / "c.yaml").unlink()
    assert (read().seed, read().config) == (4, None)


def test_a_run_can_be_moved(here: Path) -> None:
    save_settings(read("--archive", "a", "--seed", "5"))
    (here / "run").rename(here / "moved")
    moved = read_settings(Settings, ["--run", "moved"], prog="test")
    assert (moved.run, moved.seed) == ("moved", 5)


@pytest.mark.parametrize(
    ("argv", "name"),
    [(["--archive", "b"], "archive"), (["--archive", "a", "--sample-rate-hz", "1"], "sample_rate_hz")],
)
def test_only_featurize_may_change_what_the_features_depend_on(here: Path, argv: list[str], name: str) -> None:
    save_settings(read("--archive", "a", "--seed", "1"))
    before = (here / "run" / SETTINGS_FILE).read_bytes()
    with pytest.raises(XfmrError, match=f"made with {name} .* give another --run") as error:
        save_settings(read(*argv, "--seed", "2"))
    assert "\n" not in str(error.value)
    assert (here / "run" / SETTINGS_FILE).read_bytes() == before
    if name != "archive":
        save_settings(read(*argv), new_features=True)
        assert read().sample_rate_hz == 1


def test_the_features_that_are_there_count_and_not_those_that_were_asked_for(here: Path) -> None:
    save_settings(read("--archive", "a", "--record-length", "4096", "--seed", "3"), new_features=True)
    assert (read().record_length, read().seed) == (4096, 3)
    (here / "run/features").mkdir()
    closed = {"made_with": feature_settings(read("--record-length", "8192", "--sample-rate-hz", "25600"))}
    (here / "run/features/_SUCCESS.json").write_text(json.dumps(closed))
    assert (read().record_length, read().sample_rate_hz, read().seed) == (8192, 25600, 3)
    assert read("--record-length", "5000").record_length == 5000


def test_other_settings_can_change(here: Path) -> None:
    save_settings(read("--archive", "a", "--seed", "1"))
    save_settings(read("--seed", "2", "--branch", "image"))
    assert (read().seed, read().branch, read().archive) == (2, "image", [f"{here}/a"])


def test_a_job_of_its_own_settings_takes_the_runs(here: Path) -> None:
    save_settings(read("--archive", "a", "--seed", "1"))
    settings = read_settings(
        DiagnoseSettings, ["--run", "run", "--out", "o.parquet"], prog="test", inherit_archive=False
    )
    assert (settings.out, settings.seed, settings.archive) == ("o.parquet", 1, [])
    with pytest.raises(XfmrError, match=r"^--out is required$"):
        read_settings(DiagnoseSettings, ["--run", "run"], prog="test")


def test_settings_cannot_be_changed_in_passing() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read().seed = 1


def test_the_run_may_be_named_in_the_config(here: Path) -> None:
    save_settings(read("--seed", "5"))
    (here / "c.yaml").write_text("run: run")
    assert read_settings(Settings, ["--config", "c.yaml"], prog="test").seed == 5


@pytest.mark.parametrize("run", ["5", "[a]", "{a: b}"])
def test_a_run_that_is_no_text(here: Path, run: str) -> None:
    (here / "c.yaml").write_text(f"run: {run}")
    with pytest.raises(XfmrError, match=r"^--run: input should be a valid string"):
        read_settings(Settings, ["--config", "c.yaml"], prog="test")


def test_settings_of_one_job_do_not_hinder_the_next(here: Path) -> None:
    save_settings(DiagnoseSettings(run="run", out="o.parquet"))
    assert read().run == "run"


def test_labels_become_absolute(here: Path) -> None:
    assert read("--labels", "labels.csv").labels == [str(here / "labels.csv")]


@pytest.mark.parametrize("flag", ["--sample-rate-hz", "--pretrain.learning-rate"])
def test_infinity_is_refused(flag: str) -> None:
    with pytest.raises(XfmrError, match=flag):
        read(flag, "inf")


def test_a_name_that_is_no_text(here: Path) -> None:
    (here / "c.yaml").write_text("1: 2")
    with pytest.raises(XfmrError, match="setting 1"):
        read("--config", "c.yaml")


def test_the_order_of_fleets_does_not_matter(here: Path) -> None:
    save_settings(read("--archive", "n=a", "--archive", "s=b"))
    save_settings(read("--archive", "s=b", "--archive", "n=a"))
