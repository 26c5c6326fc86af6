"""The labelled records that all detectors are judged on: samples, groups and the bootstrap's draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.evaluation.quality import Quality, Verdicts, bootstrap_draws, judge
from xfmr.labels import CONDITION
from xfmr.schema import SENSOR_COLUMNS

Rows = NDArray[np.int64]

# A column with more values than this is cut into quarters where it holds numbers, and no condition where it does not.
MAX_NUMBERS = 12
MAX_WORDS = 50


@dataclass(frozen=True)
class Truth:
    """The labelled records, grouped.

    Args:
        records: A row a record, at least one, with ``fleet``, ``sensor_id``, ``data_time``, ``unit``, ``label`` and
            ``fault``, and a column for each condition, its name after :data:`xfmr.labels.CONDITION`.
        resamples: How often the bootstrap draws.
        seed: Seed of the draws.
    """

    records: pd.DataFrame
    resamples: int
    seed: int

    @cached_property
    def fault(self) -> NDArray[np.bool_]:
        """Which records are faults, shape (n,)."""
        return self.records["fault"].to_numpy(bool)

    @cached_property
    def sample(self) -> Rows:
        """The sample of each record, counted from 0: all sensors of a unit at one time, shape (n,).

        Where the labels name no unit, all sensors of a fleet at one time are taken for one.
        """
        numbers = self.records.groupby(["fleet", "unit", "data_time"]).ngroup()
        return numbers.to_numpy().astype(np.int64, copy=False)

    @cached_property
    def draws(self) -> NDArray[np.uint16]:
        """What :func:`xfmr.evaluation.quality.bootstrap_draws` gives."""
        return bootstrap_draws(int(self.sample.max()) + 1, self.resamples, seed=self.seed)

    @cached_property
    def groups(self) -> dict[str, dict[str, Rows]]:
        """The rows of each group of each grouping: by sensor, hour of the day (UTC), label and each condition.

        A grouping other than that by sensor is left out where it has less than two groups.
        """
        by_condition = {name: condition_groups(values, self.fault) for name, values in self._conditions().items()}
        return {"sensor_id": self._sensors()} | {
            name: groups for name, groups in by_condition.items() if len(groups) > 1
        }

    @cached_property
    def left_aside(self) -> list[str]:
        """Columns of the labels that hold too many words to be a condition."""
        too_many = [name for name, values in self._conditions().items() if _too_many(values[values != ""])]
        return [name for name in too_many if name not in self.groups]

    def quality(self, verdicts: Verdicts, rows: Rows | None = None) -> Quality:
        """Judge what is said of all records, or of some."""
        rows = np.arange(len(self.fault)) if rows is None else rows
        return judge(self.fault[rows], verdicts.of(rows), self.sample[rows], self.draws)

    def _sensors(self) -> dict[str, Rows]:
        fleet, sensor = (self.records[name].to_numpy(str) for name in SENSOR_COLUMNS)
        names = np.where(fleet == "", sensor, np.strings.add(np.strings.add(fleet, "/"), sensor))
        return _positions(names)

    def _conditions(self) -> dict[str, pd.Series[str]]:
        hours = self.records["data_time"].dt.strftime("%H:00")
        named = {
            str(name).removeprefix(CONDITION): self.records[name]
            for name in self.records
            if str(name).startswith(CONDITION)
        }
        return {"hour_utc": hours, "label": self.records["label"]} | named


def condition_groups(values: pd.Series[str], fault: NDArray[np.bool_]) -> dict[str, Rows]:
    """Group records by the values of a condition; records without one (an empty value) are in no group.

    A column that has one value for all normal records, which no fault has, says something of the fault itself: its
    severity, or its type. The faults of each other value are then set against all normal records.

    Args:
        values: Shape (n,).
        fault: Which records are faults, shape (n,).

    Returns:
        Rows of each group, rising; groups in the order of their numbers or words. Many numbers are cut into quarters;
        none where there are too many words.
    """
    words = values.to_numpy(str)
    normal = np.unique(words[~fault])
    of_faults = len(normal) == 1 and normal[0] not in words[fault]
    rows = np.flatnonzero((words != "") & (fault | (not of_faults)))
    groups = {name: rows[members] for name, members in _named(values.iloc[rows]).items()}
    if not of_faults:
        return groups
    return {name: np.union1d(np.flatnonzero(~fault), members) for name, members in groups.items()}


def _named(values: pd.Series[str]) -> Mapping[str, Rows]:
    """Return the positions of each value, or of each quarter of the values."""
    if _too_many(values) or values.empty:
        return {}
    numbers = _numbers(values)
    if numbers is None:
        return _positions(values.to_numpy(str))
    distinct, code = np.unique(numbers, return_inverse=True)
    if len(distinct) <= MAX_NUMBERS:
        return _members(_written(distinct, digits=6), code)
    edges = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    quarters = [f"{low} to {high}" for low, high in pairwise(_written(edges, digits=4))]
    return _members(quarters, np.searchsorted(edges[1:-1], numbers))


def _written(distinct: NDArray[np.float64], *, digits: int) -> list[str]:
    """Write numbers with as few digits as tell them apart, at least the given ones and at most the 17 of a double."""
    for n in range(digits, 18):
        names = [f"{number:.{n}g}" for number in distinct]
        if len(set(names)) == len(names):
            break
    return names


def _positions(words: NDArray[np.str_]) -> dict[str, Rows]:
    """Return the positions of each word, words in order."""
    distinct, code = np.unique(words, return_inverse=True)
    return _members(distinct.tolist(), code)


def _members(names: Sequence[str], code: Rows) -> dict[str, Rows]:
    """Return the positions of each code under the name that it counts."""
    order = np.argsort(code, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(code, minlength=len(names)))[:-1])
    return dict(zip(names, parts, strict=True))


def _numbers(values: pd.Series[str]) -> NDArray[np.float64] | None:
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _too_many(values: pd.Series[str]) -> bool:
    return values.nunique() > MAX_WORDS and _numbers(values) is None
