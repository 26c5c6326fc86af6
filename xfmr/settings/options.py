"""Settings of single stages; this module imports neither torch nor Ray."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Branch = Literal["spectrum", "zerone", "image", "raster", "dual"]
ImageScale = Literal["log", "minmax"]
Objective = Literal["ae", "contrastive"]
Method = Literal["percentile", "mad", "peaks_over_threshold"]

# Each fold has its own network. With five folds a network sees four fifths of the history. A ResNet is expensive:
# with two folds each network sees half of the history, and both together train no longer than one on all of it.
DEFAULT_FOLDS: dict[Branch, int] = {"spectrum": 5, "zerone": 5, "image": 2, "raster": 2, "dual": 2}


class PretrainSettings(BaseModel):
    """Pretraining of the encoder, without labels."""

    model_config = FROZEN

    objective: Objective = Field(
        "ae",
        description="ae: an autoencoder reconstructs each record; contrastive: match the two augmented views "
        "of a record among those of all others (NT-Xent)",
    )

    epochs: int = Field(60, ge=1, description="passes over the history")
    batch_size: int = Field(64, ge=2, description="records per step over all workers")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of AdamW")


class ThresholdSettings(BaseModel):
    """Thresholds that turn scores into pseudo-labels, and the review queue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(
        "mad",
        description="mad: median - 2 and + 4 robust sigmas; percentile: 5th and 99th; peaks_over_threshold: "
        "generalised Pareto above the 90th, one false alarm in 1000",
    )
    review_size: int = Field(200, ge=0, description="records in the review queue")


class FinetuneSettings(BaseModel):
    """The fault classifier on the pretrained encoder."""

    model_config = FROZEN

    epochs: int = Field(40, ge=1, description="passes over labels and pseudo-labels")
    frozen_epochs: int = Field(10, ge=0, description="epochs at the start that train only the head")
    batch_size: int = Field(64, ge=2, description="records per step over all workers")
    learning_rate: float = Field(
        1e-3, gt=0, description="learning rate of AdamW for the head; a tenth for the encoder"
    )
    pseudo_weight: float = Field(0.5, ge=0, description="weight of a pseudo-label; a person's label has 1")
    max_pseudo_labels: int = Field(
        20_000, ge=0, description="most pseudo-labels used, the surest at each end; 0 trains on people's labels alone"
    )
