"""The review queue: records from which a person's label would teach most."""

from __future__ import annotations

import pandas as pd

from xfmr.schema import PseudoLabel


def review_queue(scores: pd.DataFrame, *, upper: float, size: int) -> pd.DataFrame:
    """Return the records from which a person's label would teach most: those nearest to the upper threshold.

    Args:
        scores: Columns of :data:`xfmr.schema.SCORES`.
        upper: Upper threshold, from which a score is an anomaly.
        size: Largest number of records to choose.

    Returns:
        Rows of ``scores`` with an empty column ``label``, the nearest first.
    """
    candidates = scores[scores["pseudo_label"] != PseudoLabel.NORMAL]
    nearest = (candidates["score"] - upper).abs().to_numpy().argsort(kind="stable")[:size]
    return candidates.iloc[nearest].assign(label="")
