"""Variational autoencoders: of images with a spatial latent, of vectors with a small one.

D. Kingma, M. Welling, Auto-Encoding Variational Bayes, ICLR 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from xfmr.networks.encoders import VECTOR_WIDTHS, doubling, group_norm, mlp

VECTOR_LATENTS = 16
IMAGE_LATENTS = 64
# The stages of a ResNet halve an image this often in all.
_REDUCTION = 32
# Log variances of the latents stay within this of 0: what is far from all that was seen must not overflow.
_MOST_LOG_VARIANCE = 10.0


class Vae(nn.Module):
    """An encoder to mean and log variance of normal latents, and a decoder back.

    Args:
        encoder: (n, ...) -> (n, 2 l, ...), the means before the log variances.
        decoder: (n, l, ...) -> (n, ...).
        latent_shape: Of one record's latents, (l, ...).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.latent_shape = latent_shape

    def forward(self, inputs: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Reconstruct a batch.

        Args:
            inputs: Shape (n, ...).
            noise: Standard normal values that move the latents about their means, (n, l, ...); none to reconstruct
                from the means.

        Returns:
            The reconstruction, shape (n, ...), and each record's Kullback-Leibler divergence of its latents from
            standard normal ones, in nats for each value of the input, (n,).
        """
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        log_variance = log_variance.clamp(-_MOST_LOG_VARIANCE, _MOST_LOG_VARIANCE)
        latents = mean if noise is None else mean + noise * (log_variance / 2).exp()
        nats = (mean.square() + log_variance.exp() - 1 - log_variance).flatten(1).sum(1) / 2
        return self.decoder(latents), nats / inputs.shape[1:].numel()


class SpatialDecoder(nn.Module):
    """(n, 64, s, s) -> (n, 3, S, S) in 0..1."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        widths = (256, 128, 64, 32, 16)
        grow = [doubling(n_in, n_out) for n_in, n_out in zip(widths, (*widths[1:], 16), strict=True)]
        start = nn.Conv2d(IMAGE_LATENTS, widths[0], 3, padding=1)
        self.layers = nn.Sequential(start, nn.LeakyReLU(0.1), *grow, nn.Conv2d(16, 3, 3, padding=1))

    def forward(self, latents: Tensor) -> Tensor:
        """Reconstruct a batch of images."""
        size = (self.size, self.size)
        return torch.sigmoid(functional.interpolate(self.layers(latents), size, mode="bilinear", align_corners=False))


def build_vae(shape: Sequence[int]) -> Vae:
    """Make the autoencoder for images (3, S, S), latents 64 x S/32 x S/32, or for vectors (d,), 16 latents."""
    if len(shape) == 1:
        encoder = mlp([shape[0], *VECTOR_WIDTHS, 2 * VECTOR_LATENTS], bias=True)
        decoder = mlp([VECTOR_LATENTS, *reversed(VECTOR_WIDTHS), shape[0]], bias=True)
        return Vae(encoder, decoder, (VECTOR_LATENTS,))
    from torchvision.models import resnet18  # 1.4 s to import, which the other branches need not wait for

    stages = list(resnet18(norm_layer=group_norm).children())[:-2]
    side = -(-shape[-1] // _REDUCTION)
    encoder = nn.Sequential(*stages, nn.Conv2d(512, 2 * IMAGE_LATENTS, 1))
    return Vae(encoder, SpatialDecoder(shape[-1]), (IMAGE_LATENTS, side, side))
