"""The networks: shapes, what must not be there, and what must not depend on what."""

import pytest
import torch

from xfmr.models.networks import (
    EMBEDDING_SIZE,
    Autoencoder,
    Classifier,
    VectorEncoder,
    as_input,
    build_autoencoder,
    build_encoder,
)


@pytest.mark.parametrize(
    ("branch", "shape"),
    [("spectrum", (451,)), ("zerone", (1200,)), ("image", (3, 64, 64)), ("raster", (3, 150, 150))],
)
def test_an_autoencoder_gives_back_the_shape_it_is_made_for(branch: str, shape: tuple[int, ...]) -> None:
    network: Autoencoder = build_autoencoder(branch, shape)
    inputs = torch.rand(2, *shape)
    assert network.encoder(inputs).shape == (2, EMBEDDING_SIZE)
    assert network(inputs).shape == inputs.shape


def test_the_vector_encoder_has_no_bias() -> None:
    encoder = VectorEncoder(7)
    assert [name for name, _ in encoder.named_parameters() if "bias" in name] == []
    assert torch.equal(encoder(torch.zeros(1, 7)), torch.zeros(1, EMBEDDING_SIZE))


def test_an_image_is_embedded_alike_in_any_company() -> None:
    encoder = build_encoder("image", (3, 64, 64)).train()
    images = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]), rtol=1e-4, atol=1e-5)


def test_a_frozen_classifier_leaves_its_encoder_without_gradient() -> None:
    classifier = Classifier(VectorEncoder(7), 3)
    classifier.frozen = True
    classifier(torch.rand(5, 7)).sum().backward()
    assert all(parameter.grad is None for parameter in classifier.encoder.parameters())
    assert all(parameter.grad is not None for parameter in classifier.head.parameters())
    classifier.frozen = False
    classifier(torch.rand(5, 7)).sum().backward()
    assert all(parameter.grad is not None for parameter in classifier.encoder.parameters())


def test_stored_images_become_fractions_and_vectors_stay() -> None:
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8)
    torch.testing.assert_close(as_input(stored), torch.tensor([0, 0.2, 1]))
    vector = torch.tensor([-3.0, 7.0])
    assert torch.equal(as_input(vector), vector)
