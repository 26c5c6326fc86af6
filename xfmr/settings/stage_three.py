"""Settings of stage three: the fault classifier."""

from __future__ import annotations

from pydantic import Field

from xfmr.settings.base import StageSettings


class FinetuneSettings(StageSettings):
    """The fault classifier on the pretrained encoder."""

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
