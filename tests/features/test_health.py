"""Health indices: figures known beforehand, and values for any signal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xfmr.features import HEALTH_GRADES, HEALTH_NAMES, health_grade, health_indices


def named(signal, *, sample_rate_hz=8192.0):
    values = health_indices(np.asarray(signal, np.float32)[None], sample_rate_hz=sample_rate_hz)[0]
    return dict(zip(HEALTH_NAMES, values.tolist(), strict=True))


T = np.arange(8192) / 8192


def test_one_line_has_no_entropy():
    assert named(np.sin(2 * np.pi * 100 * T))["power_entropy"] == pytest.approx(0, abs=1e-2)


def test_entropy_of_two_lines_follows_the_frequency_weights():
    # Equal power at 100 and 300 Hz, weights 1 : 3.
    signal = np.sin(2 * np.pi * 100 * T) + np.sin(2 * np.pi * 300 * T)
    expected = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert named(signal)["power_entropy"] == pytest.approx(expected, abs=1e-3)


def test_high_frequency_is_a_ratio_of_peaks():
    signal = np.sin(2 * np.pi * 100 * T) + 0.1 * np.sin(2 * np.pi * 1500 * T)
    assert named(signal)["high_frequency_percent"] == pytest.approx(1, rel=1e-3)


def test_lines_above_2_khz_do_not_count():
    signal = np.sin(2 * np.pi * 100 * T) + np.sin(2 * np.pi * 2500 * T)
    assert named(signal)["high_frequency_percent"] == pytest.approx(0, abs=1e-3)


def test_stability_is_the_coefficient_of_variation_of_window_maxima():
    signal = np.zeros(8192)
    signal[80 : 163 * 50 : 163] = np.where(np.arange(50) % 2, 1.0, 3.0)
    assert named(signal)["vibration_stability_percent"] == pytest.approx(50)


def test_determinism_of_a_constant_and_of_a_ramp():
    assert named(np.ones(8192))["determinism"] == 1
    assert named(np.arange(8192.0))["determinism"] == 0  # never returns: no hits at all


def test_determinism_counts_hits_in_runs():
    values = np.arange(0.0, 8192.0, 4.0)  # what remains after decimation: no two values meet yet
    values[100:103] = values[110:113]  # three equal values, lag 10: two neighbouring hits
    values[500:502] = values[520:522]  # two equal values, lag 20: one isolated hit
    assert named(values.repeat(4))["determinism"] == pytest.approx(2 / 3)


def test_health_index_of_a_flat_record():
    """All four indices 0 but C = 1; the health index from the formulas by hand."""
    s_entropy = 0.5671 * np.exp(-((3.1 / 0.5895) ** 2)) + 0.9038 * np.exp(-((2.147 / 0.945) ** 2))
    s_determinism = 0.3972 * np.exp(-((1.08728 / 0.09103) ** 2)) + 0.9079 * np.exp(-((0.91737 / 0.2975) ** 2))
    expected = 100 * (0.5 * s_entropy + 0.1 * s_determinism + 0.1 * (0.9412 - 0.9361) + 0.3 * (0.9552 - 0.489))
    values = named(np.zeros(8192))
    assert values["health_index"] == pytest.approx(expected, rel=1e-5)
    assert values["power_entropy"] == values["vibration_stability_percent"] == 0


def test_health_grades_change_above_their_limits():
    index = np.array([[0, 60, 60.1], [80, 80.1, 90], [90.1, -5, 200]], np.float32)
    words = np.array(HEALTH_GRADES)[health_grade(index)]
    assert words.tolist() == [
        ["normal", "normal", "attention"],
        ["attention", "abnormal", "abnormal"],
        ["severe", "normal", "severe"],
    ]


@pytest.mark.parametrize("sample_rate_hz", [4000.0, 51200.0])
def test_other_sample_rates(sample_rate_hz):
    t = np.arange(8192) / sample_rate_hz
    values = named(np.sin(2 * np.pi * 100 * t), sample_rate_hz=sample_rate_hz)
    assert values["high_frequency_percent"] == pytest.approx(0, abs=1e-2)


elements = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=25, deadline=None)
@given(signal=hnp.arrays(np.float32, 4096, elements=elements, fill=elements))
def test_finite_signals_give_finite_indices(signal):
    assert np.isfinite(health_indices(signal[None], sample_rate_hz=8192)).all()
