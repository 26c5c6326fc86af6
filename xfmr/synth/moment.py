"""One unit at one time: its operating point, and the building blocks of its vibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xfmr.synth.spec import FleetSpec, Stream, epoch_minute
from xfmr.synth.transformer import N_MAINS_ORDERS, Complex, Float, Transformer, transformer


@dataclass(frozen=True)
class OperatingPoint:
    """Operating point of a unit during one record; load and voltage are shares of the rated ones."""

    load: float
    voltage: float
    oil_celsius: float
    fans_on: bool
    mains_hz: float
    mains_phase: float
    tap_changes: bool


def daily_load(hour: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Return the load of a residential feeder through the day, as a share of the rated load.

    The base is 0.42, with a shoulder in the morning (9:30) and a peak of about 0.9 in the evening (19:30).

    Args:
        hour: Hour of the day, any shape; taken modulo 24.
    """
    morning = 0.14 * np.exp(-((_hours_apart(hour, 9.5) / 2.6) ** 2))
    evening = 0.48 * np.exp(-((_hours_apart(hour, 19.5) / 2.8) ** 2))
    return 0.42 + morning + evening


def _hours_apart(hour: NDArray[np.float64] | float, centre: float) -> NDArray[np.float64]:
    return (np.asarray(hour, dtype=np.float64) - centre + 12) % 24 - 12


def operating_point(spec: FleetSpec, unit: int, time_index: int) -> OperatingPoint:
    """Return the operating point of one unit at one time: the load follows the hour, the rest follows the load.

    The oil warms with the mean of load squared over the previous four hours (copper loss and thermal inertia), the
    voltage sags under load, and the mains frequency varies by up to 0.02 Hz.
    """
    machine = transformer(spec, unit)
    moment = spec.recorded_at(time_index)
    day = spec.random(Stream.DAY, unit, moment.toordinal()).uniform(0.94, 1.06)
    rng = spec.random(Stream.OPERATION, unit, epoch_minute(moment))
    hour = moment.hour + moment.minute / 60
    recent = daily_load(hour - machine.load_delay_hours - np.arange(0, 4, 0.5))
    recent *= machine.load_level * day * spec.load_scale
    load = float(recent[0] * rng.uniform(0.97, 1.03))
    ambient_celsius = 24 + 6 * np.cos(2 * np.pi * (hour - 15) / 24)
    oil_celsius = float(ambient_celsius + 38 * np.mean(recent**2))
    return OperatingPoint(
        load=load,
        voltage=float(1.02 - 0.03 * load + rng.uniform(-0.01, 0.01)),
        oil_celsius=oil_celsius,
        fans_on=oil_celsius > machine.fan_on_celsius,
        mains_hz=spec.mains_hz + float(rng.uniform(-0.02, 0.02)),
        mains_phase=float(rng.uniform(0, 2 * np.pi)),
        tap_changes=bool(rng.random() < 0.03),
    )


@dataclass(frozen=True)
class Moment:
    """One unit at one time, with the data from which its vibration is computed."""

    spec: FleetSpec
    unit: int
    time_index: int

    @cached_property
    def machine(self) -> Transformer:
        """The unit."""
        return transformer(self.spec, self.unit)

    @cached_property
    def point(self) -> OperatingPoint:
        """The unit's operating point."""
        return operating_point(self.spec, self.unit, self.time_index)

    @cached_property
    def mains_lines(self) -> Complex:
        """Unit phasors exp(i k (2 pi f t + phase)) of the mains orders k = 1.., shape (orders, n_samples).

        Computed by doubling (orders m+1..2m are the first m times order m), which is far cheaper than the sines.
        """
        angle = 2 * np.pi * self.point.mains_hz * self.spec.seconds() + self.point.mains_phase
        lines = np.empty((N_MAINS_ORDERS, self.spec.n_samples), dtype=np.complex64)
        lines[0] = np.exp(1j * angle)
        done = 1
        while done < N_MAINS_ORDERS:
            more = min(done, N_MAINS_ORDERS - done)
            np.multiply(lines[:more], lines[done - 1], out=lines[done : done + more])
            done += more
        return lines

    def random(self, stream: Stream, *keys: int) -> np.random.Generator:
        """Return the generator of a stream for this moment only."""
        minute = epoch_minute(self.spec.recorded_at(self.time_index))
        return self.spec.random(stream, self.unit, minute, *keys)

    def hum(self, phasors: NDArray[np.complexfloating]) -> Float:
        """Sum the mains orders with the given phasors, (sensors, orders): shape (sensors, n_samples)."""
        lines = self.mains_lines
        real, imaginary = phasors.real.astype(np.float32), phasors.imag.astype(np.float32)
        return real @ lines.real - imaginary @ lines.imag

    def half_cycles(self, *, phase: float) -> NDArray[np.float64]:
        """Return the times in the record, in seconds, at which the mains phase is `phase` or half a turn more."""
        duration = self.spec.n_samples / self.spec.sample_rate_hz
        first = np.ceil((self.point.mains_phase - phase) / np.pi)
        half_turns = first + np.arange(int(2 * self.point.mains_hz * duration) + 1)
        angle = phase + np.pi * half_turns - self.point.mains_phase
        return np.asarray(angle / (2 * np.pi * self.point.mains_hz))


def damped_sine(spec: FleetSpec, frequency_hz: float, decay_seconds: float) -> Float:
    """Return a mode's response to a blow, exp(-t / decay) sin(2 pi f t), until it has fallen to 0.2 %."""
    seconds = np.arange(int(6 * decay_seconds * spec.sample_rate_hz) + 1) / spec.sample_rate_hz
    ringing = np.exp(-seconds / decay_seconds) * np.sin(2 * np.pi * frequency_hz * seconds)
    return ringing.astype(np.float32)


def strike(
    spec: FleetSpec, onset_seconds: NDArray[np.float64], strengths: NDArray[np.float64], ringing: Float
) -> Float:
    """Return the response to blows at the given times, each with the response `ringing`: shape (n_samples,).

    Blows outside the record are ignored.
    """
    at = np.round(onset_seconds * spec.sample_rate_hz).astype(np.int64)
    inside = (at >= 0) & (at < spec.n_samples)
    blows = np.bincount(at[inside], strengths[inside], minlength=spec.n_samples)
    # Zero-padding keeps the circular convolution from wrapping the last ringing round to the beginning.
    length = spec.n_samples + ringing.size
    response = np.fft.irfft(np.fft.rfft(blows, length) * np.fft.rfft(ringing, length), length)
    return response[: spec.n_samples].astype(np.float32)
