"""Batch handling shared by all features: array module, validation, chunks, precision."""

import math
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any  # numpy.ndarray or cupy.ndarray: the same code runs on both
Float32Array: TypeAlias = npt.NDArray[np.float32]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]

DEVICE_RECORDS = 512
"""Records in a chunk on a GPU; in smaller chunks, launching some hundred small kernels takes most of the time."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def array_module(array: Array) -> Any:
    """Return the module an array belongs to: CuPy for a CuPy array, else NumPy.

    Args:
        array: Any array.

    Returns:
        The `cupy` or the `numpy` module. CuPy is imported only here, and only when it is in use already.
    """
    if type(array).__module__.partition(".")[0] == "cupy":
        import cupy

        return cupy
    return np


def as_signals(signals: Array) -> Array:
    """Check a batch of signals and convert it to float32.

    Features are always those of the float32 values, which the archive stores, whatever precision a record was read
    with.

    Args:
        signals: Signals, shape (n, n_samples), finite.

    Returns:
        The same values as float32, NumPy or CuPy as given.

    Raises:
        ValueError: The array is not two-dimensional or its signals are empty.
    """
    signals = array_module(signals).asarray(signals, dtype=np.float32)
    if signals.ndim != 2 or signals.shape[1] == 0:
        raise ValueError(f"signals must have the shape (n, n_samples), got {signals.shape}")
    return signals


def check_sample_rate(sample_rate_hz: float) -> None:
    """Raise ValueError unless the sample rate, in Hz, is a positive finite number."""
    if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
        raise ValueError(f"sample_rate_hz must be positive and finite, got {sample_rate_hz}")


def chunks(batch: Array, *, size: int) -> Iterator[Array]:
    """Cut a batch into chunks of `size` records; on a GPU, of at least `DEVICE_RECORDS`."""
    if array_module(batch) is not np:
        size = max(size, DEVICE_RECORDS)
    return (batch[start : start + size] for start in range(0, len(batch), size))


def in_chunks(function: Callable[[Array], Array], batch: Array, *, size: int) -> Float32Array:
    """Apply a function to `size` records at a time, so that memory does not grow with the batch.

    Args:
        function: Takes and returns arrays whose first axis is the record.
        batch: Input, shape (n, ...).
        size: Records in a chunk on a CPU.

    Returns:
        The results of all chunks, float32, shape (n, ...); an empty batch gives an empty result.
    """
    xp = array_module(batch)
    if len(batch) == 0:  # one blank record gives the shape of the result
        blank = xp.zeros((1, *batch.shape[1:]), batch.dtype)
        return in_chunks(function, blank, size=1)[:0]
    joined: Float32Array = xp.concatenate([to_float32(function(chunk)) for chunk in chunks(batch, size=size)])
    return joined


def to_float32(values: Array) -> Array:
    """Round to float32; values beyond its range are clipped to it, so no infinity arises."""
    if values.dtype == np.float32:
        return values
    return array_module(values).clip(values, -_FLOAT32_MAX, _FLOAT32_MAX).astype(np.float32)
