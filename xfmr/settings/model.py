"""What a run may be asked for: each setting with its default, its bounds and the words that --help has for it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliToggleFlag,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from xfmr.archive import parse_archives
from xfmr.errors import XfmrError
from xfmr.settings.combinations import DETECTORS, check_combination, describe_detectors
from xfmr.settings.options import (
    DEFAULT_FOLDS,
    BankSettings,
    Branch,
    DetectorKind,
    EnsembleSettings,
    FinetuneSettings,
    ImageScale,
    Method,
    PretrainSettings,
    SvddSettings,
    VaeSettings,
)
from xfmr.storage import Store, absolute_uri


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
    seed: int = Field(0, ge=0, lt=2**32, description="seed of all random choices")
    group_bytes: int = Field(100_000_000, ge=1_000_000, description="input bytes processed together")
    leave_out_anomalies: bool = Field(
        False,
        description="whether nothing is learned from records that the run's scores so far call anomalies: for "
        "archives that grow; score them with the detector that there is before another is fitted",
    )
    pretrain: PretrainSettings = PretrainSettings()
    bank: BankSettings = BankSettings()
    svdd: SvddSettings = SvddSettings()
    vae: VaeSettings = VaeSettings()
    ensemble: EnsembleSettings = EnsembleSettings()
    forgive_daily: bool = Field(
        True,
        description="whether a score counts only beyond what its sensor scores at that hour of at least three days "
        "of the same archive, and not between: load and fans",
    )
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
