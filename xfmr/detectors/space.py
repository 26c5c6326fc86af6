"""Two distances from a sensor's healthy records in whitened values: to the nearest ones, and from their mean."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xfmr.history.folds import time_folds
from xfmr.normal import Rows, SensorKey
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
        ids: Record ids, shape (m,).
        places: Positions of each sensor's records.
        means: Mean of each sensor in the order of ``places``, then the fleet's: (sensors + 1, d).
    """

    values: NDArray[np.float32]
    ids: NDArray[np.int64]
    places: dict[SensorKey, NDArray[np.int64]]
    means: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.float32], rows: Rows) -> HealthySpace:
        """Make a space of whitened records."""
        places = rows.by_sensor()
        return cls(values, rows.ids, places, sensor_means(values, rows, list(places)))

    def distances(self, values: NDArray[np.float32], rows: Rows) -> Distances:
        """Measure records against those of their sensor, or against the fleet if the sensor has too few.

        Args:
            values: Whitened values, shape (n, d).
            rows: Their rows: neither a record nor a copy of it is its own neighbour.
        """
        near = np.zeros(len(values))
        for asked, bank in self._banks(rows):
            squared = mean_squared_distance(values[asked], rows.ids[asked], self.values[bank], self.ids[bank])
            near[asked] = np.sqrt(squared)
        means = self.means[rows.places_in(tuple(self.places))]
        far = np.sqrt(np.square(values - means).sum(axis=1)).astype(np.float64)
        return near, far

    def _banks(self, rows: Rows) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Pair the positions of the records to measure with those of the records they are measured against."""
        known = {sensor: own for sensor, own in self.places.items() if len(own) > NEIGHBOURS}
        asked = {sensor: own for sensor, own in rows.by_sensor().items() if sensor in known}
        unknown = np.flatnonzero(rows.places_in(tuple(known)) == len(known))
        return [*((own, known[sensor]) for sensor, own in asked.items()), (unknown, self._fleet)]

    @cached_property
    def _fleet(self) -> NDArray[np.int64]:
        return thinned(np.arange(len(self.values)))


def out_of_fold_distances(values: NDArray[np.float32], rows: Rows, *, most: int) -> Distances:
    """Measure each record against a space without its fold of the history.

    Args:
        values: Standardised values, shape (n, d).
        rows: Their rows, in order of time within each sensor.
        most: Most records of a sensor in such a space, as many as in the space that new records are measured against.
    """
    fold = time_folds(rows, _FOLDS)
    near, far = np.zeros(len(values)), np.zeros(len(values))
    for turn in np.unique(fold) if len(np.unique(fold)) > 1 else ():
        seen, unseen = np.flatnonzero(fold != turn), np.flatnonzero(fold == turn)
        white = whitener(values[seen], rows[seen])
        kept = seen[np.sort(np.concatenate([thinned(own, most) for own in rows[seen].by_sensor().values()]))]
        space = HealthySpace.of(values[kept] @ white, rows[kept])
        near[unseen], far[unseen] = space.distances(values[unseen] @ white, rows[unseen])
    return near, far
