"""Reading a history: the values of the chosen records of a run, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.normal import Rows
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, SENSOR_COLUMNS, RecordIds, fixed_size_column, to_numpy

ReadGroup = Callable[[str], pa.Table]
EachGroup = Callable[[ReadGroup, Sequence[str]], Iterable[pa.Table]]
"""Reads each group of a run, one after another as :class:`map` does or on a cluster, and yields them in any order."""

# Not by unit: names of units may hold words such as a label, and the order of a history decides which records a
# network sees together.
_ORDER = [name for name in IDENTITY_COLUMNS if name != "unit"]


@dataclass(frozen=True)
class GroupReader:
    """Reads the chosen records of one group after another, without dead sensors.

    Args:
        features: The run's features.
        columns: The feature columns that the values are computed from.
        values_of: Computes values from the rows of a features table: (n, ...) of any dtype.
        chosen: Ids of the records to read.
    """

    features: FeatureSet
    columns: tuple[str, ...]
    values_of: Callable[[pa.Table], NDArray[Any]]
    chosen: pa.Array

    def __call__(self, group: str) -> pa.Table:
        """Return the records' identities and their ``values`` as bytes."""
        table = self.features.read(group, [*self.columns, "flat"])
        wanted = pc.and_(pc.is_in(table["record_id"], value_set=self.chosen), pc.invert(table["flat"]))
        records = table.filter(wanted)
        values = np.ascontiguousarray(self.values_of(records))
        width = values.dtype.itemsize * int(np.prod(values.shape[1:]))
        row_bytes = values.view(np.uint8).reshape(len(records), width)
        return records.select(IDENTITY_COLUMNS).append_column("values", fixed_size_column(row_bytes))

    def values(self, table: pa.Table) -> NDArray[Any]:
        """Return a copy of the values in a table that this reader returned."""
        return to_numpy(table, "values").view(self._form.dtype).reshape(len(table), *self._form.shape)

    @cached_property
    def _form(self) -> NDArray[Any]:
        """Dtype and shape of one record's values, as an uninitialised array."""
        empty = self.values_of(self.features.read(self.features.groups[0], self.columns).slice(0, 0))
        return np.empty(empty.shape[1:], empty.dtype)


def read_history(reader: GroupReader, each: EachGroup) -> tuple[NDArray[Any], Rows]:
    """Read the chosen records of all groups.

    Returns:
        Values, shape (n, ...), and their rows, in an order that depends neither on the grouping of the archive nor
        on the names of units.
    """
    values, identities = [], []
    for table in each(reader, reader.features.groups):
        values.append(reader.values(table))
        identities.append(table.select(IDENTITY_COLUMNS).to_pandas())
    ordered = pd.concat(identities, ignore_index=True).sort_values(_ORDER)
    return np.concatenate(values)[ordered.index], Rows.of(ordered)


def choose_records(features: FeatureSet, *, struck: RecordIds, max_records: int) -> pa.Array:
    """Choose the records of a run to learn from.

    Args:
        features: The run's features.
        struck: Ids of records that must not be learned from, nor any copy of them under another sensor or time.
        max_records: Largest number of records to choose; if there are more, every sensor keeps the same number.

    Returns:
        Record ids.

    Raises:
        XfmrError: If fewer than two records are left.
    """
    tables = [table.filter(pc.invert(table["flat"])) for table in features.tables(["flat"])]
    records = pa.concat_tables(tables).select([*SENSOR_COLUMNS, "record_id"]).to_pandas()
    chosen = _shared_out(records[~records["record_id"].isin(struck)], max_records)
    if len(chosen) < 2:
        raise XfmrError(
            f"{features.store.path()} holds {len(chosen)} usable records to learn from (dead sensors and records "
            "held out for validation and test do not count): give a larger archive"
        )
    return pa.array(chosen)


def _shared_out(records: pd.DataFrame, size: int) -> RecordIds:
    """Choose the records with the smallest ids, the same number for each sensor or all that it has.

    Ids are hashes, so the choice is effectively random, does not depend on the grouping, and changes little when an
    archive grows.
    """
    order = records.assign(order=records["record_id"].to_numpy().view(np.uint64)).sort_values("order")
    turn = order.groupby(SENSOR_COLUMNS).cumcount()
    ids: RecordIds = order["record_id"].to_numpy()[np.argsort(turn, kind="stable")]
    return pd.unique(ids)[:size]
