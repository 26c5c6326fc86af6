"""Settings of a run and of the jobs, each with its default, bounds and --help text."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    CliToggleFlag,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from xfmr.archive import parse_archives
from xfmr.archive.units import UnitFrom
from xfmr.errors import XfmrError
from xfmr.settings.stage_one import StageOneSettings
from xfmr.settings.stage_three import FinetuneSettings
from xfmr.settings.stage_two import ThresholdSettings
from xfmr.storage import Store, absolute_uri


class RunSettings(BaseSettings):
    """Settings that all jobs share: run folder, archive and resources."""

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

    run: str = Field(min_length=1, description="run folder, a path or URI; created if it does not exist")
    config: str | None = Field(None, description="YAML file of settings; flags override it")
    archive: list[str] = Field(
        [], description="archive folder, a path or URI that pyarrow reads, or FLEET=URI; repeat it for more fleets"
    )
    unit_from: str | None = Field(
        None,
        description="where the unit of a record stands, if sensor ids repeat in every unit: a pattern over the end "
        "of a file's path, such as '{unit}_*', '{unit}--*/*' or '{fleet}/{unit}/*', in which * is any text within a "
        "name; field:NAME for a field of the record; or none",
    )
    labels: list[str] = Field(
        [],
        description="CSV or Parquet file of people's labels: unit, label; unit, from, to, label; or sensor_id, "
        "data_time, label, with unit and fleet if there are any; repeat it for more files",
    )
    sample_rate_hz: float = Field(8192.0, gt=0, description="sampling rate of the archive in Hz")
    record_length: int = Field(
        8192, ge=4096, description="samples of a record; shorter ones are padded with zeros, longer ones cut"
    )
    health: bool = Field(True, description="store the health indices, which no model reads")
    epochs: int | None = Field(None, ge=1, description="number of epochs for all training stages")
    workers: int = Field(1, ge=1, description="training workers")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of all random choices")
    group_bytes: int = Field(
        100_000_000, ge=1_000_000, description="input bytes of a group, which is processed as a whole"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Ignore the environment, so that a run depends on its folder and its command line alone."""
        return (init_settings,)

    @field_validator("archive")
    @classmethod
    def _absolute(cls, archive: list[str]) -> list[str]:
        """Make local paths absolute, since a run may be continued from another folder, and sort the fleets."""
        return [f"{fleet}={uri}" if fleet else uri for fleet, uri in sorted(parse_archives(archive).items())]

    @field_validator("unit_from")
    @classmethod
    def _valid_unit_from(cls, text: str | None) -> str | None:
        """Raise if it is neither a pattern nor a field."""
        return UnitFrom(text).text if text is not None else None

    @field_validator("labels", mode="before")
    @classmethod
    def _one_or_more(cls, labels: object) -> object:
        """Accept a single file in YAML."""
        return [labels] if isinstance(labels, str) else [] if labels is None else labels

    @field_validator("labels")
    @classmethod
    def _absolute_paths(cls, labels: list[str]) -> list[str]:
        """Make local paths absolute, for the same reason."""
        return [absolute_uri(uri) for uri in labels]

    @property
    def units(self) -> UnitFrom:
        """The place of a record's unit."""
        return UnitFrom(self.unit_from or "none")

    @property
    def store(self) -> Store:
        """The run folder."""
        return Store(self.run)

    def required_archive(self) -> list[str]:
        """Return ``archive``.

        Raises:
            XfmrError: If it was not given.
        """
        if not self.archive:
            raise XfmrError("no archive: give --archive URI")
        return self.archive


class Settings(StageOneSettings, RunSettings):
    """Settings of a run."""

    forgive_daily: bool = Field(
        True,
        description="subtract the sensor's usual score at that hour: an excess that comes at the same hour of "
        "three or more days of the archive and ends again, such as load and fans",
    )
    thresholds: ThresholdSettings = ThresholdSettings()
    finetune: FinetuneSettings = FinetuneSettings()


class FeaturizeSettings(Settings):
    """Make the features of an archive."""

    run: str = Field("", description="run folder, a path or URI; created if it does not exist")
    plan: CliToggleFlag[bool] = Field(
        False, description="print the remaining work and its expected duration, and write nothing; needs no --run"
    )
    drop_other_features: CliToggleFlag[bool] = Field(
        False, description="remove features that were made with other settings"
    )


class DiagnoseSettings(Settings):
    """Diagnose a new archive with the models of a run."""

    out: str = Field(min_length=1, description="file to write, .parquet or .jsonl")


class EvaluateSettings(Settings):
    """Compare scores with people's labels, beside plain baselines."""

    scores: str | None = Field(None, description="file that diagnose wrote; by default the run's own scores")
    resamples: int = Field(1000, ge=100, description="bootstrap resamples behind the 95 % intervals")
