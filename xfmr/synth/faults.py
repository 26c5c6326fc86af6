"""Effect of each fault on the vibration.

A unit fault adds to the vibration of the healthy machine; a sensor fault changes that sensor's signal only.
`strength`, in (0, 1], is the severity squared. Properties of the unit (its mix of orders, its resonance) are drawn
from the unit's random stream and stay the same through an episode. Properties that vary from moment to moment are
drawn from the moment's stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xfmr.synth.moment import Moment, damped_sine, strike
from xfmr.synth.spec import FleetSpec, Stream
from xfmr.synth.transformer import MAINS_ORDER, Float

UnitFault = Callable[[Moment, float, np.random.Generator], Float]
SensorFault = Callable[[FleetSpec, Float, float, np.random.Generator], Float]

EVEN = MAINS_ORDER % 2 == 0


def winding_looseness(moment: Moment, strength: float, rng: np.random.Generator) -> Float:
    """Return the effect of slack clamping: more 100 Hz, harmonics to 1 kHz, sidebands half a mains frequency away.

    All of it scales with the load current squared. A slack winding lifts off in some cycles and not in others, which
    modulates its vibration at half the mains frequency and, slowly, at random.
    """
    pattern = _unit_pattern(moment)
    profile = np.where(EVEN & (MAINS_ORDER <= 20), 0.12, 0)
    phasors = _random_phasors(profile, moment.spec, pattern)
    # The slack winding moves in phase with the healthy one, so that the 100 Hz line rises at every sensor.
    phasors[:, 1] = 1.0
    phasors *= 2.5 * moment.machine.winding[:, 1:2]
    seconds, mains_hz = moment.spec.seconds(), moment.point.mains_hz
    slow_hz, slow_phase = rng.uniform(2, 6), rng.uniform(0, 2 * np.pi)
    modulation = 1 + 0.4 * np.cos(np.pi * mains_hz * seconds + moment.point.mains_phase / 2)
    modulation += 0.3 * np.cos(2 * np.pi * slow_hz * seconds + slow_phase)
    felt = strength * moment.point.load**2 * moment.machine.coupling[:, None]
    return felt * moment.hum(phasors) * modulation.astype(np.float32)


def core_looseness(moment: Moment, strength: float, rng: np.random.Generator) -> Float:
    """Return the effect of loose laminations: even harmonics from 300 Hz up, and a rattle every half mains cycle.

    It does not depend on the load. The rattle becomes noticeable later than the harmonics.
    """
    pattern = _unit_pattern(moment)
    profile = np.where(EVEN & (MAINS_ORDER >= 6) & (MAINS_ORDER <= 26), 0.003, 0)
    phasors = _random_phasors(profile, moment.spec, pattern)
    resonance = damped_sine(moment.spec, float(pattern.uniform(1400, 2600)), 0.0012)
    blows = moment.half_cycles(phase=0.3)
    blows += rng.normal(0, 0.0004, blows.size)
    forces = 0.03 * strength**1.5 * rng.lognormal(0, 0.5, blows.size)
    rattle = strike(moment.spec, blows, forces, resonance)
    felt = moment.point.voltage**2 * moment.machine.coupling[:, None]
    return felt * (strength * moment.hum(phasors) + rattle)


def dc_bias(moment: Moment, strength: float, rng: np.random.Generator) -> Float:
    """Return the effect of direct current in the neutral: the core saturates in one half cycle only.

    The two half cycles then differ, so the odd orders 50, 150, 250 .. Hz appear beside the even ones.
    """
    profile = np.where(~EVEN & (MAINS_ORDER <= 21), 0.005 / np.sqrt(MAINS_ORDER), 0)
    phasors = _random_phasors(profile, moment.spec, _unit_pattern(moment))
    current = strength * rng.uniform(0.9, 1.1)
    return current * moment.point.voltage**2 * moment.machine.coupling[:, None] * moment.hum(phasors)


def partial_discharge(moment: Moment, strength: float, rng: np.random.Generator) -> Float:
    """Return the effect of discharges: bursts above 2 kHz, shorter than a millisecond, at the voltage crests.

    The share of crests with a discharge grows from a third to all.
    """
    crests = moment.half_cycles(phase=np.pi / 2)
    crests = crests[rng.random(crests.size) < 0.3 + 0.7 * strength]
    crests += rng.normal(0, 0.0005, crests.size)
    charges = 0.03 * strength * rng.lognormal(0, 0.5, crests.size)
    burst_hz = float(_unit_pattern(moment).uniform(2800, 3700))
    bursts = strike(moment.spec, crests, charges, damped_sine(moment.spec, burst_hz, 0.0005))
    return moment.machine.coupling[:, None] * bursts


def loose_sensor(spec: FleetSpec, signal: Float, strength: float, rng: np.random.Generator) -> Float:
    """Return the signal of a sensor whose magnet or screw is loose: one-sided contact, no high frequencies, wobble.

    The negative half is clipped where the contact opens. Frequencies above some 500 Hz are attenuated, to 5 % at
    strength 1. The sensor sways at a few hertz.
    """
    opens_at = -(1 - 0.6 * strength) * np.max(np.abs(signal))
    spectrum = np.fft.rfft(np.maximum(signal, opens_at))
    bins_hz = np.fft.rfftfreq(signal.size, 1 / spec.sample_rate_hz)
    lost = 1 - 1 / (1 + (bins_hz / 500) ** 4)
    contact = np.fft.irfft(spectrum * (1 - 0.95 * strength * lost), signal.size)
    sway = np.fft.rfft(rng.standard_normal(signal.size)) / (1 + (bins_hz / 6) ** 4)
    wobble = np.fft.irfft(sway, signal.size)
    return (contact + 0.02 * strength * wobble / np.std(wobble)).astype(np.float32)


def dead_sensor(spec: FleetSpec, signal: Float, strength: float, rng: np.random.Generator) -> Float:
    """Return the signal of a broken cable: zero or, equally often, another constant, whatever the strength."""
    return np.full_like(signal, rng.choice([0.0, rng.uniform(-0.05, 0.05)]))


UNIT_FAULT_PHYSICS: dict[str, UnitFault] = {
    "winding_looseness": winding_looseness,
    "core_looseness": core_looseness,
    "dc_bias": dc_bias,
    "partial_discharge": partial_discharge,
}
SENSOR_FAULT_PHYSICS: dict[str, SensorFault] = {"loose_sensor": loose_sensor, "dead_sensor": dead_sensor}

UNIT_FAULTS, SENSOR_FAULTS = tuple(UNIT_FAULT_PHYSICS), tuple(SENSOR_FAULT_PHYSICS)
FAULT_TYPES = UNIT_FAULTS + SENSOR_FAULTS
"""All fault types. They are dealt to the faulty units in this order, so a new one changes the fleet of every seed."""


def _unit_pattern(moment: Moment) -> np.random.Generator:
    return moment.spec.random(Stream.FAULT_PATTERN, moment.unit)


def _random_phasors(
    profile: NDArray[np.float64], spec: FleetSpec, rng: np.random.Generator
) -> NDArray[np.complex128]:
    """Draw phasors for each sensor: amplitudes that scatter about a profile over the orders, and uniform phases."""
    shape = (spec.sensors_per_unit, profile.size)
    return np.asarray(profile * rng.lognormal(0, 0.4, shape) * np.exp(1j * rng.uniform(-np.pi, np.pi, shape)))
