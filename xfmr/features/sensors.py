"""Several sensors of one sample, joined by the energy each one carries."""

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module, as_signals


def energy_weights(signals: Array) -> Float32Array:
    """Weigh the sensors of one sample by their energy.

    w_i = mean(x_i^2) / sum_j mean(x_j^2).

    Args:
        signals: One signal a sensor, shape (sensors, n_samples), NumPy or CuPy.

    Returns:
        Weights that sum to 1, float32, shape (sensors,); equal ones where every signal is zero.

    Raises:
        ValueError: The signals are not of the shape (sensors, n_samples).
    """
    signals = as_signals(signals)
    energy = (signals.astype(np.float64) ** 2).mean(axis=1)
    total = energy.sum()
    weights = array_module(signals).where(total > 0, energy / (total + (total == 0)), 1 / len(energy))
    rounded: Float32Array = weights.astype(np.float32)
    return rounded


def weighted_average(values: Array, *, weights: Array) -> Float32Array:
    """Average the sensors of one sample: their feature vectors, or the signals themselves.

    Args:
        values: One row a sensor, shape (sensors, ...).
        weights: Weights that sum to 1, shape (sensors,), as `energy_weights` gives.

    Returns:
        The average, float32, of the shape of one row.
    """
    average: Float32Array = array_module(values).tensordot(weights, values, axes=1).astype(np.float32)
    return average
