"""Hetero images, the resize below them and the stored planes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xfmr.features import (
    cwt_plane,
    hetero_image,
    image_from_planes,
    log_hetero_image,
    log_spectrum,
    quantise,
    stft_plane,
)
from xfmr.features.resampling import resize


def test_resize_by_hand():
    row = np.array([[[0, 1]]], np.float32)
    np.testing.assert_allclose(resize(row, height=1, width=4), [[[0, 0.25, 0.75, 1]]])
    np.testing.assert_allclose(
        resize(np.arange(4, dtype=np.float32)[None, :, None], height=2, width=1).ravel(), [0.5, 2.5]
    )


@pytest.mark.parametrize(("height", "width"), [(224, 224), (64, 64), (10, 101)])
def test_resize_agrees_with_torch(height, width):
    torch = pytest.importorskip("torch")
    planes = np.random.default_rng(4).random((2, 129, 63), np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(planes)[None], (height, width), mode="bilinear")[0]
    np.testing.assert_allclose(resize(planes, height=height, width=width), expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("size", [224, 64, 150])
def test_images_fill_the_unit_range(varied_signals, size):
    signals = varied_signals[:3]  # a small image may miss an impulse
    images = hetero_image(signals, sample_rate_hz=8192, size=size)
    assert images.shape == (3, 3, size, size)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images.min(axis=(2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(images.max(axis=(2, 3)), 1, atol=1e-5)


def test_context_channel_is_the_folded_signal():
    ramp = np.arange(8192, dtype=np.float32)[None]
    context = hetero_image(ramp, sample_rate_hz=8192, size=256)[0, 2]
    # A step of one row is 256 samples, of 8191 in all; 256 rows show 32, eight to one.
    assert context[132, 0] - context[124, 0] == pytest.approx(256 / 8191, abs=1e-5)
    np.testing.assert_allclose(np.diff(context[128]), 1 / 8191, atol=2e-6)


def test_signals_of_other_lengths_fold(varied_signals):
    assert hetero_image(varied_signals[:, :5000], sample_rate_hz=8192, size=64).shape == (5, 3, 64, 64)


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_constant_signals_are_black(level):
    assert not hetero_image(np.full((2, 8192), level, np.float32), sample_rate_hz=8192).any()


def test_stored_planes_give_the_image(varied_signals):
    cwt, stft = quantise(cwt_plane(varied_signals)), quantise(stft_plane(varied_signals))
    stored = image_from_planes(cwt, stft, varied_signals)
    fresh = hetero_image(varied_signals, sample_rate_hz=8192)
    assert stored.dtype == np.float32
    np.testing.assert_allclose(stored, fresh, atol=1 / 255, rtol=0)


def test_stored_planes_give_images_of_other_sizes(varied_signals):
    cwt, stft = quantise(cwt_plane(varied_signals)), quantise(stft_plane(varied_signals))
    stored = image_from_planes(cwt, stft, varied_signals, size=96)
    fresh = hetero_image(varied_signals, sample_rate_hz=8192, size=96)
    assert stored.shape == fresh.shape
    np.testing.assert_allclose(stored[:, 1:], fresh[:, 1:], atol=1 / 255, rtol=0)
    # A real wavelet's magnitude beats with the signal, so that other columns show other phases of the same ridge.
    for stored_cwt, fresh_cwt in zip(stored[1:3, 0], fresh[1:3, 0], strict=True):
        assert np.corrcoef(stored_cwt.ravel(), fresh_cwt.ravel())[0, 1] > 0.7


def test_planes_must_belong_together(varied_signals):
    cwt, stft = quantise(cwt_plane(varied_signals)), quantise(stft_plane(varied_signals))
    with pytest.raises(ValueError, match="5 scalograms, 5 STFTs and 4 signals"):
        image_from_planes(cwt, stft, varied_signals[:4])


def test_quantise_scales_each_record_by_itself():
    planes = np.array([[[0, 1], [2, 4]], [[-10, 0], [5, 10]], [[7, 7], [7, 7]]], np.float32)
    expected = [[[0, 64], [128, 255]], [[0, 128], [191, 255]], [[0, 0], [0, 0]]]
    steps = quantise(planes)
    assert steps.dtype == np.uint8
    np.testing.assert_array_equal(steps, expected)


wide = st.floats(0, 2.0**100, width=32)


@settings(max_examples=50, deadline=None)
@given(planes=hnp.arrays(np.float32, (2, 3, 4), elements=wide))
def test_quantise_is_within_half_a_step(planes):
    span = np.ptp(planes, axis=(1, 2), keepdims=True).astype(np.float64)
    restored = quantise(planes) / 255 * span + planes.min(axis=(1, 2), keepdims=True)
    assert (np.abs(restored - planes) <= span / 510 + 1e-5 * planes.max()).all()


def test_empty_batches_stay_empty(varied_signals):
    assert hetero_image(varied_signals[:0], sample_rate_hz=8192, size=32).shape == (0, 3, 32, 32)


elements = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=25, deadline=None)
@given(signal=hnp.arrays(np.float32, 2048, elements=elements, fill=elements))
def test_finite_signals_give_finite_features(signal):
    image = hetero_image(signal[None], sample_rate_hz=8192, size=32)
    assert image.min() >= 0
    assert image.max() <= 1
    assert np.isfinite(log_spectrum(signal[None], sample_rate_hz=8192)).all()


def test_log_images_show_decades_above_the_median_and_no_level(varied_signals):
    images = log_hetero_image(varied_signals, sample_rate_hz=8192, size=224)
    assert (images.shape, images.dtype) == ((len(varied_signals), 3, 224, 224), np.float32)
    decades = np.log10(np.maximum(cwt_plane(varied_signals), 1e-4))
    decades -= np.median(decades, axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(images[:, 0], resize(decades, height=224, width=224), atol=1e-4)
    louder = log_hetero_image(4 * varied_signals, sample_rate_hz=8192, size=224)
    np.testing.assert_allclose(louder, images, atol=0.02)


def test_a_small_log_image_shows_means_of_logarithms():
    signals = np.random.default_rng(0).standard_normal((2, 8192)).astype(np.float32)
    small = log_hetero_image(signals, sample_rate_hz=8192, size=56)
    decades = np.log10(cwt_plane(signals))
    decades -= np.median(decades, axis=(1, 2), keepdims=True)
    expected = resize(decades.reshape(2, 128, 56, 4).mean(axis=3), height=56, width=56)
    np.testing.assert_allclose(small[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.1])
def test_log_images_of_constant_signals_are_empty(level):
    assert not log_hetero_image(np.full((2, 8192), level, np.float32), sample_rate_hz=8192, size=64).any()
