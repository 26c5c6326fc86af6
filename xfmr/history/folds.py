"""Folds of a history: stretches of time, each scored by networks that were trained without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.history.clean import History, clean_history
from xfmr.history.reading import EachGroup, GroupReader, choose_records, read_history
from xfmr.normal import Rows
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import RecordIds
from xfmr.storage.models import key_of
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View, input_shape, spectra


def time_folds(rows: Rows, n_folds: int) -> NDArray[np.int64]:
    """Cut each sensor's records into stretches of time, one for each fold.

    Stretches, not records drawn at random: records of neighbouring minutes are alike, and would make a record look
    more familiar than a new one can be. Sensors of the same length are cut at the same places, so that a moment stays
    whole; sensors with fewer records than folds take turns at which folds they fill. All copies of a signal are in
    the fold of the first.

    Args:
        rows: In order of time within each sensor.
        n_folds: Number of folds.

    Returns:
        Fold of each row, 0 .. n_folds - 1, shape (n,).
    """
    fold = np.zeros(len(rows), dtype=np.int64)
    for turn, place in enumerate(rows.by_sensor().values()):
        first = turn if len(place) < n_folds else 0
        fold[place] = (first + np.arange(len(place)) * n_folds // len(place)) % n_folds
    _, original, copy_of = np.unique(rows.ids, return_index=True, return_inverse=True)
    same: NDArray[np.int64] = fold[original][copy_of]
    return same


@dataclass(frozen=True)
class FoldedHistory:
    """A cleaned history as input of a branch's networks, cut into folds.

    Args:
        inputs: Turns features into the networks' input.
        values: The networks' inputs, n records.
        rows: Their rows.
        folds: Fold of each record, shape (n,).
        n_folds: Number of folds.
        set_aside: The records that are unlike the rest of their sensor, with their ``distance``.
        digest: Short hash of the records, their recording and the number of folds.
    """

    inputs: NetworkInputs
    values: NDArray[Any]
    rows: Rows
    folds: NDArray[np.int64]
    n_folds: int
    set_aside: pd.DataFrame
    digest: str

    @classmethod
    def of(cls, inputs: NetworkInputs, history: History, n_folds: int, *, digest: str) -> FoldedHistory:
        """Scale a history that the view has read, and cut it into folds."""
        values, folds = inputs.scale(history.values, history.rows), time_folds(history.rows, n_folds)
        return cls(inputs, values, history.rows, folds, n_folds, history.set_aside, digest)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a network's input; if it has several parts, all their shapes in a row."""
        return input_shape(self.values)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that fold members are trained on."""
        return {"inputs": self.values, "folds": self.folds}


def load_folded_history(
    features: FeatureSet, view: View, n_folds: int, *, struck: RecordIds, max_records: int, each: EachGroup = map
) -> FoldedHistory:
    """Read the records that networks may learn from, cleaned by their log spectra.

    The inputs are scaled by statistics of all records, those set aside included: on the gearbox recordings Deep
    SVDD's AUC was 0.933 with them and 0.907 without.

    Args:
        features: The run's features.
        view: The networks' view of a record.
        n_folds: Number of folds.
        struck: Ids of records that must not be learned from.
        max_records: Largest number of records to keep, see :func:`~xfmr.history.reading.choose_records`.
        each: Reads the groups.

    Raises:
        XfmrError: If no record is left.
    """
    chosen = choose_records(features, struck=struck, max_records=max_records)
    log_spectra, rows = read_history(GroupReader(features, ("log_spectrum",), spectra, chosen), each)
    if view.branch == "spectrum":
        values = log_spectra
    else:
        values, rows = read_history(GroupReader(features, tuple(view.columns), view.read, chosen), each)
    inputs, history = NetworkInputs.fit(view, values, rows), clean_history(values, rows, log_spectra)
    digest = key_of(features.recording, history.digest, n_folds)
    return FoldedHistory.of(inputs, history, n_folds, digest=digest)
