"""Fault episodes of a fleet: type, unit and sensor, start and end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xfmr.synth.faults import FAULT_TYPES, SENSOR_FAULTS
from xfmr.synth.spec import FleetSpec, Stream, epoch_minute

FIRST_SEVERITY = 0.2


@dataclass(frozen=True)
class Fault:
    """A fault at one time.

    Attributes:
        fault_type: One of `FAULT_TYPES`.
        severity: In (0, 1]; about 0.2 is subtle, 1 is obvious.
        sensor: The sensor of a sensor fault; unused for the faults of a whole unit.
    """

    fault_type: str
    severity: float
    sensor: int = 0

    def __post_init__(self) -> None:
        if self.fault_type not in FAULT_TYPES:
            raise ValueError(f"fault_type must be one of {', '.join(FAULT_TYPES)}, not {self.fault_type!r}")
        if not 0 < self.severity <= 1:
            raise ValueError(f"severity must lie in (0, 1], not {self.severity!r}")

    @property
    def strength(self) -> float:
        """Factor on the effects of the fault: the severity squared."""
        return self.severity**2

    def affects(self, sensor: int) -> bool:
        """Return whether this sensor of the unit shows the fault."""
        return self.fault_type not in SENSOR_FAULTS or sensor == self.sensor


@dataclass(frozen=True)
class Episode:
    """A fault that begins, grows and is repaired: `n_times` consecutive moments of one unit."""

    unit: int
    fault_type: str
    sensor: int
    first_time: int
    n_times: int
    peak_severity: float

    def fault(self, time_index: int) -> Fault | None:
        """Return the fault at one time, or None before and after the episode.

        Severity grows linearly from 0.2 to the peak; a dead sensor is dead from the first record on.
        """
        step = time_index - self.first_time
        if not 0 <= step < self.n_times:
            return None
        progress = step / (self.n_times - 1) if self.n_times > 1 else 1.0
        if self.fault_type == "dead_sensor":
            progress = 1.0
        severity = FIRST_SEVERITY + (self.peak_severity - FIRST_SEVERITY) * progress
        return Fault(self.fault_type, severity, self.sensor)


def plan_episodes(spec: FleetSpec) -> dict[int, Episode]:
    """Draw the fleet's faults.

    The fault types are assigned to the faulty units in turn, one each, all for about the same number of times.

    Returns:
        Episodes by unit. Their records are `fault_share` of all records, to within one moment of one unit.
    """
    target = round(spec.fault_share * spec.n_records)
    n_faulty = math.ceil(spec.faulty_unit_share * spec.n_units) if target else 0
    rng = spec.random(Stream.PLAN, epoch_minute(spec.recorded_at(0)))
    units = rng.permutation(spec.n_units)[:n_faulty].tolist()
    types = [FAULT_TYPES[i % len(FAULT_TYPES)] for i in range(n_faulty)]
    widths = [1 if fault_type in SENSOR_FAULTS else spec.sensors_per_unit for fault_type in types]
    episodes = {}
    for unit, fault_type, length in zip(units, types, _share_out(target, widths), strict=True):
        first_time = int(rng.integers(spec.n_times - length + 1))
        sensor = int(rng.integers(spec.sensors_per_unit))
        peak = 1.0 if fault_type == "dead_sensor" else float(rng.uniform(0.6, 1.0))
        if length:
            episodes[unit] = Episode(unit, fault_type, sensor, first_time, length, peak)
    return episodes


def _share_out(target: int, widths: Sequence[int]) -> list[int]:
    """Return lengths for episodes of the given widths, as equal as possible, with sum(length * width) near target."""
    if not widths:
        return []
    length, left = divmod(target, sum(widths))
    lengths = []
    for width in widths:
        extra = width <= left
        left -= width * extra
        lengths.append(length + extra)
    return lengths
