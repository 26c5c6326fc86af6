"""Variational autoencoders: with a spatial latent for images, with 16 latents for vectors.

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
# The stages of a ResNet together reduce the side of an image by this factor.
_REDUCTION = 32
# Log variances of the latents are clamped to +- this: a record far from the history must not overflow.
_MAX_LOG_VARIANCE = 10.0


class Vae(nn.Module):
    """An encoder to the mean and log variance of normal latents, and a decoder.

    Args:
        encoder: (n, ...) -> (n, 2 l, ...): means, then log variances.
        decoder: (n, l, ...) -> (n, ...).
        latent_shape: Shape of one record's latents, (l, ...).
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
            noise: Standard normal values, scaled and added to the means, (n, l, ...); without them the batch is
                reconstructed from the means.

        Returns:
            The reconstruction, shape (n, ...), and the Kullback-Leibler divergence of each record's latents from the
            standard normal distribution, in nats per value of the input, (n,).
        """
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        log_variance = log_variance.clamp(-_MAX_LOG_VARIANCE, _MAX_LOG_VARIANCE)
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
    """Build the autoencoder for images (3, S, S), latents 64 x S/32 x S/32, or for vectors (d,), 16 latents."""
    if len(shape) == 1:
        encoder = mlp([shape[0], *VECTOR_WIDTHS, 2 * VECTOR_LATENTS], bias=True)
        decoder = mlp([VECTOR_LATENTS, *reversed(VECTOR_WIDTHS), shape[0]], bias=True)
        return Vae(encoder, decoder, (VECTOR_LATENTS,))
    from torchvision.models import resnet18  # takes 1.4 s to import, and only image branches need it

    stages = list(resnet18(norm_layer=group_norm).children())[:-2]
    side = -(-shape[-1] // _REDUCTION)
    encoder = nn.Sequential(*stages, nn.Conv2d(512, 2 * IMAGE_LATENTS, 1))
    return Vae(encoder, SpatialDecoder(shape[-1]), (IMAGE_LATENTS, side, side))
