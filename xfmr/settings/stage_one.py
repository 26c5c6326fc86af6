"""Settings of stage one: the detectors, what each can be combined with, and their training.

The name, terms and settings of a new detector belong here; its code belongs in :mod:`xfmr.detectors`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, get_args

from pydantic import BaseModel, Field, field_validator, model_validator

from xfmr.settings.base import StageSettings

Branch = Literal["spectrum", "zerone", "image", "raster", "dual"]
ImageScale = Literal["log", "minmax"]
Objective = Literal["ae", "contrastive"]
DetectorKind = Literal["bank", "ae", "svdd", "vae", "ensemble"]

_ALL_BRANCHES: tuple[Branch, ...] = get_args(Branch)

# Each fold has its own network. With five folds a network sees four fifths of the history. A ResNet is expensive:
# with two folds each network sees half of the history, and both together train no longer than one on all of it.
DEFAULT_FOLDS: dict[Branch, int] = {"spectrum": 5, "zerone": 5, "image": 2, "raster": 2, "dual": 2}


@dataclass(frozen=True)
class Terms:
    """A detector's score, and the branches and pretraining that it can be combined with.

    Args:
        summary: Its score, one line for ``--help``.
        branches: Branches that its networks exist for; empty if it reads the same columns for every branch.
        objectives: Pretraining objectives that its networks can start from; empty if it needs no pretraining.
    """

    summary: str
    branches: tuple[Branch, ...] = ()
    objectives: tuple[Objective, ...] = ()

    def __str__(self) -> str:
        """Return the summary with the pretraining and, unless it supports all, the branches."""
        terms = []
        if self.branches and self.branches != _ALL_BRANCHES:
            terms.append(f"branches {', '.join(self.branches)}")
        if self.objectives:
            terms.append(f"pretraining {' or '.join(self.objectives)}")
        return self.summary + (f" ({'; '.join(terms)})" if terms else "")


DETECTORS: dict[DetectorKind, Terms] = {
    "bank": Terms("distance to the sensor's healthy records"),
    "ae": Terms("reconstruction error of the pretrained autoencoders", _ALL_BRANCHES, ("ae",)),
    "svdd": Terms("distance from Deep SVDD's centre", _ALL_BRANCHES, ("ae", "contrastive")),
    "vae": Terms("error of a variational autoencoder", ("spectrum", "zerone", "image", "raster")),
    "ensemble": Terms("weighted mean of the detectors in --ensemble.members, with the requirements of each"),
}


def check_combination(kind: DetectorKind, branch: Branch, objective: Objective) -> None:
    """Raise if the detector does not support this branch or objective.

    Raises:
        ValueError: If it does not, with a one-line message.
    """
    terms = DETECTORS[kind]
    if terms.branches and branch not in terms.branches:
        raise ValueError(f"there is no {kind} for --branch {branch}: give one of {', '.join(terms.branches)}")
    if terms.objectives and objective not in terms.objectives:
        choices = ", ".join(terms.objectives)
        raise ValueError(f"there is no {kind} for --pretrain.objective {objective}: give one of {choices}")


class PretrainSettings(StageSettings):
    """Pretraining of the encoder, without labels."""

    objective: Objective = Field(
        "ae",
        description="ae: an autoencoder reconstructs each record; contrastive: match the two augmented views "
        "of a record among those of all others (NT-Xent)",
    )

    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records per step over all workers")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of AdamW")


class BankSettings(StageSettings):
    """The bank of healthy records, without labels."""

    size: int = Field(
        20_000,
        ge=10,
        description="records kept, shared among the sensors, 10 to 1000 of each; a record takes 6 kB on disk and "
        "16 kB in every scoring process",
    )
    mains_hz: float = Field(
        50.0, ge=10, le=400, description="mains frequency in Hz; the lines of the hum are multiples of half of it"
    )


class SvddSettings(StageSettings):
    """Deep SVDD on the pretrained encoder, without labels."""

    objective: Literal["one_class", "soft_boundary"] = Field(
        "one_class", description="one_class pulls all records to the centre, soft_boundary fits a radius"
    )
    nu: float = Field(0.05, gt=0, lt=1, description="share of the history that may lie outside the soft boundary")
    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records per step over all workers")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="learning rate of AdamW; by default 0.2 / steps, at most 0.001, which bounds how far a weight "
        "can move over the run",
    )


class VaeSettings(StageSettings):
    """Variational autoencoder, without labels."""

    beta: float = Field(
        1.0, ge=0, description="weight of the latents' divergence relative to the residual, both per input value"
    )
    warm_up_epochs: int = Field(10, ge=0, description="epochs over which that weight grows from 0")
    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records per step over all workers")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of AdamW")


class EnsembleSettings(StageSettings):
    """The weighted mean of several detectors' scores."""

    members: str = Field("svdd=0.6,vae=0.4", description="detectors and their weights, NAME=WEIGHT,NAME=WEIGHT...")

    @field_validator("members")
    @classmethod
    def _readable(cls, members: str) -> str:
        parse_members(members)
        return members

    @property
    def weights(self) -> dict[DetectorKind, float]:
        """Weight of each member."""
        return parse_members(self.members)


def parse_members(text: str) -> dict[DetectorKind, float]:
    """Read ``NAME=WEIGHT,NAME=WEIGHT...``.

    Raises:
        ValueError: If the text has another form, with a one-line message.
    """
    pairs = [member.partition("=")[::2] for member in text.split(",")]
    names = [name.strip() for name, _ in pairs]
    possible: list[DetectorKind] = [kind for kind in DETECTORS if kind != "ensemble"]
    try:
        weights = [float(weight) for _, weight in pairs]
    except ValueError:
        weights = []
    if not weights or not all(0 < weight < math.inf for weight in weights) or len(set(names)) < len(names):
        raise ValueError("should be NAME=WEIGHT,NAME=WEIGHT..., each name once and each weight above 0")
    if not set(names) <= set(possible):
        raise ValueError(f"can have the members {', '.join(possible)}")
    return {kind: weights[names.index(kind)] for kind in possible if kind in names}


class StageOneSettings(BaseModel):
    """The detector of a run, its networks, and the history that it learns from."""

    detector: DetectorKind = Field(
        "bank", description="; ".join(f"{kind}: {terms}" for kind, terms in DETECTORS.items())
    )
    branch: Branch = Field(
        "spectrum",
        description="input of the networks: log spectra, Zerone, hetero images, Zerone as raster images, or "
        "both hetero images and log spectra",
    )
    image_size: int = Field(224, ge=32, le=512, description="side of the hetero image in pixels")
    image_scale: ImageScale = Field(
        "log",
        description="log: hetero images in decades without level, standardised per sensor; minmax: each plane of "
        "each record scaled by its own range",
    )
    max_records: int = Field(
        500_000,
        ge=2,
        description="most records to learn from, held in memory; if there are more, all sensors keep the same number",
    )
    leave_out_anomalies: bool = Field(
        False,
        description="for growing archives: do not learn from records that the run's current scores call anomalies; "
        "score new records before fitting another detector",
    )
    folds: int | None = Field(
        None,
        ge=2,
        le=20,
        description="folds of the history, each scored by a network trained without it; by default 5, or 2 for "
        "branches with images",
    )
    pretrain: PretrainSettings = PretrainSettings()
    bank: BankSettings = BankSettings()
    svdd: SvddSettings = SvddSettings()
    vae: VaeSettings = VaeSettings()
    ensemble: EnsembleSettings = EnsembleSettings()

    @model_validator(mode="after")
    def _combination(self) -> Self:
        """Raise if a detector does not support the branch or the pretraining."""
        for kind in self.detector_kinds:
            check_combination(kind, self.branch, self.pretrain.objective)
        return self

    @property
    def detector_kinds(self) -> tuple[DetectorKind, ...]:
        """The detector, or the members of the ensemble."""
        return tuple(self.ensemble.weights) if self.detector == "ensemble" else (self.detector,)

    @property
    def detector_needs_encoders(self) -> bool:
        """True if the detector starts from the encoders of jobs.pretrain."""
        return any(DETECTORS[kind].objectives for kind in self.detector_kinds)

    @property
    def n_folds(self) -> int:
        """Number of folds, as given or the branch's default."""
        return self.folds or DEFAULT_FOLDS[self.branch]
