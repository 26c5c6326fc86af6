"""The base of a stage's settings; importing settings imports neither torch nor Ray."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StageSettings(BaseModel):
    """Frozen settings that know every one of their names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
