"""Settings of stage two: how scores become pseudo-labels and a review queue."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xfmr.settings.base import StageSettings

Method = Literal["percentile", "mad", "peaks_over_threshold"]
"""Names of :data:`xfmr.scores.thresholds.METHODS`."""


class ThresholdSettings(StageSettings):
    """Thresholds that turn scores into pseudo-labels, and the review queue."""

    method: Method = Field(
        "mad",
        description="mad: median - 2 and + 4 robust sigmas; percentile: 5th and 99th; peaks_over_threshold: "
        "generalised Pareto above the 90th, one false alarm in 1000",
    )
    review_size: int = Field(200, ge=0, description="records in the review queue")
