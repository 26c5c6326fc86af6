"""The machines: properties of a transformer that are constant from record to record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xfmr.synth.spec import FleetSpec, Stream

Complex = NDArray[np.complex64]
Float = NDArray[np.float32]

CORE_100HZ = 0.014
WINDING_100HZ = 0.024
N_MAINS_ORDERS = 28
HIGHEST_WINDING_ORDER = 12
N_FAN_TONES = 4
MAINS_ORDER = np.arange(1, N_MAINS_ORDERS + 1)


@dataclass(frozen=True, eq=False)
class Transformer:
    """Properties of a unit that are constant from record to record.

    The first axis of every array but `tap_modes_hz` is the sensor.

    Attributes:
        core: Phasors of the core's vibration at rated voltage, orders 1.. of the mains on the second axis.
        winding: Phasors of the winding's vibration at rated current, likewise.
        coupling: Coupling of a sensor to vibration inside the tank, about 1.
        gain: Sensitivity of a sensor, about 1.
        noise_shape: Spectrum magnitude of the broadband noise, on the rfft's bins; mean square 1.
        fan_shape: Spectrum magnitude of the fans' band noise, likewise.
        fan_tones: Amplitudes of the fans' blade tone and its harmonics.
        fan_hz: Blade-passing frequency of the fans.
        fan_on_celsius: Oil temperature above which the fans run.
        tap_modes_hz: Frequencies at which the tank rings when the tap changer strikes, shape (3,).
        load_level: Factor on the daily load curve.
        load_delay_hours: Delay of the unit's daily load curve.
    """

    core: Complex
    winding: Complex
    coupling: Float
    gain: Float
    noise_shape: Float
    fan_shape: Float
    fan_tones: Float
    fan_hz: float
    fan_on_celsius: float
    tap_modes_hz: NDArray[np.float64]
    load_level: float
    load_delay_hours: float


@lru_cache(maxsize=32)
def transformer(spec: FleetSpec, unit: int) -> Transformer:
    """Build one unit of the fleet; its draws depend only on the seed and the numbers of the unit and its sensors."""
    rng = spec.random(Stream.UNIT, unit)
    sensors = [spec.random(Stream.SENSOR, unit, sensor) for sensor in range(spec.sensors_per_unit)]
    phasors = [_phasors(sensor_rng) for sensor_rng in sensors]
    bins_hz = np.asarray(np.fft.rfftfreq(spec.n_samples, 1 / spec.sample_rate_hz), dtype=np.float64)
    fan_shape = _unit_power(np.exp(-((np.log(np.maximum(bins_hz, 1) / 250) / 0.8) ** 2)))
    return Transformer(
        core=np.stack([core for core, _ in phasors]),
        winding=np.stack([winding for _, winding in phasors]),
        coupling=np.array([r.uniform(0.6, 1.1) for r in sensors], dtype=np.float32),
        gain=np.array([r.lognormal(0, 0.2) for r in sensors], dtype=np.float32),
        noise_shape=np.stack([_resonant_shape(bins_hz, r) for r in sensors]),
        fan_shape=np.stack([fan_shape * r.lognormal(0, 0.3) for r in sensors]).astype(np.float32),
        fan_tones=np.stack([_fan_tones(r) for r in sensors]),
        fan_hz=float(rng.uniform(20, 30)),
        fan_on_celsius=float(rng.uniform(39, 45)),
        tap_modes_hz=rng.uniform((500, 1000, 1800), (900, 1700, 2800)),
        load_level=float(rng.uniform(0.85, 1.1)),
        load_delay_hours=float(rng.uniform(-1, 1)),
    )


def _phasors(rng: np.random.Generator) -> tuple[Complex, Complex]:
    """Draw one sensor's mixes of core and winding vibration, each of shape (N_MAINS_ORDERS,).

    Both forces scale with the square of a mains quantity, hence the even orders: 100 Hz and its multiples on a 50 Hz
    grid. The core's magnetostriction is strongly nonlinear and reaches above 1 kHz; the winding's force is nearly a
    pure 100 Hz. Slight remanence and asymmetry cause the weak odd orders.
    """
    order, even = MAINS_ORDER, MAINS_ORDER % 2 == 0
    spread = rng.lognormal(0, 0.5, (2, order.size))
    relative = np.minimum((order / 2) ** -rng.uniform(1.1, 1.7) * spread, 0.4)
    core = CORE_100HZ * np.where(even, relative[0], 0.03 * spread[0] / order)
    winding = WINDING_100HZ * np.where(even, 0.7 * relative[1], 0)
    winding[order > HIGHEST_WINDING_ORDER] = 0
    core[1], winding[1] = CORE_100HZ, WINDING_100HZ
    core_phase, winding_phase = rng.uniform(-np.pi, np.pi, (2, order.size))
    # Core and winding add up at 100 Hz at every sensor, so that the line does not vanish, whatever the load.
    winding_phase[1] = core_phase[1] + winding_phase[1] / 3
    return _polar(core, core_phase), _polar(winding, winding_phase)


def _polar(amplitude: NDArray[np.float64], phase: NDArray[np.float64]) -> Complex:
    return np.asarray(amplitude * np.exp(1j * phase), dtype=np.complex64)


def _resonant_shape(bins_hz: NDArray[np.float64], rng: np.random.Generator) -> Float:
    """Return the magnitude of a noise floor that falls with frequency, with five resonances of the tank wall."""
    shape = 1 / (1 + bins_hz / 800)
    for centre_hz in rng.uniform(150, 3900, 5):
        ratio = bins_hz / centre_hz
        damping = 1 / rng.uniform(6, 25)
        shape += rng.uniform(0.03, 0.12) / np.abs(1 - ratio**2 + 1j * damping * ratio)
    return _unit_power(shape)


def _fan_tones(rng: np.random.Generator) -> Float:
    harmonic = np.arange(1, N_FAN_TONES + 1)
    return (0.0015 * rng.lognormal(0, 0.4, N_FAN_TONES) / harmonic).astype(np.float32)


def _unit_power(shape: NDArray[np.float64]) -> Float:
    return np.asarray(shape / np.sqrt(np.mean(shape**2)), dtype=np.float32)
