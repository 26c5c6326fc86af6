"""Every feature against the reference outputs: real records and edge cases."""

import numpy as np
import pytest

from xfmr import features


def by_sample_rate(function, golden):
    """Apply a feature to all golden signals, each at its own sample rate."""
    signals, rates = golden["signals"].astype(np.float32), golden["sample_rate_hz"]
    rows = [function(x[None], sample_rate_hz=float(rate)) for x, rate in zip(signals, rates, strict=True)]
    return np.concatenate(rows)


def assert_near(actual, expected):
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    error = np.abs(actual - expected) / np.maximum(1e-4 * np.abs(expected), 1e-6)
    worst = np.unravel_index(error.argmax(), error.shape)
    assert error.max() <= 1, f"at {worst}: {actual[worst]} is not {expected[worst]}"


@pytest.mark.parametrize("name", ["zerone", "log_spectrum"])
def test_vectors_match(golden, name):
    assert_near(by_sample_rate(getattr(features, name), golden), golden[name])


def test_health_matches(golden):
    actual = by_sample_rate(features.health_indices, golden)
    np.testing.assert_allclose(actual, golden["health"][:, :5], atol=1e-2, rtol=0)


def test_images_match(golden):
    signals = golden["signals"][golden["image_index"]].astype(np.float32)
    actual = features.hetero_image(signals, sample_rate_hz=8192)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, golden["images"], atol=2e-3, rtol=0)


def test_energy_weighted_average_matches(golden):
    signals = golden["signals"][:4].astype(np.float32)
    vectors = features.zerone(signals, sample_rate_hz=float(golden["sample_rate_hz"][0]))
    average = features.weighted_average(vectors, weights=features.energy_weights(signals))
    assert_near(average, golden["energy_of_first_four"])


def test_images_from_stored_planes_match(golden):
    signals = golden["signals"][golden["image_index"]].astype(np.float32)
    cwt, stft = features.quantise(features.cwt_plane(signals)), features.quantise(features.stft_plane(signals))
    actual = features.image_from_planes(cwt, stft, signals)
    np.testing.assert_allclose(actual, golden["images"], atol=1 / 255 + 5e-4, rtol=0)
