"""The history that stage one learns from: unlabelled, without dead sensors, without any record held out for a test.

Nothing here, and nothing that calls it, takes a label: records that validation and test will use arrive as bare
identifiers to strike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xfmr.errors import XfmrError
from xfmr.normal.cleaning import clean
from xfmr.normal.daytime import Times
from xfmr.normal.standardise import SensorKey, Standardiser
from xfmr.rows.feature_set import FeatureSet
from xfmr.schema import IDENTITY_COLUMNS, SENSOR_COLUMNS, RecordIds, fixed_size_column, to_numpy
from xfmr.views.hum import HARMONIC_COLUMNS, HumView
from xfmr.views.inputs import ModelInputs
from xfmr.views.knocks import knock_ratio
from xfmr.views.views import View, spectra

ReadGroup = Callable[[str], pa.Table]
EachGroup = Callable[[ReadGroup, Sequence[str]], Iterable[pa.Table]]
"""Reads each group of a run, one after another as :class:`map` does or on a cluster, and gives them in any order."""


@dataclass(frozen=True)
class History:
    """Values to learn from, ordered by sensor and time whatever the grouping of the archive.

    Args:
        values: What :meth:`xfmr.views.views.View.read` gives, n rows.
        rows: Each row's identity, :data:`xfmr.schema.IDENTITY_COLUMNS`.
    """

    values: NDArray[Any]
    rows: pd.DataFrame

    @property
    def keys(self) -> list[SensorKey]:
        """Each row's sensor."""
        return list(zip(self.rows["fleet"], self.rows["sensor_id"], strict=True))

    @property
    def times(self) -> Times:
        """Each row's time in UTC, shape (n,)."""
        return self.rows["data_time"].to_numpy("datetime64[us]")

    @property
    def record_ids(self) -> RecordIds:
        """Each row's record, shape (n,)."""
        return self.rows["record_id"].to_numpy(dtype=np.int64)

    def only(self, kept: NDArray[np.bool_]) -> History:
        """Return the rows that are kept."""
        return History(self.values[kept], self.rows[kept].reset_index(drop=True))


@dataclass(frozen=True)
class CleanHistory:
    """What stage one learns from, and what it found on the way there.

    Args:
        history: The records to learn from.
        standardiser: The sensors' statistics over all records, of level-free log spectra.
        set_aside: The records too far from the others of their sensor, with their ``distance``.
    """

    history: History
    standardiser: Standardiser
    set_aside: pd.DataFrame

    def digest(self) -> str:
        """Return a short hash of which records of which sensors and times these are, those set aside included."""
        parts = [_hashes(rows).tobytes() for rows in (self.history.rows, self.set_aside)]
        return hashlib.blake2b(b"|".join(parts), digest_size=8).hexdigest()


@dataclass(frozen=True)
class ViewedHistory(CleanHistory):
    """A clean history as a branch's networks look at it.

    Args:
        inputs: How its values are scaled, learned of all records: on the gearbox recordings Deep SVDD's AUC was 0.933
            so, and 0.907 where those set aside had no part in it.
    """

    inputs: ModelInputs


def load_clean_history(
    features: FeatureSet, view: View, *, struck: RecordIds, max_records: int, each: EachGroup = map
) -> ViewedHistory:
    """Read the records of a run that stage one may learn from, cleaned by their log spectra.

    Args:
        features: The run's features.
        view: What to read of them.
        struck: Records that must not be trained on, under whatever sensor or time a copy of them stands.
        max_records: The most to keep; of more, every sensor keeps as many, chosen by their ids.
        each: How groups are read.

    Raises:
        XfmrError: Where nothing is left.
    """
    chosen = _chosen(features, struck, max_records)
    known = _read(GroupReader(features, ("log_spectrum",), spectra, chosen), each)
    standardiser = Standardiser.fit(known.values, known.keys)
    kept, distance = clean(standardiser.apply(known.values, known.keys), known.keys, known.times)
    seen = GroupReader(features, tuple(view.columns), view.read, chosen)
    viewed = known if view.branch == "spectrum" else _read(seen, each)
    inputs = ModelInputs.fit(view, viewed.values, viewed.keys)
    return ViewedHistory(viewed.only(kept), standardiser, known.rows.assign(distance=distance)[~kept], inputs)


def load_bank_history(
    features: FeatureSet, views: Sequence[HumView], *, struck: RecordIds, max_records: int, each: EachGroup = map
) -> CleanHistory:
    """Read what a bank may hold, cleaned by the first of its views.

    Args:
        features: The run's features.
        views: What the bank sees of a record.
        struck: Records that must not be learned from.
        max_records: The most to keep, chosen as :func:`load_clean_history` does.
        each: How groups are read.

    Returns:
        :func:`bank_values`, and the standardiser of the first view's level-free values.

    Raises:
        XfmrError: Where nothing is left.
    """
    chosen = _chosen(features, struck, max_records)
    values_of = partial(bank_values, views=views)
    history = _read(GroupReader(features, tuple(HARMONIC_COLUMNS), values_of, chosen), each)
    return clean_by_view(history, views[0])


def bank_values(table: pa.Table, views: Sequence[HumView]) -> NDArray[np.float64]:
    """Read what a bank knows of records: the values of its views side by side, and how loud a knock is in them."""
    return np.hstack([*(view.values(table) for view in views), knock_ratio(to_numpy(table, "zerone"))[:, None]])


def clean_by_view(history: History, view: HumView) -> CleanHistory:
    """Set the records aside that are unlike their sensor's rest by one view, whose values come first."""
    free = view.level_free(history.values[:, : view.width])
    standardiser = Standardiser.fit(free, history.keys)
    kept, distance = clean(standardiser.apply(free, history.keys), history.keys, history.times)
    return CleanHistory(history.only(kept), standardiser, history.rows.assign(distance=distance)[~kept])


@dataclass(frozen=True)
class GroupReader:
    """Reads the chosen records of one group after another; dead sensors are left out.

    Args:
        features: The run's features.
        columns: What the values are made of.
        values_of: Makes them of the rows of a features table, (n, ...) of any type.
        chosen: Ids of the records.
    """

    features: FeatureSet
    columns: tuple[str, ...]
    values_of: Callable[[pa.Table], NDArray[Any]]
    chosen: pa.Array

    def __call__(self, group: str) -> pa.Table:
        """Return the records' identities and, as bytes, their ``values``."""
        table = self.features.read(group, [*self.columns, "flat"])
        wanted = pc.and_(pc.is_in(table["record_id"], value_set=self.chosen), pc.invert(table["flat"]))
        part = table.filter(wanted)
        values = np.ascontiguousarray(self.values_of(part))
        width = values.dtype.itemsize * int(np.prod(values.shape[1:]))
        row_bytes = values.view(np.uint8).reshape(len(part), width)
        return part.select(IDENTITY_COLUMNS).append_column("values", fixed_size_column(row_bytes))

    def values(self, table: pa.Table) -> NDArray[Any]:
        """Return the values of what was read, in memory of their own."""
        return to_numpy(table, "values").view(self._none.dtype).reshape(len(table), *self._none.shape)

    @cached_property
    def _none(self) -> NDArray[Any]:
        """The values of a record, without a meaning: their type and shape."""
        nothing = self.values_of(self.features.read(self.features.groups[0], self.columns).slice(0, 0))
        return np.empty(nothing.shape[1:], nothing.dtype)


def _hashes(rows: pd.DataFrame) -> NDArray[np.uint64]:
    return np.asarray(pd.util.hash_pandas_object(rows[IDENTITY_COLUMNS], index=False), np.uint64)


def _read(reader: GroupReader, each: EachGroup) -> History:
    """Read the chosen records of all groups, in order of sensor and time."""
    values, rows = [], []
    for table in each(reader, reader.features.groups):
        values.append(reader.values(table))
        rows.append(table.select(IDENTITY_COLUMNS).to_pandas())
    ordered = pd.concat(rows, ignore_index=True).sort_values(IDENTITY_COLUMNS)
    return History(np.concatenate(values)[ordered.index], ordered.reset_index(drop=True))


def _chosen(features: FeatureSet, struck: RecordIds, max_records: int) -> pa.Array:
    """Return the record ids to learn from."""
    tables = [table.filter(pc.invert(table["flat"])) for table in features.tables(["flat"])]
    rows = pa.concat_tables(tables).select([*SENSOR_COLUMNS, "record_id"]).to_pandas()
    usable = rows[~rows["record_id"].isin(struck)]
    chosen = _shared_out(usable, max_records)
    if len(chosen) < 2:
        raise XfmrError(
            f"{features.store.path()} holds {len(chosen)} usable records to learn from (dead sensors and records "
            "held out for validation and test do not count): give a larger archive"
        )
    return pa.array(chosen)


def _shared_out(rows: pd.DataFrame, size: int) -> RecordIds:
    """Choose records so that a sensor has all its own or as many as any other: those with the smallest ids.

    Ids are hashes, so these are as good as random, whatever the grouping, and growing archives change few of them.
    """
    order = rows.assign(order=rows["record_id"].to_numpy().view(np.uint64)).sort_values("order")
    turn = order.groupby(SENSOR_COLUMNS).cumcount()
    ids: RecordIds = order["record_id"].to_numpy()[np.argsort(turn, kind="stable")]
    return pd.unique(ids)[:size]
