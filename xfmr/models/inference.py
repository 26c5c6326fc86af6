"""Apply a network to many stored values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.models.networks import as_input

_BATCH = 512


@torch.inference_mode()
def run_network(network: nn.Module, inputs: NDArray[Any]) -> Tensor:
    """Apply a network to stored values in batches, on the GPU where there is one.

    Args:
        network: Maps (b, ...) to (b, k).
        inputs: Float32, or uint8 images, shape (n, ...), n > 0.

    Returns:
        Shape (n, k), on the CPU.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device).eval()
    batches = torch.from_numpy(np.require(inputs, requirements="W")).split(_BATCH)
    return torch.cat([network(as_input(batch.to(device))).float().cpu() for batch in batches])
