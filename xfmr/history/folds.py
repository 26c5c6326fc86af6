"""Folds of a history: parts that are scored by what was fitted without them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfmr.history.clean import History
from xfmr.normal.standardise import SensorKey, rows_by_key
from xfmr.views.inputs import ModelInputs
from xfmr.views.views import input_shape


def time_folds(keys: Sequence[SensorKey], ids: NDArray[np.int64], n_folds: int) -> NDArray[np.int64]:
    """Cut each sensor's records into stretches of time, one for each fold.

    Stretches and not records drawn at random: what was recorded minutes apart is alike, and would make a record look
    more at home than a new one can be. Sensors of one length are cut at the same places, so that a sample recorded by
    several sensors stays whole; those with fewer records than folds take turns at which folds they fill. Copies of a
    signal are all in the fold of the first.

    Args:
        keys: Each row's sensor; rows in order of time within each sensor.
        ids: Record ids, shape (n,).
        n_folds: Number of folds.

    Returns:
        Fold of each row, 0 .. n_folds - 1, shape (n,).
    """
    fold = np.zeros(len(keys), dtype=np.int64)
    for turn, rows in enumerate(rows_by_key(keys).values()):
        first = turn if len(rows) < n_folds else 0
        fold[rows] = (first + np.arange(len(rows)) * n_folds // len(rows)) % n_folds
    _, original, copy_of = np.unique(ids, return_index=True, return_inverse=True)
    same: NDArray[np.int64] = fold[original][copy_of]
    return same


@dataclass(frozen=True)
class FoldedHistory:
    """A cleaned history as the networks of a branch take it, cut into folds.

    Args:
        inputs: From features to the networks' input.
        values: The records' inputs, n rows.
        record_ids: Shape (n,).
        keys: Each row's sensor.
        folds: Fold of each row, shape (n,).
        n_folds: Number of folds.
        digest: Short hash of the records, of how they are cut, and of all that the inputs were learned from.
    """

    inputs: ModelInputs
    values: NDArray[Any]
    record_ids: NDArray[np.int64]
    keys: list[SensorKey]
    folds: NDArray[np.int64]
    n_folds: int
    digest: str

    @classmethod
    def of(cls, inputs: ModelInputs, history: History, n_folds: int, *, digest: str) -> FoldedHistory:
        """Prepare a history."""
        folds = time_folds(history.keys, history.record_ids, n_folds)
        values = inputs.scale(history.values, history.keys)
        return cls(inputs, values, history.record_ids, history.keys, folds, n_folds, digest)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a network's input, of several parts all their shapes in a row."""
        return input_shape(self.values)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return what fold members are trained on, row for row."""
        return {"inputs": self.values, "folds": self.folds}
