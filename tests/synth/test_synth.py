"""The synthetic fleet: its machines, their day, and what each fault does."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from xfmr.synth import (
    UNIT_FAULTS,
    Fault,
    FleetSpec,
    daily_load,
    operating_point,
    plan_episodes,
    sample_signals,
)

SPEC = FleetSpec(n_units=3, sensors_per_unit=2, n_times=32, seed=7)
NIGHT, EVENING = 4, 26  # 03:00 and 19:30


def line_amplitude(signals: np.ndarray, frequency_hz: float) -> np.ndarray:
    """Amplitude of the line within 2 Hz of a frequency, of each signal of one second at 8192 Hz."""
    spectrum = np.abs(np.fft.rfft(signals * np.hanning(signals.shape[-1]))) * 4 / signals.shape[-1]
    return spectrum[..., round(frequency_hz) - 2 : round(frequency_hz) + 3].max(axis=-1)


def band_power(signals: np.ndarray, low_hz: int, high_hz: int) -> np.ndarray:
    return (np.abs(np.fft.rfft(signals)) ** 2)[..., low_hz:high_hz].sum(axis=-1)


def added_by(fault_type: str, severity: float, unit: int = 0, time_index: int = EVENING) -> np.ndarray:
    healthy = sample_signals(SPEC, unit, time_index)
    return sample_signals(SPEC, unit, time_index, fault=Fault(fault_type, severity)) - healthy


def test_any_record_can_be_made_without_the_others() -> None:
    whole = sample_signals(SPEC, 1, 5)
    np.testing.assert_array_equal(whole, sample_signals(replace(SPEC, n_times=6, n_units=2), 1, 5))
    tomorrow = replace(SPEC, first_day=SPEC.first_day + timedelta(days=1))
    np.testing.assert_array_equal(sample_signals(SPEC, 1, 32 + 5), sample_signals(tomorrow, 1, 5))
    assert not np.array_equal(whole, sample_signals(tomorrow, 1, 5))


def test_signals_have_the_real_archive_s_size() -> None:
    signals = np.concatenate([sample_signals(SPEC, unit, t) for unit in range(3) for t in range(0, 32, 4)])
    assert signals.dtype == np.float32
    assert signals.shape == (3 * 8 * 2, 8192)
    assert 0.02 < np.median(np.abs(signals).max(axis=1)) < 0.1


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_the_strongest_line_of_a_healthy_unit_is_twice_the_mains(mains_hz: float) -> None:
    spec = replace(SPEC, mains_hz=mains_hz)
    signals = np.concatenate([sample_signals(spec, unit, t) for unit in range(3) for t in range(0, 32, 3)])
    spectrum = np.abs(np.fft.rfft(signals * np.hanning(8192)))
    np.testing.assert_array_equal(spectrum.argmax(axis=1), 2 * mains_hz)
    assert np.all(line_amplitude(signals, 20 * mains_hz) > 5e-5)  # harmonics to 1 kHz and above


def test_the_mains_wander_by_at_most_0_02_hz() -> None:
    mains_hz = np.array([operating_point(SPEC, unit, t).mains_hz for unit in range(3) for t in range(32)])
    assert np.abs(mains_hz - 50).max() <= 0.02
    assert mains_hz.std() > 0.005


# The day


def test_load_peaks_in_the_evening() -> None:
    hours = np.arange(0, 24, 0.25)
    assert hours[daily_load(hours).argmax()] == pytest.approx(19.5, abs=0.25)
    np.testing.assert_allclose(daily_load(hours + 24), daily_load(hours))
    for unit in range(SPEC.n_units):
        load = [operating_point(SPEC, unit, t).load for t in range(32)]
        assert 17.5 <= int(np.argmax(load)) * 0.75 <= 21.5


def test_a_normal_evening_is_unlike_a_normal_night() -> None:
    for unit in range(SPEC.n_units):
        night, evening = sample_signals(SPEC, unit, NIGHT), sample_signals(SPEC, unit, EVENING)
        assert np.all(evening.std(axis=1) > 1.2 * night.std(axis=1))
        share = line_amplitude(evening, 400) / line_amplitude(evening, 100)
        assert np.all(np.abs(share / (line_amplitude(night, 400) / line_amplitude(night, 100)) - 1) > 0.02)


def test_the_winding_s_vibration_goes_with_the_load_squared() -> None:
    """Amplitude at 100 Hz is |core V^2 + winding L^2|: between two loads a straight line in L^2."""
    points = [operating_point(SPEC, 0, t) for t in range(32)]
    lines = np.stack([line_amplitude(sample_signals(SPEC, 0, t), 100) for t in range(32)])
    for amplitude in lines.T:
        assert np.corrcoef([p.load**2 for p in points], amplitude)[0, 1] > 0.99


def test_fans_run_when_the_oil_is_hot_and_are_heard() -> None:
    points = [operating_point(SPEC, 0, t) for t in range(32)]
    running = [p.oil_celsius for p in points if p.fans_on]
    resting = [p.oil_celsius for p in points if not p.fans_on]
    assert min(running) > max(resting)
    heard = [band_power(sample_signals(SPEC, 0, t), 18, 33).mean() for t in range(32)]
    assert min(h for h, p in zip(heard, points, strict=True) if p.fans_on) > 3 * max(
        h for h, p in zip(heard, points, strict=True) if not p.fans_on
    )


def test_tap_changes_are_rare_loud_and_no_fault() -> None:
    many = replace(SPEC, n_times=400, fault_share=0.0)
    changing = [t for t in range(400) if operating_point(many, 0, t).tap_changes]
    assert 3 <= len(changing) <= 30
    kurtosis = [
        np.mean((x - x.mean()) ** 4) / x.var() ** 2 for x in high_passed(sample_signals(many, 0, changing[0]))
    ]
    quiet = [
        np.mean((x - x.mean()) ** 4) / x.var() ** 2 for x in high_passed(sample_signals(many, 0, changing[0] + 1))
    ]
    assert min(kurtosis) > 2 * max(quiet)


def high_passed(signals: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(signals)
    spectrum[..., :1500] = 0
    return np.fft.irfft(spectrum)


# The faults


@pytest.mark.parametrize("fault_type", UNIT_FAULTS)
def test_faults_of_the_unit_grow_from_subtle_to_obvious(fault_type: str) -> None:
    sizes = [added_by(fault_type, severity).std(axis=1) for severity in (0.2, 0.5, 1.0)]
    assert np.all(sizes[0] < 0.1 * sizes[2])
    assert np.all(sizes[1] < 0.5 * sizes[2])
    assert np.all(sizes[2] > 0.001)


def test_winding_looseness_raises_100_hz_with_the_load_and_adds_sidebands() -> None:
    healthy = sample_signals(SPEC, 0, EVENING)
    added = added_by("winding_looseness", 1.0)
    assert np.all(line_amplitude(healthy + added, 100) > 1.5 * line_amplitude(healthy, 100))
    for sideband_hz in (75, 125):
        assert np.all(line_amplitude(healthy + added, sideband_hz) > 10 * line_amplitude(healthy, sideband_hz))
    load_ratio = operating_point(SPEC, 0, EVENING).load / operating_point(SPEC, 0, NIGHT).load
    ratio = line_amplitude(added, 100) / line_amplitude(added_by("winding_looseness", 1.0, time_index=NIGHT), 100)
    np.testing.assert_allclose(ratio, load_ratio**2, rtol=0.05)


def test_core_looseness_raises_high_even_orders_and_rattles_at_100_hz() -> None:
    healthy, added = sample_signals(SPEC, 0, EVENING), added_by("core_looseness", 1.0)
    high_orders = [line_amplitude(healthy + added, f) / line_amplitude(healthy, f) for f in range(600, 1300, 100)]
    assert np.all(np.median(high_orders, axis=0) > 1.5)
    assert np.all(line_amplitude(added, 100) < 0.02 * line_amplitude(healthy, 100))
    envelope = np.abs(high_passed(added))
    rate_hz = np.abs(np.fft.rfft(envelope - envelope.mean(axis=1, keepdims=True)))[:, :450].argmax(axis=1)
    np.testing.assert_array_equal(rate_hz, 100)


def test_dc_bias_adds_odd_orders_and_leaves_the_even_ones() -> None:
    healthy, added = sample_signals(SPEC, 0, EVENING), added_by("dc_bias", 1.0)
    for odd_hz in (50, 150, 250, 350):
        assert np.all(line_amplitude(healthy + added, odd_hz) > 2 * line_amplitude(healthy, odd_hz))
    for even_hz in (100, 200, 300):
        assert np.all(line_amplitude(added, even_hz) < 1e-5)
    # The two halves of the mains cycle no longer look alike: shifted by 10 ms the fault changes its sign.
    np.testing.assert_allclose(added[:, 0], -added[:, round(0.01 * 8192)], atol=0.1 * np.abs(added).max())


def test_partial_discharge_is_above_2_khz_and_at_the_crests_of_the_voltage() -> None:
    added, point = added_by("partial_discharge", 1.0), operating_point(SPEC, 0, EVENING)
    assert np.all(band_power(added, 2000, 4097) > 0.9 * band_power(added, 0, 4097))
    phase = 2 * np.pi * point.mains_hz * np.arange(8192) / 8192 + point.mains_phase
    after_crest = (phase - np.pi / 2 + np.pi / 8) % np.pi < np.pi / 2
    energy = added.astype(float) ** 2
    assert np.all(energy[:, after_crest].sum(axis=1) > 0.95 * energy.sum(axis=1))


def test_a_loose_sensor_loses_high_frequencies_sways_and_leaves_its_neighbour_alone() -> None:
    healthy = sample_signals(SPEC, 0, EVENING)
    loose = sample_signals(SPEC, 0, EVENING, fault=Fault("loose_sensor", 1.0, sensor=1))
    np.testing.assert_array_equal(loose[0], healthy[0])
    assert band_power(loose[1], 1500, 4097) < 0.02 * band_power(healthy[1], 1500, 4097)
    assert band_power(loose[1], 1, 10) > 100 * band_power(healthy[1], 1, 10)


def test_a_dead_sensor_is_flat() -> None:
    faults = [sample_signals(SPEC, 0, t, fault=Fault("dead_sensor", 0.5, sensor=0)) for t in range(12)]
    assert all(np.ptp(signals[0]) == 0 and np.ptp(signals[1]) > 0 for signals in faults)
    levels = {float(signals[0, 0]) for signals in faults}
    assert 0.0 in levels
    assert len(levels) > 1


@pytest.mark.parametrize(("fault_type", "severity"), [("rust", 0.5), ("dc_bias", 0.0), ("dc_bias", 1.1)])
def test_a_wrong_fault_is_refused(fault_type: str, severity: float) -> None:
    with pytest.raises(ValueError, match=r"^(fault_type|severity) "):
        Fault(fault_type, severity)


def test_a_later_fleet_has_the_same_machines_and_other_faults() -> None:
    history = replace(SPEC, n_units=6, n_times=64)
    later = replace(history, first_day=date(2024, 7, 1))
    assert plan_episodes(history) != plan_episodes(later)
    shape = [np.log(line_amplitude(sample_signals(s, 0, 0), 300)) for s in (history, later)]
    np.testing.assert_allclose(shape[0], shape[1], atol=0.5)
