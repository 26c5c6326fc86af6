"""Two distances from a sensor's healthy records, in whitened values: to its nearest, and from its mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xfmr.history.folds import time_folds
from xfmr.normal import SensorKey, rows_by_key, statistics_rows
from xfmr.normal.neighbours import NEIGHBOURS, mean_squared_distance, thinned
from xfmr.normal.whitening import sensor_means, whitener

_FOLDS = 5

Distances = tuple[NDArray[np.float64], NDArray[np.float64]]
"""To the neighbours and from the mean, each of shape (n,)."""


@dataclass(frozen=True)
class HealthySpace:
    """Healthy records in whitened values, by sensor.

    Args:
        values: Shape (m, d).
        ids: The records' identities, shape (m,).
        rows: Of each sensor among them.
        means: Mean of each sensor in the order of ``rows``, then the fleet's: (sensors + 1, d).
    """

    values: NDArray[np.float32]
    ids: NDArray[np.int64]
    rows: dict[SensorKey, NDArray[np.int64]]
    means: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.float32], ids: NDArray[np.int64], keys: Sequence[SensorKey]) -> HealthySpace:
        """Take records as they are, each with its identity and its sensor."""
        rows = rows_by_key(keys)
        return cls(values, ids, rows, sensor_means(values, keys, list(rows)))

    def distances(self, values: NDArray[np.float32], ids: NDArray[np.int64], keys: Sequence[SensorKey]) -> Distances:
        """Measure records against those of their sensor; of a sensor hardly known, against the fleet.

        Args:
            values: Whitened values, shape (n, d).
            ids: Identities: a record is not its own neighbour, nor is a copy of it.
            keys: Each row's sensor.
        """
        near = np.zeros(len(values))
        for sensor, rows in rows_by_key([key if self._is_known(key) else None for key in keys]).items():
            bank = self._fleet if sensor is None else self.rows[sensor]
            near[rows] = np.sqrt(mean_squared_distance(values[rows], ids[rows], self.values[bank], self.ids[bank]))
        means = self.means[statistics_rows(tuple(self.rows), keys)]
        far = np.sqrt(np.square(values - means).sum(axis=1)).astype(np.float64)
        return near, far

    def _is_known(self, sensor: SensorKey) -> bool:
        return len(self.rows.get(sensor, ())) > NEIGHBOURS

    @cached_property
    def _fleet(self) -> NDArray[np.int64]:
        return thinned(np.arange(len(self.values)))


def held_out_distances(
    values: NDArray[np.float32], ids: NDArray[np.int64], keys: Sequence[SensorKey], *, most: int
) -> Distances:
    """Measure each record against a space made without its part of the history.

    Args:
        values: Standardised values, in order of time within each sensor, shape (n, d).
        ids: Record ids, shape (n,).
        keys: Each row's sensor.
        most: Records of a sensor that such a space holds, as many as the one that new records are measured against.
    """
    fold = time_folds(keys, ids, _FOLDS)
    near, far = np.zeros(len(values)), np.zeros(len(values))
    for turn in np.unique(fold) if len(np.unique(fold)) > 1 else ():
        seen, unseen = np.flatnonzero(fold != turn), np.flatnonzero(fold == turn)
        known, asked = ([keys[int(row)] for row in rows] for rows in (seen, unseen))
        white = whitener(values[seen], known)
        held = np.sort(np.concatenate([thinned(rows, most) for rows in rows_by_key(known).values()]))
        space = HealthySpace.of(values[seen[held]] @ white, ids[seen[held]], [known[row] for row in held])
        near[unseen], far[unseen] = space.distances(values[unseen] @ white, ids[unseen], asked)
    return near, far
