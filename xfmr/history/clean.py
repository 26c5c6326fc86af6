"""A cleaned history: the records that stage one learns from, and those that cleaning set aside.

No label is passed to this folder. Records that must not be learned from, such as those held out for a test, arrive as
bare ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.history.reading import EachGroup, GroupReader, choose_records, read_history
from xfmr.normal import Rows, Standardiser
from xfmr.normal.cleaning import clean
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, RecordIds, to_numpy
from xfmr.views.hum import HARMONIC_COLUMNS, HumView
from xfmr.views.knocks import knock_ratio


@dataclass(frozen=True)
class History:
    """Records to learn from, in order of sensor and time.

    Args:
        values: Shape (n, ...).
        rows: Their rows.
        set_aside: The records that are unlike the rest of their sensor, with their ``distance``.
    """

    values: NDArray[Any]
    rows: Rows
    set_aside: pd.DataFrame

    @property
    def digest(self) -> str:
        """Short hash of the identities of all records, those set aside included."""
        hashes = [_hashes(frame).tobytes() for frame in (self.rows.frame(), self.set_aside)]
        return hashlib.blake2b(b"|".join(hashes), digest_size=8).hexdigest()


def clean_history(values: NDArray[Any], rows: Rows, spectra: NDArray[np.float32]) -> History:
    """Set aside the records that are unlike the rest of their sensor.

    Args:
        values: The values to learn from, shape (n, ...).
        rows: Their rows.
        spectra: The records' level-free spectra, by which they are compared, shape (n, d).
    """
    kept, distance = clean(Standardiser.fit(spectra, rows).apply(spectra, rows), rows)
    set_aside = rows[~kept].frame().assign(distance=distance[~kept])
    return History(values[kept], rows[kept], set_aside)


def load_bank_history(
    features: FeatureSet, views: Sequence[HumView], *, struck: RecordIds, max_records: int, each: EachGroup = map
) -> History:
    """Read the records that a bank may hold, cleaned by the first of its views.

    Args:
        features: The run's features.
        views: The bank's views of a record.
        struck: Ids of records that must not be learned from.
        max_records: Largest number of records to keep, see :func:`~xfmr.history.reading.choose_records`.
        each: Reads the groups.

    Returns:
        A history whose values are :func:`bank_values`.

    Raises:
        XfmrError: If no record is left.
    """
    chosen = choose_records(features, struck=struck, max_records=max_records)
    reader = GroupReader(features, tuple(HARMONIC_COLUMNS), partial(bank_values, views=views), chosen)
    return clean_bank_history(*read_history(reader, each), views[0])


def bank_values(table: pa.Table, views: Sequence[HumView]) -> NDArray[np.float64]:
    """Read the values that a bank learns from: its views side by side, then the knock ratio, (n, widths + 1)."""
    return np.hstack([*(view.values(table) for view in views), knock_ratio(to_numpy(table, "zerone"))[:, None]])


def clean_bank_history(values: NDArray[np.float64], rows: Rows, view: HumView) -> History:
    """Clean :func:`bank_values` by their first view."""
    return clean_history(values, rows, view.level_free(values[:, : view.width]))


def _hashes(identities: pd.DataFrame) -> NDArray[np.uint64]:
    return np.asarray(pd.util.hash_pandas_object(identities[IDENTITY_COLUMNS], index=False), np.uint64)
