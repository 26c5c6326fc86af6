"""Raster image: where each Zerone value is drawn."""

import numpy as np
import pytest

from xfmr.features import RASTER_SIZE, ZERONE_LENGTH, raster_image, raster_layout, zerone_names

LOW, HIGH = np.zeros(ZERONE_LENGTH), np.ones(ZERONE_LENGTH)


def test_every_value_is_one_tile():
    layout = raster_layout()
    assert layout.shape == (RASTER_SIZE, RASTER_SIZE)
    shown, counts = np.unique(layout[layout >= 0], return_counts=True)
    np.testing.assert_array_equal(shown, np.arange(ZERONE_LENGTH))
    assert set(counts) == {2 * 3}
    rows, columns = np.nonzero(layout == 500)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (2, 3)


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [
        (0, 0, "mean"),
        (1, 15 * 3 - 1, "waveform_factor"),
        (2, 0, "stft_frame_0"),
        (4, 0, "stft_frame_16"),
        (18, 3, "psd_2_hz"),
        (20, 0, "psd_33_hz"),
        (18 + 2 * 31, 8 * 3, "psd_1001_1020_hz"),
        (84, 21, "hf_power_ratio_4000_hz"),
    ],
)
def test_a_pixel_names_its_value(row, column, name):
    assert zerone_names()[raster_layout()[row, column]] == name


def test_one_value_lights_one_tile():
    vectors = np.zeros((2, ZERONE_LENGTH), np.float32)
    vectors[0, 300] = 0.5
    images = raster_image(vectors, low=LOW, high=HIGH)
    assert images.shape == (2, 3, RASTER_SIZE, RASTER_SIZE)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[0], np.where(raster_layout() == 300, 0.5, 0)[None].repeat(3, axis=0))
    assert not images[1].any()


def test_values_are_scaled_and_clipped():
    low, high = np.full(ZERONE_LENGTH, -2.0), np.full(ZERONE_LENGTH, 2.0)
    high[3] = low[3]
    vectors = np.zeros((1, ZERONE_LENGTH), np.float32)
    vectors[0, :5] = [1, -5, 9, 9, 2]
    grey = raster_image(vectors, low=low, high=high)[0, 0, 0, 0 : 5 * 3 : 3]
    np.testing.assert_allclose(grey, [0.75, 0, 1, 0, 1])


def test_other_vectors_are_refused():
    with pytest.raises(ValueError, match="1200"):
        raster_image(np.zeros((2, 451), np.float32), low=LOW, high=HIGH)
