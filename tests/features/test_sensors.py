"""Energy weights of the sensors of one sample."""

import numpy as np
import pytest

from xfmr.features import energy_weights, weighted_average


def test_weights_are_shares_of_energy():
    signals = np.array([[1, -1, 1, -1], [3, 3, -3, -3], [0, 0, 0, 0]], np.float32)
    weights = energy_weights(signals)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [0.1, 0.9, 0])


def test_silent_sensors_weigh_the_same():
    np.testing.assert_allclose(energy_weights(np.zeros((4, 8), np.float32)), 0.25)


def test_average_keeps_the_shape_of_a_row():
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    average = weighted_average(values, weights=np.array([0.25, 0.75], np.float32))
    assert average.dtype == np.float32
    np.testing.assert_allclose(average, 0.25 * values[0] + 0.75 * values[1])


def test_one_signal_is_no_sample():
    with pytest.raises(ValueError, match="shape"):
        energy_weights(np.zeros(8192, np.float32))
