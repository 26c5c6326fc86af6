"""Specification of a synthetic fleet: its size, its clock and its random streams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

_EPOCH = date(1970, 1, 1)  # the keys of random streams count minutes from this day and must not be negative


class Stream(IntEnum):
    """Names of the independent random streams that one seed is split into."""

    UNIT = 0
    SENSOR = 1
    DAY = 2
    OPERATION = 3
    NOISE = 4
    WEATHER = 5
    FANS = 6
    TAP_CHANGE = 7
    FAULT = 8
    FAULT_PATTERN = 9
    PLAN = 10


@dataclass(frozen=True)
class FleetSpec:
    """A fleet and the period over which it was recorded.

    Two fleets with the same `seed` are the same transformers. A later `first_day` or a higher `load_scale` gives new
    records of them, which have only the machines in common.

    Attributes:
        n_units: Transformers in the fleet.
        sensors_per_unit: Sensors on each, recorded at the same times.
        n_times: Times at which each unit is recorded.
        minutes_between: Minutes from one of these times to the next.
        first_day: The day (UTC) at whose midnight the first record is taken.
        sample_rate_hz: Samples per second.
        n_samples: Samples per record.
        mains_hz: Nominal frequency of the grid.
        load_scale: Factor on every load; above 1 for a season with peaks that other seasons do not have.
        fault_share: Share of all records that carry a fault, at most half of `faulty_unit_share`, so that
            every faulty unit was also seen healthy.
        faulty_unit_share: Share of units, rounded up, to which these faults belong, one fault type each.
        seed: Seed of all random streams, not negative.

    Raises:
        ValueError: If a field is out of its range; the message begins with the field's name.
    """

    n_units: int = 8
    sensors_per_unit: int = 3
    n_times: int = 96
    minutes_between: int = 45
    first_day: date = date(2024, 6, 3)
    sample_rate_hz: float = 8192.0
    n_samples: int = 8192
    mains_hz: float = 50.0
    load_scale: float = 1.0
    fault_share: float = 0.05
    faulty_unit_share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n_units", "sensors_per_unit", "n_times", "minutes_between"):
            self._require(name, 1, math.inf)
        if self.first_day < _EPOCH:
            raise ValueError(f"first_day must not lie before {_EPOCH}, not {self.first_day}")
        minutes_left = 24 * 60 * ((date.max - self.first_day).days + 1) - 1  # the calendar ends with the year 9999
        self._require("n_times", 1, 1 + minutes_left // self.minutes_between)
        self._require("sample_rate_hz", 8000, math.inf)
        self._require("n_samples", 256, math.inf)
        self._require("mains_hz", 45, 65)
        self._require("load_scale", 0.1, 2.0)
        self._require("faulty_unit_share", 0, 1)
        self._require("fault_share", 0, self.faulty_unit_share / 2)
        self._require("seed", 0, math.inf)

    def _require(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must lie in {low:g}..{high:g}, not {value!r}")

    @property
    def n_records(self) -> int:
        """Records in the fleet's archive: one per unit, sensor and time."""
        return self.n_units * self.sensors_per_unit * self.n_times

    def sensor_id(self, unit: int, sensor: int) -> str:
        """Return the name of one sensor, such as `tr02-s1`; both numbers start at 1."""
        return f"{self.unit_name(unit)}-s{sensor + 1}"

    def unit_name(self, unit: int) -> str:
        """Return the name of one unit, such as `tr02`."""
        return f"tr{unit + 1:02d}"

    def recorded_at(self, time_index: int) -> datetime:
        """Return the time in UTC of the records with this index."""
        midnight = datetime.combine(self.first_day, time(), tzinfo=UTC)
        return midnight + timedelta(minutes=self.minutes_between * time_index)

    def seconds(self) -> NDArray[np.float64]:
        """Return the times of a record's samples in seconds from its first, shape (n_samples,)."""
        return np.arange(self.n_samples) / self.sample_rate_hz

    def random(self, stream: Stream, *keys: int) -> np.random.Generator:
        """Return the generator of one named stream, such as the noise of one unit, sensor and minute.

        Every record draws from its own streams, so that any record can be generated without the others.
        """
        return np.random.default_rng(np.random.SeedSequence((self.seed, stream, *keys)))


def epoch_minute(moment: datetime) -> int:
    """Return whole minutes since 1970: the key of a time in the random streams, independent of the first day."""
    return int(moment.timestamp()) // 60
