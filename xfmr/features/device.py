"""Batches on the GPU, with transfers that overlap the computation, or on the CPU if there is no GPU."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xfmr.features._batch import Array, Float32Array

HostColumns = dict[str, npt.NDArray[Any]]


class _InFlight(NamedTuple):
    """A batch on the GPU. It keeps alive the buffers that its stream reads and writes until the stream is done."""

    stream: Any
    uploaded: Array
    columns: dict[str, Array]
    downloaded: HostColumns


def gpu() -> Any:
    """Return the `cupy` module if it is installed and sees a GPU, else None."""
    try:
        import cupy
    except ImportError:
        return None
    return cupy if cupy.cuda.is_available() else None


def compute_batches(
    batches: Iterable[Float32Array], compute: Callable[[Array], dict[str, Array]]
) -> Iterator[HostColumns]:
    """Compute columns of batches of signals, with one transfer to the GPU and one back per batch.

    Two batches are in flight, each in its own stream: while one is computed, the other is transferred and the caller
    prepares the next. Without a GPU, each batch is computed when the caller asks for it.

    Args:
        batches: Signals, float32, each of shape (n, n_samples).
        compute: Computes the columns of a batch, like `feature_columns`, as arrays of the batch's kind.

    Returns:
        The columns of each batch as NumPy arrays, in the order of the batches.
    """
    cupy = gpu()
    return map(compute, batches) if cupy is None else _through_gpu(cupy, batches, compute)


def _through_gpu(
    cupy: Any, batches: Iterable[Float32Array], compute: Callable[[Array], dict[str, Array]]
) -> Iterator[HostColumns]:
    streams = deque(cupy.cuda.Stream(non_blocking=True) for _ in range(2))
    in_flight: deque[_InFlight] = deque()
    for batch in batches:
        if len(in_flight) == len(streams):
            yield _landed(in_flight.popleft())
        in_flight.append(_launched(cupy, streams[0], batch, compute))
        streams.rotate()
    while in_flight:
        yield _landed(in_flight.popleft())


def _launched(cupy: Any, stream: Any, batch: Float32Array, compute: Callable[[Array], dict[str, Array]]) -> _InFlight:
    with stream:
        pinned = _pinned(batch.shape, batch.dtype)
        pinned[...] = batch
        signals = cupy.empty(batch.shape, batch.dtype)
        signals.set(pinned, stream=stream)
        columns = compute(signals)
        downloaded = {
            name: cupy.asnumpy(values, stream=stream, out=_pinned(values.shape, values.dtype), blocking=False)
            for name, values in columns.items()
        }
    return _InFlight(stream, pinned, columns, downloaded)


def _landed(batch: _InFlight) -> HostColumns:
    batch.stream.synchronize()
    return batch.downloaded


def _pinned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Allocate pinned host memory, which the GPU reads and writes while the CPU goes on."""
    import cupyx

    array: npt.NDArray[Any] = cupyx.empty_pinned(shape, np.dtype(dtype))
    return array
