"""What a run was asked for: read from flags, a YAML file and the run itself, validated once, written back whole.

A setting is taken from the first of: the command line, ``--config FILE.yaml``, ``RUN/settings.yaml``, its default.
Only flags and YAML files count; the environment is not read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSettingsSource,
    CliToggleFlag,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from xfmr.archive import parse_archives
from xfmr.errors import XfmrError
from xfmr.featurizing.feature_set import settings_of
from xfmr.storage import Store, absolute_uri
from xfmr.thresholds import Method
from xfmr.training.combinations import DETECTORS, check_combination, describe_detectors
from xfmr.training.options import (
    DEFAULT_FOLDS,
    BankSettings,
    Branch,
    DetectorKind,
    EnsembleSettings,
    FinetuneSettings,
    ImageScale,
    PretrainSettings,
    SvddSettings,
    VaeSettings,
)

SETTINGS_FILE = "settings.yaml"

# What a row of features depends on. Each choice of them makes a set of its own.
FEATURE_SETTINGS = ("sample_rate_hz", "record_length", "health")

# What belongs to the call and the machine it is made on, and not to the run.
NOT_INHERITED = {"run", "config", "workers"}


class ThresholdSettings(BaseModel):
    """How scores become pseudo-labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(
        "mad",
        description="mad: median - 2 and + 4 robust sigmas; percentile: 5th and 99th; peaks_over_threshold: "
        "generalised Pareto above the 90th, one false alarm in 1000",
    )
    review_size: int = Field(200, ge=0, description="records in the review queue")


class Settings(BaseSettings):
    """Settings of a run."""

    model_config = SettingsConfigDict(
        frozen=True,
        allow_inf_nan=False,
        extra="forbid",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_exit_on_error=False,
        cli_use_class_docs_for_groups=True,
        nested_model_default_partial_update=True,
    )

    run: str = Field(min_length=1, description="run folder, a path or URI; made where it does not exist")
    config: str | None = Field(None, description="YAML file of settings, which flags override")
    archive: list[str] = Field(
        [], description="archive as URI or FLEET=URI, a folder or anything pyarrow reads; repeat it for more fleets"
    )
    labels: str | None = Field(
        None, description="CSV or Parquet of people's labels: sensor_id, data_time, label; also fleet, unit"
    )
    sample_rate_hz: float = Field(8192.0, gt=0, description="sampling rate of the archive in Hz")
    record_length: int = Field(
        8192, ge=4096, description="samples of a record; shorter ones are padded with zeros, longer ones cut"
    )
    health: bool = Field(True, description="whether features hold the health indices, which models do not read")
    image_size: int = Field(224, ge=32, le=512, description="side of the hetero image in pixels")
    image_scale: ImageScale = Field(
        "log",
        description="hetero images as decades without level, standardised per sensor (log), or each plane of each "
        "record by its own range (minmax)",
    )
    detector: DetectorKind = Field("bank", description=describe_detectors())
    branch: Branch = Field(
        "spectrum",
        description="what the networks see: log spectra, Zerone, hetero images, Zerone as raster images, or "
        "both hetero images and log spectra",
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="parts of the history, each scored by networks trained without it: a network a fold; by default "
        "5, and 2 where there are images",
    )
    epochs: int | None = Field(None, ge=1, description="one number of epochs for all training stages")
    workers: int = Field(1, ge=1, description="training workers")
    seed: int = Field(0, ge=0, description="seed of all random choices")
    group_bytes: int = Field(100_000_000, ge=1_000_000, description="input bytes processed together")
    pretrain: PretrainSettings = PretrainSettings()
    bank: BankSettings = BankSettings()
    svdd: SvddSettings = SvddSettings()
    vae: VaeSettings = VaeSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    finetune: FinetuneSettings = FinetuneSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the environment out, so that a run depends on what its folder and command line say."""
        return (init_settings,)

    @field_validator("archive")
    @classmethod
    def _absolute(cls, archive: list[str]) -> list[str]:
        """Make local paths absolute, since a run may be continued from another folder, and sort the fleets."""
        return [f"{fleet}={uri}" if fleet else uri for fleet, uri in sorted(parse_archives(archive).items())]

    @field_validator("labels")
    @classmethod
    def _absolute_path(cls, uri: str | None) -> str | None:
        """Make a local path absolute, for the same reason."""
        return absolute_uri(uri) if uri else uri

    @model_validator(mode="after")
    def _combination(self) -> Self:
        """Refuse a detector that there is not for this branch or pretraining."""
        for kind in self.detector_kinds:
            check_combination(kind, self.branch, self.pretrain.objective)
        return self

    @property
    def detector_kinds(self) -> tuple[DetectorKind, ...]:
        """The detector, or the members of the ensemble."""
        return tuple(self.ensemble.weights) if self.detector == "ensemble" else (self.detector,)

    @property
    def detector_needs_encoders(self) -> bool:
        """Whether the detector begins from what jobs.pretrain makes."""
        return any(DETECTORS[kind].objectives for kind in self.detector_kinds)

    @property
    def store(self) -> Store:
        """The run folder."""
        return Store(self.run)

    @property
    def n_folds(self) -> int:
        """Number of folds, given or the branch's own."""
        return self.folds or DEFAULT_FOLDS[self.branch]

    def required_archive(self) -> list[str]:
        """Return ``archive``.

        Raises:
            XfmrError: Where it was not given.
        """
        if not self.archive:
            raise XfmrError("no archive: give --archive URI")
        return self.archive


class FeaturizeSettings(Settings):
    """Make the features of an archive."""

    run: str = Field("", description="run folder, a path or URI; made where it does not exist")
    plan: CliToggleFlag[bool] = Field(
        False, description="say what there is to do and how long it will take, and write nothing; needs no --run"
    )
    drop_other_features: CliToggleFlag[bool] = Field(
        False, description="remove the features that were made with other settings"
    )


class DiagnoseSettings(Settings):
    """Diagnose a new archive with the models of a run."""

    out: str = Field(min_length=1, description="file to write, .parquet or .jsonl")


class EvaluateSettings(Settings):
    """Compare scores with people's labels, beside plain baselines."""

    scores: str | None = Field(None, description="file that diagnose wrote; by default the run's own scores")
    resamples: int = Field(1000, ge=100, description="bootstrap resamples behind the 95 % intervals")


S = TypeVar("S", bound=Settings)


def read_settings(cls: type[S], argv: Sequence[str], *, prog: str, inherit_archive: bool = True) -> S:
    """Read the settings of a job from its command line and the files it names.

    Args:
        cls: The settings the job takes.
        argv: The command line without the program's name.
        prog: The program's name, for ``--help``.
        inherit_archive: Whether the archive may come from ``RUN/settings.yaml``.

    Raises:
        XfmrError: Naming each setting that is unknown or has a value it cannot have.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--run")
    first.add_argument("--config")
    try:
        known, _ = first.parse_known_args(argv)
        given = _yaml_file(Path(known.config)) if known.config else {}
        saved = _saved(known.run or given.get("run"), inherit_archive=inherit_archive)
        source = CliSettingsSource[Any](cls, cli_prog_name=prog)
        return CliApp.run(cls, cli_args=list(argv), cli_settings_source=source, **_merged(saved, given))
    except (SettingsError, argparse.ArgumentError) as error:
        raise XfmrError(f"{str(error).removeprefix('error parsing CLI: ')} (see --help)") from error
    except ValidationError as error:
        raise XfmrError("; ".join(_complaint(item) for item in error.errors())) from error


def _saved(run: str | None, *, inherit_archive: bool) -> dict[str, Any]:
    store = Store(run) if run else None
    if store is None or not store.exists(SETTINGS_FILE):
        return {}
    saved = _mapping(store.read(SETTINGS_FILE), store.path(SETTINGS_FILE))
    # The features that are there count, where a job was killed before it had made others.
    saved |= settings_of(store)
    dropped = NOT_INHERITED if inherit_archive else {*NOT_INHERITED, "archive"}
    return {name: value for name, value in saved.items() if name not in dropped}


def _yaml_file(path: Path) -> dict[str, Any]:
    try:
        return _mapping(path.read_bytes(), str(path))
    except OSError as error:
        raise XfmrError(f"cannot read --config {path}: {error.strerror}") from error


def _mapping(text: bytes, name: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise XfmrError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise XfmrError(f"{name} must hold settings as 'name: value' lines")
    return {str(key): setting for key, setting in value.items()}


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(base[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(base.get(k), dict)}
    return base | over | both


def _complaint(item: Any) -> str:
    name = ".".join(str(part) for part in item["loc"])
    flag = "--" + name.replace("_", "-")
    if item["type"] == "value_error":
        return str(item["ctx"]["error"]) if not name else f"{flag}: {item['ctx']['error']}, not {item['input']!r}"
    if item["type"] == "missing":
        return f"{flag} is required"
    if item["type"] == "extra_forbidden":
        return f"there is no setting {name} (see --help)"
    return f"{flag}: {item['msg'][0].lower()}{item['msg'][1:]}, not {item['input']!r}"


def feature_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that a row of features depends on."""
    return settings.model_dump(include=set(FEATURE_SETTINGS))


def save_settings(settings: Settings, *, new_features: bool = False) -> None:
    """Write the run's effective settings to ``RUN/settings.yaml``.

    Args:
        settings: What the job was asked for.
        new_features: Whether the job makes features, and so may have other settings of theirs.

    Raises:
        XfmrError: Where the run is of another archive, or its features were made with other settings; nothing is
            written then.
    """
    saved = _saved(settings.run, inherit_archive=True)
    values = settings.model_dump(mode="json", include=Settings.model_fields.keys() - {"config"})
    for name in ("archive", *(() if new_features else FEATURE_SETTINGS)):
        if saved.get(name, values[name]) != values[name]:
            raise XfmrError(
                f"run {settings.run} was made with {name} {saved[name]}, not {values[name]}: "
                "give another --run, or the same value"
            )
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    settings.store.write(SETTINGS_FILE, text.encode())
