"""The signals of one unit at one time."""

from __future__ import annotations

import numpy as np

from xfmr.synth.episodes import Fault
from xfmr.synth.faults import SENSOR_FAULT_PHYSICS, UNIT_FAULT_PHYSICS
from xfmr.synth.moment import Moment, damped_sine, strike
from xfmr.synth.spec import FleetSpec, Stream
from xfmr.synth.transformer import MAINS_ORDER, Float

# Largest number with five decimals below the sensors' range of 1 g.
FULL_SCALE = 0.99999
NOISE_RMS = 0.0008
FAN_NOISE_RMS = 0.0008


def sample_signals(spec: FleetSpec, unit: int, time_index: int, *, fault: Fault | None = None) -> Float:
    """Return the vibration of one unit at one time, at all of its sensors.

    The core vibrates with the voltage squared and the winding with the load current squared, each with its own mix of
    mains harmonics at each sensor. Added to these are noise, the fans when the oil is hot, an occasional operation of
    the tap changer, and the fault. The same call always returns the same signals, and the signals with and without a
    fault differ only by the fault.

    Args:
        spec: The fleet.
        unit: Number of the unit, from 0.
        time_index: Number of the time, from 0.
        fault: Fault of the unit or of one of its sensors, if any.

    Returns:
        Shape (sensors_per_unit, n_samples), acceleration in g.
    """
    moment = Moment(spec, unit, time_index)
    machine, point = moment.machine, moment.point
    # The 100 Hz line scales with the voltage squared; the core's saturation raises the exponent with the order.
    vibration = moment.hum(machine.core * point.voltage**MAINS_ORDER + machine.winding * point.load**2)
    vibration += _noise(moment) + _fan_tones(moment) + _tap_change(moment)
    rng = moment.random(Stream.FAULT)
    if fault and fault.fault_type in UNIT_FAULT_PHYSICS:
        vibration += UNIT_FAULT_PHYSICS[fault.fault_type](moment, fault.strength, rng)
    signals = vibration * machine.gain[:, None]
    if fault and fault.fault_type in SENSOR_FAULT_PHYSICS:
        physics = SENSOR_FAULT_PHYSICS[fault.fault_type]
        signals[fault.sensor] = physics(spec, signals[fault.sensor], fault.strength, rng)
    return np.asarray(np.clip(signals, -FULL_SCALE, FULL_SCALE), dtype=np.float32)


def _noise(moment: Moment) -> Float:
    """Return broadband noise, louder under load, with the fans' band noise: (sensors, n_samples)."""
    n_samples = moment.spec.n_samples
    generators = [moment.random(Stream.NOISE, sensor) for sensor in range(moment.spec.sensors_per_unit)]
    white = np.stack([rng.standard_normal(n_samples, dtype=np.float32) for rng in generators])
    shape = _weather(moment) * NOISE_RMS * (0.7 + 0.4 * moment.point.load) * moment.machine.noise_shape
    if moment.point.fans_on:
        shape = np.hypot(shape, FAN_NOISE_RMS * moment.machine.fan_shape)
    return np.asarray(np.fft.irfft(np.fft.rfft(white) * shape, n_samples), dtype=np.float32)


def _weather(moment: Moment) -> Float:
    """Return the level and tilt of the noise (wind, rain, traffic) at this time, as a factor on each rfft bin."""
    rng = moment.random(Stream.WEATHER)
    bins_hz = np.fft.rfftfreq(moment.spec.n_samples, 1 / moment.spec.sample_rate_hz)
    level, tilt = rng.normal(0, (0.12, 0.1))
    octaves_above_1khz = np.log2(np.maximum(bins_hz, 20) / 1000)
    return np.asarray(np.exp(level + tilt * octaves_above_1khz), dtype=np.float32)


def _fan_tones(moment: Moment) -> Float:
    """Return the fans' blade tone and its harmonics: (sensors, n_samples), or a (1, 1) zero if the fans are off."""
    if not moment.point.fans_on:
        return np.zeros((1, 1), dtype=np.float32)
    rng = moment.random(Stream.FANS)
    amplitudes = moment.machine.fan_tones
    blade_hz = moment.machine.fan_hz * rng.uniform(0.98, 1.02)
    harmonic = np.arange(1, amplitudes.shape[1] + 1)[:, None]
    phase = rng.uniform(0, 2 * np.pi, harmonic.shape)
    tones = np.cos(2 * np.pi * blade_hz * harmonic * moment.spec.seconds() + phase)
    return amplitudes @ tones.astype(np.float32)


def _tap_change(moment: Moment) -> Float:
    """Return three blows of the tap changer: (sensors, n_samples), or a (1, 1) zero if it does not operate."""
    if not moment.point.tap_changes:
        return np.zeros((1, 1), dtype=np.float32)
    rng = moment.random(Stream.TAP_CHANGE)
    duration = moment.spec.n_samples / moment.spec.sample_rate_hz
    onsets = rng.uniform(0.05, 0.7) * duration + np.cumsum(rng.uniform(0.02, 0.06, 3))
    blows = np.zeros(moment.spec.n_samples, dtype=np.float32)
    for mode_hz in moment.machine.tap_modes_hz:
        ringing = damped_sine(moment.spec, float(mode_hz), float(rng.uniform(0.006, 0.02)))
        blows += strike(moment.spec, onsets, rng.uniform(0.01, 0.04, onsets.size), ringing)
    return moment.machine.coupling[:, None] * blows
