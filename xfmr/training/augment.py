"""Augmentation for contrastive learning: two views that differ as records of the same state do.

The gain changes, noise is added, a band of frequencies or of times is masked, and the lines shift by a fraction of a
bin, as with speed or mains frequency. Amounts are in robust sigmas: 1 in a standardised vector, 1/16 in an image.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from xfmr.networks.encoders import Inputs

GAIN_SIGMAS = 0.5
NOISE_SIGMAS = 0.5
LARGEST_MASK = 0.25
JITTER_BINS = 0.5
_IMAGE_SIGMA = 1 / 16
# Random numbers per view: gain, noise level, noise position, jitter, and centre and width of two masks.
_N_DRAWS = 8


class Augmentation:
    """Makes views that depend on the seed, the epoch and the record, but not on the batch or the worker.

    Args:
        seed: Seed of all random numbers.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._noise: dict[int, Tensor] = {}

    def __call__(self, inputs: Inputs, rows: Tensor, epoch: int) -> Inputs:
        """Make two views of each record.

        Args:
            inputs: Network input of n records.
            rows: Positions of these records in the data, shape (n,).
            epoch: Number of the epoch.

        Returns:
            Network input of 2n records: all first views, then all second views.
        """
        keys = [(self._seed, epoch, row) for row in rows.tolist()]
        drawn = np.array([np.random.default_rng(key).random((2, _N_DRAWS)) for key in keys], np.float32)
        draws = torch.from_numpy(drawn.reshape(-1, 2, _N_DRAWS)).transpose(0, 1).flatten(0, 1).to(rows.device)
        if isinstance(inputs, dict):
            return {name: self._views(part, draws) for name, part in inputs.items()}
        return self._views(inputs, draws)

    def _views(self, values: Tensor, draws: Tensor) -> Tensor:
        """Make two views of values (n, ...) from random numbers (2n, 8): (2n, ...)."""
        sigma = 1.0 if values.ndim == 2 else _IMAGE_SIGMA
        # A vector is an image of one channel and one column.
        planes = (values[:, None, :, None] if values.ndim == 2 else values).repeat(2, 1, 1, 1)
        gain, level, place, jitter = draws[:, :4, None, None, None].unbind(1)
        noise = self._noise_at(place.flatten(), planes.shape[1:].numel()).view_as(planes)
        moved = _shifted(planes, JITTER_BINS * (2 * jitter - 1))
        changed = moved + sigma * (GAIN_SIGMAS * (2 * gain - 1) + NOISE_SIGMAS * level * noise)
        masked = _band(planes.shape[2], draws[:, 4:6])[:, None, :, None]
        if planes.shape[3] > 1:
            masked = masked | _band(planes.shape[3], draws[:, 6:])[:, None, None, :]
        return torch.where(masked, changed.mean((2, 3), keepdim=True), changed).reshape(-1, *values.shape[1:])

    def _noise_at(self, place: Tensor, size: int) -> Tensor:
        """Cut each view's noise from one long stretch, which is cheaper than drawing it: (2n,) -> (2n, size)."""
        if size not in self._noise:
            stretch = torch.randn(2 * size, generator=torch.Generator().manual_seed(self._seed))
            self._noise[size] = stretch.to(place.device)
        return self._noise[size].unfold(0, size, 1)[(place * size).long()]


def _shifted(planes: Tensor, bins: Tensor) -> Tensor:
    """Shift the rows up or down by a fraction of a row, by blending each with its neighbour."""
    above, below = planes.roll(1, dims=2), planes.roll(-1, dims=2)
    return planes + bins.clamp(min=0) * (above - planes) - bins.clamp(max=0) * (below - planes)


def _band(length: int, draws: Tensor) -> Tensor:
    """Return the mask of a band of an axis from its centre and width in 0..1: (2n, 2) -> (2n, length)."""
    position = (torch.arange(length, device=draws.device) + 0.5) / length
    return (position - draws[:, :1]).abs() < LARGEST_MASK / 2 * draws[:, 1:]
