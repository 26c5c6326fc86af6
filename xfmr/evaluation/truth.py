"""The labelled records that all detectors are evaluated on: their moments, groups and bootstrap draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfmr.evaluation.quality import Predictions, Quality, bootstrap_draws, quality_of
from xfmr.labels import CONDITION
from xfmr.schema import SENSOR_COLUMNS

Rows = NDArray[np.int64]

# A numeric column with more distinct values is cut into quarters.
MAX_NUMBERS = 12
# A text column with more distinct values is no condition.
MAX_TEXTS = 50


@dataclass(frozen=True)
class Truth:
    """The labelled records, with their groups and the bootstrap's draws.

    Args:
        records: One row per record, at least one. Columns :data:`xfmr.schema.KEY`, ``of_unit``, ``label`` and
            ``fault``, and one per condition, named :data:`xfmr.labels.CONDITION` plus its name.
        resamples: Number of bootstrap resamples.
        seed: Seed of the draws.
    """

    records: pd.DataFrame
    resamples: int
    seed: int

    @cached_property
    def fault(self) -> NDArray[np.bool_]:
        """True for faults, shape (n,)."""
        return self.records["fault"].to_numpy(bool)

    @cached_property
    def moment(self) -> Rows:
        """Moment of each record, counted from 0, shape (n,).

        A moment is all sensors of a unit at one time; if neither run nor labels name units, all sensors of a fleet.
        """
        moments = self.records.groupby(["fleet", "of_unit", "data_time"]).ngroup()
        return moments.to_numpy().astype(np.int64, copy=False)

    @cached_property
    def draws(self) -> NDArray[np.uint16]:
        """Draws of the moments, see :func:`xfmr.evaluation.quality.bootstrap_draws`."""
        return bootstrap_draws(int(self.moment.max()) + 1, self.resamples, seed=self.seed)

    @cached_property
    def groups(self) -> dict[str, dict[str, Rows]]:
        """Rows of each group, by grouping: sensor, hour of the day (UTC), label and each condition.

        The grouping by sensor is always there, the others only with two groups or more.
        """
        by_condition = {name: condition_groups(values, self.fault) for name, values in self._conditions().items()}
        return {"sensor_id": self._sensors()} | {
            name: groups for name, groups in by_condition.items() if len(groups) > 1
        }

    @cached_property
    def skipped_conditions(self) -> list[str]:
        """Conditions that form no groups because they hold too many different texts."""
        too_many = [name for name, values in self._conditions().items() if _too_many_texts(values[values != ""])]
        return [name for name in too_many if name not in self.groups]

    def quality(self, predictions: Predictions, rows: Rows | None = None) -> Quality:
        """Return the quality of predictions over the given rows, by default all."""
        rows = np.arange(len(self.fault)) if rows is None else rows
        return quality_of(self.fault[rows], predictions.take(rows), self.moment[rows], self.draws)

    def _sensors(self) -> dict[str, Rows]:
        sensors = self.records[SENSOR_COLUMNS].itertuples(index=False)
        return _rows_by_text(np.array(["/".join(filter(None, names)) for names in sensors]))

    def _conditions(self) -> dict[str, pd.Series[str]]:
        hours = self.records["data_time"].dt.strftime("%H:00")
        conditions = {
            str(name).removeprefix(CONDITION): self.records[name]
            for name in self.records
            if str(name).startswith(CONDITION)
        }
        return {"hour_utc": hours, "label": self.records["label"]} | conditions


def condition_groups(values: pd.Series[str], fault: NDArray[np.bool_]) -> dict[str, Rows]:
    """Group records by the values of a condition. Records with an empty value are in no group.

    Some columns describe the fault itself, such as its severity or type: all normal records share one value, and no
    fault has it. Then each group holds the faults of one value together with all normal records.

    Args:
        values: Shape (n,).
        fault: True for faults, shape (n,).

    Returns:
        Rows of each group, ascending; groups in numeric or alphabetic order. More than 12 numbers are cut into
        quarters; more than 50 texts give no groups.
    """
    texts = values.to_numpy(str)
    normal = np.unique(texts[~fault])
    describes_fault = len(normal) == 1 and normal[0] not in texts[fault]
    rows = np.flatnonzero((texts != "") & (fault | (not describes_fault)))
    groups = {name: rows[positions] for name, positions in _rows_by_value(values.iloc[rows]).items()}
    if not describes_fault:
        return groups
    return {name: np.union1d(np.flatnonzero(~fault), members) for name, members in groups.items()}


def _rows_by_value(values: pd.Series[str]) -> Mapping[str, Rows]:
    """Return the rows of each value, or of each quarter of the values."""
    if _too_many_texts(values) or values.empty:
        return {}
    numbers = _as_numbers(values)
    if numbers is None:
        return _rows_by_text(values.to_numpy(str))
    distinct, code = np.unique(numbers, return_inverse=True)
    if len(distinct) <= MAX_NUMBERS:
        return _rows_by_code(_format_numbers(distinct, digits=6), code)
    edges = np.unique(np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    quarters = [f"{low} to {high}" for low, high in pairwise(_format_numbers(edges, digits=4))]
    return _rows_by_code(quarters, np.searchsorted(edges[1:-1], numbers))


def _format_numbers(distinct: NDArray[np.float64], *, digits: int) -> list[str]:
    """Format numbers with the fewest significant digits that keep them distinct, from ``digits`` up to 17."""
    for n in range(digits, 18):
        names = [f"{number:.{n}g}" for number in distinct]
        if len(set(names)) == len(names):
            break
    return names


def _rows_by_text(texts: NDArray[np.str_]) -> dict[str, Rows]:
    """Return the rows of each text, texts in alphabetic order."""
    distinct, code = np.unique(texts, return_inverse=True)
    return _rows_by_code(distinct.tolist(), code)


def _rows_by_code(names: Sequence[str], code: Rows) -> dict[str, Rows]:
    """Return the rows of each name.

    Args:
        names: Names, shape (k,).
        code: Position in ``names`` of each row, shape (n,).
    """
    order = np.argsort(code, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(code, minlength=len(names)))[:-1])
    return dict(zip(names, groups, strict=True))


def _as_numbers(values: pd.Series[str]) -> NDArray[np.float64] | None:
    """Parse the values as numbers; None unless all are finite numbers."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _too_many_texts(values: pd.Series[str]) -> bool:
    return values.nunique() > MAX_TEXTS and _as_numbers(values) is None
