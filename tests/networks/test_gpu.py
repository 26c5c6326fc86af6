"""Images on a GPU: bfloat16 and channels last give what float32 on the CPU gives, to within bfloat16's rounding."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from xfmr.networks.encoders import Inputs, build_autoencoder, build_encoder, to_device, to_inputs
from xfmr.networks.inference import run_network
from xfmr.networks.losses import reconstruction_loss

pytestmark = pytest.mark.gpu


@pytest.fixture
def rows() -> np.ndarray:
    """Smooth images, as scalograms are."""
    noise = np.random.default_rng(0).random((16, 3, 8, 8))
    return np.rint(255 * noise.repeat(8, axis=2).repeat(8, axis=3)).astype(np.uint8)


def gradient(network: torch.nn.Module, inputs: Inputs) -> torch.Tensor:
    reconstruction_loss(network(inputs), inputs).mean().backward()
    return torch.cat([parameter.grad.flatten().cpu() for parameter in network.parameters()])


def test_embeddings_are_those_of_float32(rows: np.ndarray) -> None:
    torch.manual_seed(0)
    encoder = build_encoder("image", (3, 64, 64))
    with torch.inference_mode():
        expected = deepcopy(encoder).eval()(to_inputs(rows, "cpu"))
    found = run_network(encoder, rows)
    assert found.dtype == torch.float32
    assert encoder.trunk.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert float((found - expected).norm() / expected.norm()) < 0.02
    spread = (expected - expected.mean(0)).norm()
    assert float((found - found.mean(0) - expected + expected.mean(0)).norm() / spread) < 0.1


def test_gradients_point_where_those_of_float32_do(rows: np.ndarray) -> None:
    torch.manual_seed(0)
    network = build_autoencoder("image", (3, 64, 64))
    on_gpu = to_device(deepcopy(network), "cuda")
    expected = gradient(network, to_inputs(rows, "cpu"))
    found = gradient(on_gpu, to_inputs(rows, "cuda"))
    assert float(torch.cosine_similarity(found, expected, dim=0)) > 0.98
    assert float(found.norm() / expected.norm()) == pytest.approx(1, abs=0.1)
