"""Cleaning of a history: which of its records should not be learned from."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xfmr.normal.daytime import DailyProfile
from xfmr.normal.neighbours import NEIGHBOURS, mean_squared_distance, thinned
from xfmr.normal.rows import Rows
from xfmr.normal.standardise import MIN_HISTORY
from xfmr.normal.whitening import whitener

# Share of the records that is set aside, and the number of rounds. Two rounds on plain values raised Deep SVDD's AUC
# from 0.66 to 0.83 on a synthetic fleet with 5.6 % faults, and from 0.89 to 0.94 on the gearbox recordings.
CLEANING_SHARE = 0.10
PLAIN_ROUNDS = 2
WHITENED_ROUNDS = 2
# Share of a sensor's records that count as its nearest. A fault that lasts for 64 records has its five nearest
# neighbours among itself: on a synthetic fleet with such faults 55 % of them were found with five, 84 % with this
# share.
NEAR_SHARE = 0.15
_TINY = 1e-12


def clean(values: NDArray[np.float32], rows: Rows) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Find the records of a history that are too far from its other records to be learned from.

    A model learns the faults in its history as normal. So every record is scored by its distance to the nearest
    records of its sensor, itself excluded; the top 10 % are removed from these neighbours and all records are scored
    again: twice on the plain values, and twice on values whitened by the records that remain. A sensor with
    little history, or with few records left, is measured against the fleet.

    A distance that is usual for the sensor at that hour counts only by the factor in which it exceeds the usual one.
    Otherwise the evening's load and fans would be removed: on three synthetic fleets of four days 64 % of the records
    with fans on were kept without this and 82 % with it, and as many faults were set aside.

    Args:
        values: Standardised values, shape (n, d).
        rows: Their rows.

    Returns:
        Which records to learn from, bool (n,), and each record's last distance, float32 (n,).
    """
    kept = np.ones(len(values), dtype=bool)
    distance = np.zeros(len(values), dtype=np.float32)
    for turn in range(PLAIN_ROUNDS + WHITENED_ROUNDS):
        space = values if turn < PLAIN_ROUNDS else values @ whitener(values[kept], rows[kept])
        distance = _beyond_usual(_distances(space, rows, kept), rows)
        kept = distance <= np.quantile(distance, 1 - CLEANING_SHARE)
    return kept, distance


def _beyond_usual(distance: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """Divide each distance by the usual ratio of its hour's distances to those of the day around it."""
    logs = np.log(np.maximum(distance, _TINY))
    beyond: NDArray[np.float32] = distance * np.exp(-DailyProfile.fit(logs, rows).apply(rows))
    return beyond


def _distances(values: NDArray[np.float32], rows: Rows, kept: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measure each record against the kept ones of its sensor, or of the fleet."""
    distance = np.zeros(len(values), dtype=np.float32)
    fleet = thinned(np.flatnonzero(kept))
    for place in rows.by_sensor().values():
        own = place[kept[place]] if len(place) >= MIN_HISTORY else place[:0]
        bank = thinned(own) if len(own) > NEIGHBOURS else fleet
        k = max(NEIGHBOURS, math.ceil(NEAR_SHARE * len(bank)))
        distance[place] = mean_squared_distance(values[place], place, values[bank], bank, k=k)
    return distance
