"""Apply a network to many stored values."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfmr.networks.encoders import to_device, to_inputs

_BATCH = 512


@torch.inference_mode()
def run_network(network: nn.Module, inputs: NDArray[Any]) -> Tensor:
    """Apply a network to stored values in batches, on a GPU if the machine has one.

    Args:
        network: Maps (b, ...) to (b, k).
        inputs: Stored rows, n > 0, in a form that :func:`xfmr.networks.encoders.to_inputs` accepts.

    Returns:
        Shape (n, k), on the CPU.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = to_device(network, device).eval()
    batches = (inputs[start : start + _BATCH] for start in range(0, len(inputs), _BATCH))
    return torch.cat([network(to_inputs(batch, device)).float().cpu() for batch in batches])
