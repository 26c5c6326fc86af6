"""The record, sensor and time of each row of an array."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.schema import IDENTITY_COLUMNS, SENSOR_COLUMNS, RecordIds

SensorKey = tuple[str, str, str]
"""Fleet, unit and sensor id."""


@dataclass(frozen=True)
class Rows:
    """The identity of each row of an array of n records.

    Args:
        ids: Record ids, shape (n,).
        codes: Position of each row's sensor in ``sensors``, shape (n,).
        sensors: The sensors of these rows in ascending order.
        times: In UTC, shape (n,); NaT if they do not matter.
    """

    ids: RecordIds
    codes: NDArray[np.int64]
    sensors: tuple[SensorKey, ...]
    times: NDArray[np.datetime64]

    @classmethod
    def of(cls, table: pa.Table | pd.DataFrame) -> Rows:
        """Read the identity columns of a table, :data:`xfmr.schema.IDENTITY_COLUMNS`."""
        frame = table if isinstance(table, pd.DataFrame) else table.select(IDENTITY_COLUMNS).to_pandas()
        codes, sensors = pd.MultiIndex.from_frame(frame[SENSOR_COLUMNS]).factorize(sort=True)
        times = frame["data_time"].to_numpy("datetime64[us]")
        return cls(frame["record_id"].to_numpy(np.int64), codes.astype(np.int64), as_sensors(sensors), times)

    @classmethod
    def without_times(cls, ids: RecordIds, codes: NDArray[np.int64], sensors: tuple[SensorKey, ...]) -> Rows:
        """Make rows whose times do not matter."""
        return cls(ids, codes, sensors, np.full(len(ids), "NaT", "datetime64[us]"))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """Return the rows at some positions, or where a mask is True."""
        present, codes = np.unique(self.codes[chosen], return_inverse=True)
        return Rows(self.ids[chosen], codes, tuple(self.sensors[code] for code in present), self.times[chosen])

    def by_sensor(self) -> dict[SensorKey, NDArray[np.int64]]:
        """Return the positions of each sensor's rows, ascending, in the order of the sensors."""
        order = np.argsort(self.codes, kind="stable")
        starts = np.searchsorted(self.codes[order], np.arange(len(self.sensors)))
        return dict(zip(self.sensors, np.split(order, starts)[1:], strict=True))

    def places_in(self, sensors: Sequence[SensorKey]) -> NDArray[np.int64]:
        """Return the position of each row's sensor among the given sensors, ``len(sensors)`` if it is not there."""
        position = {sensor: place for place, sensor in enumerate(sensors)}
        places = np.array([position.get(sensor, len(sensors)) for sensor in self.sensors], np.int64)
        return places[self.codes]

    def find_in(self, ids: RecordIds) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look the rows up by their record ids.

        Args:
            ids: Record ids to look in, ascending, at least one, shape (m,).

        Returns:
            The position of each row in ``ids``, (n,), and whether it is there, (n,); if not, the position is any.
        """
        places = np.searchsorted(ids, self.ids).clip(max=len(ids) - 1)
        return places, ids[places] == self.ids

    def frame(self) -> pd.DataFrame:
        """Return the identity columns as a table."""
        names = np.array(self.sensors, object).reshape(-1, len(SENSOR_COLUMNS))[self.codes]
        times = pd.Series(self.times).dt.tz_localize("UTC")
        columns = [*names.T, times, self.ids]
        return pd.DataFrame(dict(zip(IDENTITY_COLUMNS, columns, strict=True)))


def as_sensors(keys: Iterable[Sequence[str]]) -> tuple[SensorKey, ...]:
    """Return sensors as tuples, from the lists that a model's header holds.

    Raises:
        KeyError: If one has no unit, as in models of an earlier version.
    """
    sensors = [tuple(map(str, key)) for key in keys]
    if any(len(sensor) != len(SENSOR_COLUMNS) for sensor in sensors):
        raise KeyError("unit")
    return tuple((fleet, unit, sensor_id) for fleet, unit, sensor_id in sensors)
