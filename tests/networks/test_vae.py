"""Variational autoencoders: shapes, the divergence by hand, and no overflow far from the data."""

import pytest
import torch
from torch import Tensor, nn

from xfmr.networks.vae import Vae, build_vae


@pytest.mark.parametrize(
    ("shape", "latents"),
    [((451,), (16,)), ((3, 224, 224), (64, 7, 7)), ((3, 32, 32), (64, 1, 1)), ((3, 50, 50), (64, 2, 2))],
)
def test_it_gives_back_the_shape_it_is_made_for(shape: tuple[int, ...], latents: tuple[int, ...]) -> None:
    vae, inputs = build_vae(shape), torch.rand(2, *shape)
    assert vae.latent_shape == latents
    reconstruction, divergence = vae(inputs, torch.randn(2, *latents))
    assert reconstruction.shape == inputs.shape
    assert divergence.shape == (2,)


def fixed(mean: float, log_variance: float) -> Vae:
    """Encode whatever comes into two latents of one mean and one log variance, and decode by repeating them."""

    class Encoder(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.tensor([mean, mean, log_variance, log_variance]).repeat(len(inputs), 1)

    class Decoder(nn.Module):
        def forward(self, latents: Tensor) -> Tensor:
            return latents.repeat(1, 2)

    return Vae(Encoder(), Decoder(), (2,))


def test_the_divergence_is_that_of_normal_distributions() -> None:
    normal = torch.distributions.Normal
    _, divergence = fixed(1.5, -0.7)(torch.zeros(3, 4))
    nats = torch.distributions.kl_divergence(normal(1.5, torch.tensor(-0.7 / 2).exp()), normal(0.0, 1.0))
    torch.testing.assert_close(divergence, (2 * nats / 4).expand(3))
    assert torch.equal(fixed(0.0, 0.0)(torch.zeros(1, 4))[1], torch.zeros(1))


def test_noise_moves_the_latents_by_their_deviation() -> None:
    vae = fixed(1.0, 2 * torch.log(torch.tensor(3.0)).item())
    noise = torch.tensor([[0.5, -1.0]])
    torch.testing.assert_close(vae(torch.zeros(1, 4), noise)[0], torch.tensor([[2.5, -2.0, 2.5, -2.0]]))
    torch.testing.assert_close(vae(torch.zeros(1, 4))[0], torch.ones(1, 4))


def test_what_is_far_from_all_that_was_seen_has_a_finite_divergence() -> None:
    assert torch.isfinite(fixed(1e3, 1e3)(torch.zeros(1, 4))[1]).all()
