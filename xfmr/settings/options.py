"""Settings of the training stages; importing them brings in neither torch nor Ray."""

from __future__ import annotations

import math
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Branch = Literal["spectrum", "zerone", "image", "raster", "dual"]
ImageScale = Literal["log", "minmax"]
Objective = Literal["ae", "contrastive"]
DetectorKind = Literal["bank", "ae", "svdd", "vae", "ensemble"]
Method = Literal["percentile", "mad", "peaks_over_threshold"]

# Each fold has a network of its own. Five see four fifths of the history each; with two, which see half, all of them
# together are trained no longer than one would be on all of it: what a ResNet asks for.
DEFAULT_FOLDS: dict[Branch, int] = {"spectrum": 5, "zerone": 5, "image": 2, "raster": 2, "dual": 2}


class PretrainSettings(BaseModel):
    """Pretraining of the encoder, without labels."""

    model_config = _FROZEN

    objective: Objective = Field(
        "ae",
        description="ae: an autoencoder rebuilds each record; contrastive: tell two changed views of a record from "
        "those of all others (NT-Xent)",
    )

    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records a step, over all workers together")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW")
    max_records: int = Field(
        500_000,
        ge=2,
        description="records held in memory to learn from; of more history every sensor keeps as many",
    )


class BankSettings(BaseModel):
    """The bank of healthy records, without labels."""

    model_config = _FROZEN

    size: int = Field(
        20_000,
        ge=10,
        description="records kept, shared out over the sensors, of each at least 10 and at most 1000; one takes "
        "6 kB on disk, and 16 kB in every scoring process",
    )
    mains_hz: float = Field(50.0, ge=10, le=400, description="mains frequency in Hz, which the hum's lines follow")


class SvddSettings(BaseModel):
    """Deep SVDD on the pretrained encoder, without labels."""

    model_config = _FROZEN

    objective: Literal["one_class", "soft_boundary"] = Field(
        "one_class", description="one_class pulls all records to the centre, soft_boundary fits a radius"
    )
    nu: float = Field(0.05, gt=0, lt=1, description="share of the history that may lie outside the soft boundary")
    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records a step, over all workers together")
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="of AdamW; by default 0.2 / steps, and at most 0.001: so much every weight may move in all",
    )


class VaeSettings(BaseModel):
    """Variational autoencoder, without labels."""

    model_config = _FROZEN

    beta: float = Field(1.0, ge=0, description="weight of the latents' divergence beside the residual, both a value")
    warm_up_epochs: int = Field(10, ge=0, description="first epochs, over which that weight grows from 0")
    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records a step, over all workers together")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW")


class EnsembleSettings(BaseModel):
    """Several detectors' scores averaged."""

    model_config = _FROZEN

    members: str = Field("svdd=0.6,vae=0.4", description="detectors and their weights, NAME=WEIGHT,NAME=WEIGHT...")

    @field_validator("members")
    @classmethod
    def _readable(cls, members: str) -> str:
        parsed_members(members)
        return members

    @property
    def weights(self) -> dict[DetectorKind, float]:
        """Weight of each member."""
        return parsed_members(self.members)


def parsed_members(text: str) -> dict[DetectorKind, float]:
    """Read ``NAME=WEIGHT,NAME=WEIGHT...``.

    Raises:
        ValueError: Where that is not what it says, in a line for people.
    """
    pairs = [part.partition("=")[::2] for part in text.split(",")]
    names = [name.strip() for name, _ in pairs]
    possible: list[DetectorKind] = [kind for kind in get_args(DetectorKind) if kind != "ensemble"]
    try:
        weights = [float(weight) for _, weight in pairs]
    except ValueError:
        weights = []
    if not weights or not all(0 < weight < math.inf for weight in weights) or len(set(names)) < len(names):
        raise ValueError("should be NAME=WEIGHT,NAME=WEIGHT..., each name once and each weight above 0")
    if not set(names) <= set(possible):
        raise ValueError(f"can have the members {', '.join(possible)}")
    return {kind: weights[names.index(kind)] for kind in possible if kind in names}


class FinetuneSettings(BaseModel):
    """The fault classifier on the pretrained encoder."""

    model_config = _FROZEN

    epochs: int = Field(40, ge=1, description="passes over labels and pseudo-labels")
    frozen_epochs: int = Field(10, ge=0, description="first epochs, in which only the head is trained")
    batch_size: int = Field(64, ge=2, description="records a step, over all workers together")
    learning_rate: float = Field(1e-3, gt=0, description="of AdamW for the head; the encoder's is a tenth of it")
    pseudo_weight: float = Field(0.5, ge=0, description="weight of a pseudo-label; a person's label has 1")
    max_pseudo_labels: int = Field(
        20_000, ge=0, description="pseudo-labels used, the surest of each end; 0 trains on people's labels alone"
    )
