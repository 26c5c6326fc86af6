"""Rank correlation of unit score and unit fault share: maintenance acts on the ranking of units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import permutation_test, rankdata

MIN_UNITS = 3
_PERMUTATIONS = 9999


@dataclass(frozen=True)
class UnitCorrelation:
    """Spearman's rank correlation of unit score and unit fault share.

    Args:
        units: Number of units named in the labels.
        spearman: The correlation, -1 to 1; None if undefined.
        p_value: Two-sided p-value: the probability of a correlation at least as strong if unit scores and faults
            were unrelated.
        undefined: Why the correlation is undefined.
    """

    units: int
    spearman: float | None = None
    p_value: float | None = None
    undefined: str | None = None


def unit_correlation(records: pd.DataFrame, *, seed: int) -> UnitCorrelation:
    """Correlate the mean score of each unit's records with the share of faults among them.

    The p-value comes from a permutation test: exact for up to seven units, with 9999 random permutations for more.
    The usual p-value, from Student's t, does not hold for the dozen units that are typical here.

    Args:
        records: One row per record: ``fleet``, ``of_unit``, ``score`` and ``fault``. Records without a
            unit are ignored.
        seed: Seed of the permutations.
    """
    named = records[records["of_unit"] != ""]
    means = named.groupby(["fleet", "of_unit"])[["score", "fault"]].mean()
    if len(means) < MIN_UNITS:
        return UnitCorrelation(len(means), undefined=f"fewer than {MIN_UNITS} units are named in the labels")
    for name, description in (("fault", "the same share of faults"), ("score", "the same score")):
        if means[name].nunique() == 1:
            return UnitCorrelation(len(means), undefined=f"all units have {description}")
    scores, shares = (_standardised_ranks(means[name].to_numpy(np.float64)) for name in ("score", "fault"))

    def correlation(permuted: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.asarray((permuted * shares).mean(axis=axis))

    # In batches: all permutations of a few hundred units at once would take gigabytes.
    test = permutation_test(
        (scores,),
        correlation,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return UnitCorrelation(len(means), spearman=float(test.statistic), p_value=float(test.pvalue))


def _standardised_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks scaled to mean 0 and variance 1; equal values share the mean of their ranks.

    The mean product of two such rankings is Spearman's correlation.
    """
    ranks = np.asarray(rankdata(values), dtype=np.float64)
    standardised: NDArray[np.float64] = (ranks - ranks.mean()) / ranks.std()
    return standardised
