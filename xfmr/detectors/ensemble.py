"""The ensemble: a weighted mean of other detectors' calibrated scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.base import Detector
from xfmr.detectors.plan import DetectorPlan, Planner
from xfmr.networks.checkpoint import StoredModel, to_bytes
from xfmr.schema import IDENTITY_COLUMNS
from xfmr.storage.models import key_of


@dataclass(frozen=True)
class EnsembleDetector:
    """Detectors whose scores are averaged.

    Args:
        members: Each scores in sigmas of its out-of-fold history.
        weights: Positive, one per member.
    """

    members: tuple[Detector, ...]
    weights: tuple[float, ...]

    @property
    def columns(self) -> list[str]:
        """The feature columns that any member reads."""
        return list(dict.fromkeys(column for member in self.members for column in member.columns))

    @property
    def history_ids(self) -> NDArray[np.int64]:
        """Ids of the records that any member learned, ascending."""
        return reduce(np.union1d, [member.history_ids for member in self.members])

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, float32 (n,)."""
        scores = np.stack([member.score(table) for member in self.members])
        return np.average(scores, axis=0, weights=self.weights).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise the members, each as the bytes of its own file."""
        files = [torch.frombuffer(bytearray(member.to_bytes()), dtype=torch.uint8) for member in self.members]
        tensors = {f"member.{place}": file for place, file in enumerate(files)}
        return to_bytes(tensors, {"kind": "ensemble", "weights": self.weights})


def plan(planner: Planner) -> DetectorPlan:
    """Plan an ensemble and all its members."""
    kinds, weights = zip(*planner.settings.ensemble.weights.items(), strict=True)
    members = [planner.plan(kind) for kind in kinds]
    key = key_of("ensemble", [member.key for member in members], weights)
    terms = (f"{weight:g} x {member.summary}" for weight, member in zip(weights, members, strict=True))
    set_aside = pd.concat([member.set_aside for member in members]).drop_duplicates(IDENTITY_COLUMNS)

    def fit() -> Detector:
        return EnsembleDetector(tuple(member.fit() for member in members), weights)

    return DetectorPlan(key, f"ensemble of {'; '.join(terms)}", set_aside, fit)


def restore(model: StoredModel, read: Callable[[bytes, str], Detector]) -> EnsembleDetector:
    """Rebuild an ensemble from its file, each member with ``read``."""
    weights = tuple(model.description["weights"])
    files = [model.tensors[f"member.{place}"].numpy().tobytes() for place in range(len(weights))]
    return EnsembleDetector(tuple(read(file, model.name) for file in files), weights)
