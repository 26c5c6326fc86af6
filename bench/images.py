"""Images per second of the image encoder on a GPU, against a plain float32 PyTorch loop with the same network.

python -m bench.images
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from xfmr.networks.encoders import (
    Autoencoder,
    ImageDecoder,
    ImageEncoder,
    Inputs,
    build_autoencoder,
    to_device,
    to_inputs,
)
from xfmr.networks.inference import run_network
from xfmr.networks.losses import reconstruction_loss

SHAPE = (3, 224, 224)
N_IMAGES = 4096
BATCH = 256
ROUNDS = 3


class PlainEncoder(nn.Module):
    """The encoder's layers, called directly in float32."""

    def __init__(self, encoder: ImageEncoder) -> None:
        super().__init__()
        self.layers = nn.Sequential(encoder.trunk, encoder.projection)

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch of images in float32."""
        embedding: Tensor = self.layers(images)
        return embedding


class PlainDecoder(nn.Module):
    """The decoder's layers, called directly in float32."""

    def __init__(self, decoder: ImageDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, embedding: Tensor) -> Tensor:
        """Reconstruct a batch of images in float32."""
        images = self.decoder.grow(self.decoder.start(embedding).unflatten(1, (128, 8, 8)))
        return torch.sigmoid(nn.functional.interpolate(images, size=SHAPE[1:], mode="bilinear", align_corners=False))


def images_a_second(step: Callable[[], object]) -> float:
    """Return the images per second of the fastest of three runs over all images."""
    step()  # warm up: choose kernels, allocate memory
    times = []
    for _ in range(ROUNDS):
        torch.cuda.synchronize()
        began = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return N_IMAGES / min(times)


def embed_plainly(network: nn.Module, images: np.ndarray) -> Tensor:
    """Embed stored images in the usual tutorial loop."""
    network.eval()
    with torch.no_grad():
        batches = torch.from_numpy(images).split(BATCH)
        return torch.cat([network(batch.to("cuda").float() / 255).cpu() for batch in batches])


def train(network: nn.Module, images: np.ndarray, load: Callable[[np.ndarray], Inputs]) -> None:
    """Train an autoencoder for one epoch."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    for start in range(0, len(images), BATCH):
        batch = load(images[start : start + BATCH])
        loss = reconstruction_loss(network(batch), batch).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def main() -> None:
    """Print the table."""
    if not torch.cuda.is_available():
        print("images a second on a GPU: left out, this machine has none")
        return
    images = np.random.default_rng(0).integers(256, size=(N_IMAGES, *SHAPE), dtype=np.uint8)
    ours = build_autoencoder("image", SHAPE)
    plain = Autoencoder(PlainEncoder(ImageEncoder()), PlainDecoder(ImageDecoder(SHAPE[-1]))).to("cuda")
    to_device(ours, "cuda")
    steps: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "embed": (lambda: run_network(ours.encoder, images), lambda: embed_plainly(plain.encoder, images)),
        "train": (
            lambda: train(ours, images, lambda batch: to_inputs(batch, "cuda")),
            lambda: train(plain, images, lambda batch: torch.from_numpy(batch).to("cuda").float() / 255),
        ),
    }
    print(f"{torch.cuda.get_device_name()}, images of {SHAPE[1]} pixels a second")
    print(f"{'':10}{'xfmr':>10}{'plain':>10}{'ratio':>8}")
    for name, (step, plain_step) in steps.items():
        fast, slow = images_a_second(step), images_a_second(plain_step)
        print(f"{name:10}{fast:10.0f}{slow:10.0f}{fast / slow:8.1f}")


if __name__ == "__main__":
    main()
