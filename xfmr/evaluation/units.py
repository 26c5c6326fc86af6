"""Whether the units that score higher are those with more faults: the ranking that maintenance acts on."""

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
        units: Units named in the labels.
        spearman: The correlation, -1 to 1; None where it is not defined.
        p_value: Chance of one as strong, of either sign, were scores and faults of units unrelated.
        undefined: Why there is none.
    """

    units: int
    spearman: float | None = None
    p_value: float | None = None
    undefined: str | None = None


def unit_correlation(units: pd.DataFrame, *, seed: int) -> UnitCorrelation:
    """Correlate the mean score of each unit's records with the share of faults among them.

    The p-value is that of a permutation test: exact for up to seven units, from 9999 random permutations for more.
    The usual one, of Student's t, does not hold for the dozen units that are typical here.

    Args:
        units: A row a record: ``fleet``, ``unit``, ``score`` and ``fault``; records without a unit are left aside.
        seed: Seed of the permutations.
    """
    named = units[units["unit"] != ""].groupby(["fleet", "unit"])[["score", "fault"]].mean()
    if len(named) < MIN_UNITS:
        return UnitCorrelation(len(named), undefined=f"fewer than {MIN_UNITS} units are named in the labels")
    for name, what in (("fault", "the same share of faults"), ("score", "the same score")):
        if named[name].nunique() == 1:
            return UnitCorrelation(len(named), undefined=f"all units have {what}")
    scores, shares = (_standardised_ranks(named[name].to_numpy(np.float64)) for name in ("score", "fault"))

    def correlation(permuted: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        return np.asarray((permuted * shares).mean(axis=axis))

    # Drawn in batches, as all permutations of some hundred units at once would take gigabytes.
    test = permutation_test(
        (scores,),
        correlation,
        permutation_type="pairings",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return UnitCorrelation(len(named), spearman=float(test.statistic), p_value=float(test.pvalue))


def _standardised_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks of mean 0 and variance 1, equal values sharing theirs: the mean product of two is Spearman's."""
    ranks = np.asarray(rankdata(values), dtype=np.float64)
    standardised: NDArray[np.float64] = (ranks - ranks.mean()) / ranks.std()
    return standardised
