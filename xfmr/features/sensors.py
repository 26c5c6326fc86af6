"""Energy-weighted averages over the sensors of one moment."""

import numpy as np

from xfmr.features._batch import Array, Float32Array, array_module, as_signals


def energy_weights(signals: Array) -> Float32Array:
    """Weigh the sensors of one moment by their energy.

    w_i = mean(x_i^2) / sum_j mean(x_j^2).

    Args:
        signals: One signal per sensor, shape (sensors, n_samples), NumPy or CuPy.

    Returns:
        Weights that sum to 1, float32, shape (sensors,); equal weights if every signal is zero.

    Raises:
        ValueError: The signals are not of the shape (sensors, n_samples).

    Example:
        >>> import numpy as np
        >>> print(energy_weights(np.array([[1.0, -1.0], [3.0, -3.0]])))
        [0.1 0.9]
    """
    signals = as_signals(signals)
    energy = (signals.astype(np.float64) ** 2).mean(axis=1)
    total = energy.sum()
    weights = array_module(signals).where(total > 0, energy / (total + (total == 0)), 1 / len(energy))
    rounded: Float32Array = weights.astype(np.float32)
    return rounded


def weighted_average(values: Array, *, weights: Array) -> Float32Array:
    """Average the feature vectors or the signals of the sensors of one moment.

    Args:
        values: One vector per sensor, shape (sensors, ...).
        weights: Weights that sum to 1, shape (sensors,), as `energy_weights` returns them.

    Returns:
        The average, float32, shape (...).

    Example:
        >>> import numpy as np
        >>> print(weighted_average(np.array([[1.0, 2.0], [3.0, 4.0]]), weights=np.array([0.25, 0.75])))
        [2.5 3.5]
    """
    average: Float32Array = array_module(values).tensordot(weights, values, axes=1).astype(np.float32)
    return average
