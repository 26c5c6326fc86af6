"""Zerone: figures known beforehand, edge cases, other sample rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xfmr.features import TIME_STATISTICS, ZERONE_LENGTH, ZERONE_PANELS, zerone, zerone_names


def named(signal, *, sample_rate_hz=8192.0):
    values = zerone(np.asarray(signal, np.float32)[None], sample_rate_hz=sample_rate_hz)[0]
    return dict(zip(zerone_names(), values.tolist(), strict=True))


def test_names_and_panels_cover_the_vector():
    names = zerone_names()
    assert len(set(names)) == len(names) == ZERONE_LENGTH
    assert [panel.start for panel in ZERONE_PANELS.values()] == [0, 15, 142, 1192]
    assert [panel.stop for panel in ZERONE_PANELS.values()] == [15, 142, 1192, 1200]
    assert names[ZERONE_PANELS["time"]] == TIME_STATISTICS
    assert names[ZERONE_PANELS["psd"]][0] == "psd_1_hz"
    assert names[ZERONE_PANELS["psd"]][1000] == "psd_1001_1020_hz"
    assert names[ZERONE_PANELS["hf"]][-1] == "hf_power_ratio_4000_hz"


def test_time_statistics_of_a_square_wave():
    values = named(np.tile([2.0, 2.0, -2.0, -2.0], 2048))
    expected = {"mean": 0, "rms": 2, "variance": 4, "standard_deviation": 2, "maximum": 2, "minimum": -2}
    expected |= {"peak_to_peak": 4, "kurtosis": 1, "skewness": 0, "mean_absolute": 2, "crest_factor": 1}
    expected |= {"impulse_factor": 1, "margin_factor": 1, "waveform_factor": 1, "zero_crossing_rate": 4095 / 8191}
    assert {name: values[name] for name in TIME_STATISTICS} == pytest.approx(expected)


def test_impulse_factors_follow_from_the_length():
    values = named(np.eye(1, 8192, 100)[0])
    assert values["crest_factor"] == pytest.approx(8192**0.5)
    assert values["impulse_factor"] == pytest.approx(8192)
    assert values["margin_factor"] == pytest.approx(8192**0.25)


def test_sine_shows_at_its_frequency():
    t = np.arange(8192) / 8192
    values = named(0.5 * np.sin(2 * np.pi * 100 * t) + 0.1 * np.sin(2 * np.pi * 1510 * t))
    psd = np.array([values[f"psd_{hz}_hz"] for hz in range(1, 1001)])
    assert psd.argmax() + 1 == 100
    # A Hann window of 4096 samples at 8192 Hz is 3 Hz of noise bandwidth wide.
    assert psd.max() == pytest.approx(0.5**2 / 2 / 3, rel=1e-3)
    assert max((name for name in values if name.startswith("psd_1") and name.count("_") == 3), key=values.get) == (
        "psd_1501_1520_hz"
    )
    assert values["hf_power_ratio_1000_hz"] == pytest.approx(0.1**2 / (0.5**2 + 0.1**2), rel=1e-3)
    assert values["hf_power_ratio_2000_hz"] == pytest.approx(0, abs=1e-9)


def test_high_frequency_ratios_of_white_noise():
    values = named(np.eye(1, 8192, 4096)[0])  # flat PSD
    for threshold in (1000, 2000, 3000, 4000):
        assert values[f"hf_mean_ratio_{threshold}_hz"] == pytest.approx(1, abs=2e-3)
        assert values[f"hf_power_ratio_{threshold}_hz"] == pytest.approx((4000 - threshold) / 4000, abs=1e-3)


def test_frames_locate_a_burst():
    burst = np.zeros(8192)
    burst[64 * 50 : 64 * 52] = np.random.default_rng(2).standard_normal(128)
    frames = zerone(burst[None].astype(np.float32), sample_rate_hz=8192)[0, ZERONE_PANELS["stft"]]
    assert frames.argmax() == 50
    assert frames[:40].max() < 1e-2 * frames.max()


@pytest.mark.parametrize("level", [0.0, 0.25, 0.1, -3.7])
def test_constant_signals_have_no_spread(level):
    values = named(np.full(8192, level))
    assert np.isfinite(list(values.values())).all()
    assert values["mean"] == pytest.approx(level)
    assert values["kurtosis"] == values["skewness"] == values["variance"] == values["psd_100_hz"] == 0


@pytest.mark.parametrize("sample_rate_hz", [4000.0, 12000.0, 51200.0])
def test_frequencies_mean_the_same_at_every_sample_rate(sample_rate_hz):
    t = np.arange(8192) / sample_rate_hz
    values = named(np.sin(2 * np.pi * 400 * t), sample_rate_hz=sample_rate_hz)
    psd = np.array([values[f"psd_{hz}_hz"] for hz in range(1, 1001)])
    assert abs(psd.argmax() + 1 - 400) <= sample_rate_hz / 8192
    assert np.isfinite(list(values.values())).all()


def test_shorter_signals_fill_missing_frames_with_zeros():
    frames = zerone(np.ones((1, 5000), np.float32) * [[1, -1] * 2500], sample_rate_hz=8192)[0, ZERONE_PANELS["stft"]]
    assert frames[:77].all()  # 1 + ceil((5000 - 128) / 64) = 78 frames, the last mostly padding
    assert not frames[78:].any()


def test_batches_of_any_size_agree(varied_signals):
    many = np.tile(varied_signals, (9, 1))
    together = zerone(many, sample_rate_hz=8192)
    alone = np.concatenate([zerone(x[None], sample_rate_hz=8192) for x in many])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-9)
    assert zerone(many[:0], sample_rate_hz=8192).shape == (0, ZERONE_LENGTH)


def test_precision_of_the_input_does_not_matter(varied_signals):
    double = zerone(varied_signals.astype(np.float64), sample_rate_hz=8192)
    np.testing.assert_array_equal(double, zerone(varied_signals, sample_rate_hz=8192))


@pytest.mark.parametrize("shape", [(8192,), (1, 1, 8192), (3, 0)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        zerone(np.zeros(shape, np.float32), sample_rate_hz=8192)


finite_signals = hnp.arrays(
    np.float32,
    4096,
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    fill=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@settings(max_examples=25, deadline=None)
@given(signal=finite_signals, sample_rate_hz=st.floats(4000, 51200))
def test_finite_signals_give_finite_values(signal, sample_rate_hz):
    assert np.isfinite(zerone(signal[None], sample_rate_hz=sample_rate_hz)).all()
