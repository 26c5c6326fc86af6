"""The networks: shapes, what must not be there, and what must not depend on what."""

from typing import get_args

import numpy as np
import pytest
import torch

from xfmr.networks import inference
from xfmr.networks.encoders import (
    EMBEDDING_SIZE,
    Classifier,
    ImageEncoder,
    VectorEncoder,
    build_autoencoder,
    build_encoder,
    to_device,
    to_inputs,
)
from xfmr.networks.inference import run_network
from xfmr.networks.losses import reconstruction_loss
from xfmr.settings.stage_one import Branch
from xfmr.views.views import input_shape, packed

SHAPES: dict[Branch, tuple[int, ...]] = {
    "spectrum": (451,),
    "zerone": (1200,),
    "image": (3, 50, 50),
    "raster": (3, 150, 150),
    "dual": (3, 64, 64, 451),
}
LAST_BLOCKS = {
    "spectrum": {"2"},
    "zerone": {"2"},
    "image": {"trunk.layer4", "projection"},
    "raster": {"trunk.layer4", "projection"},
    "dual": {"image.trunk.layer4", "image.projection", "vector.2", "projection"},
}
BRANCHES = get_args(Branch)


def stored_rows(branch: Branch, n: int) -> np.ndarray:
    """Return random rows as the branch stores them."""
    random, shape = np.random.default_rng(0), SHAPES[branch]
    parts = {}
    if len(shape) >= 3:
        parts["image"] = random.integers(256, size=(n, *shape[:3]), dtype=np.uint8)
    if len(shape) != 3:
        parts["vector"] = random.standard_normal((n, shape[-1])).astype(np.float32)
    return packed(parts)


@pytest.mark.parametrize("branch", BRANCHES)
def test_an_autoencoder_gives_back_the_shape_it_is_made_for(branch: Branch) -> None:
    rows = stored_rows(branch, 2)
    assert input_shape(rows) == SHAPES[branch]
    network, inputs = build_autoencoder(branch, input_shape(rows)), to_inputs(rows, "cpu")
    assert network.encoder(inputs).shape == (2, EMBEDDING_SIZE)
    reconstruction = network(inputs)
    assert reconstruction_loss(reconstruction, inputs).shape == (2,)
    if not isinstance(inputs, dict):
        reconstruction, inputs = {"": reconstruction}, {"": inputs}
    assert {name: t.shape for name, t in reconstruction.items()} == {name: t.shape for name, t in inputs.items()}


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_encoder_ends_without_bias_in_the_block_that_is_unfrozen(branch: Branch) -> None:
    encoder = build_encoder(branch, SHAPES[branch])
    last = {id(parameter) for parameter in encoder.last_block().parameters()}
    names = {name for name, parameter in encoder.named_parameters() if id(parameter) in last}
    assert {block for block in LAST_BLOCKS[branch] for name in names if name.startswith(f"{block}.")} == LAST_BLOCKS[
        branch
    ]
    assert all(name.startswith(tuple(LAST_BLOCKS[branch])) for name in names)
    ends = [name for name in names if "layer4" not in name]
    assert ends
    assert not any("bias" in name for name in ends)


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_classifier_learns_through_the_last_block_of_any_branch(branch: Branch) -> None:
    encoder = build_encoder(branch, SHAPES[branch]).requires_grad_(False)
    encoder.last_block().requires_grad_(True)
    Classifier(encoder, 3)(to_inputs(stored_rows(branch, 2), "cpu")).square().sum().backward()
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in encoder.parameters())


@pytest.mark.parametrize("branch", BRANCHES)
def test_stored_rows_are_embedded_batch_by_batch_as_one_by_one(
    branch: Branch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_BATCH", 2)
    encoder, rows = build_encoder(branch, SHAPES[branch]), stored_rows(branch, 3)
    rows.flags.writeable = False  # as Ray hands them out
    found = run_network(encoder, rows)
    expected = torch.cat([run_network(encoder, rows[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_vector_encoder_has_no_bias() -> None:
    encoder = VectorEncoder(7)
    assert [name for name, _ in encoder.named_parameters() if "bias" in name] == []
    assert torch.equal(encoder(torch.zeros(1, 7)), torch.zeros(1, EMBEDDING_SIZE))


def test_an_image_is_embedded_alike_in_any_company() -> None:
    encoder = build_encoder("image", (3, 64, 64)).train()
    images = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(encoder(images)[:1], encoder(images[:1]), rtol=1e-4, atol=1e-5)


def test_on_a_cpu_images_are_computed_in_float32_as_they_stand() -> None:
    encoder, images = build_encoder("image", (3, 64, 64)), torch.rand(2, 3, 64, 64)
    assert isinstance(encoder, ImageEncoder)
    assert torch.equal(encoder(images), encoder.projection(encoder.trunk(images)))
    assert to_device(encoder, "cpu").trunk.conv1.weight.is_contiguous()


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
    images, vectors = np.array([[0, 51, 255]], np.uint8), np.array([[-3.0, 7.0]], np.float32)
    torch.testing.assert_close(to_inputs(images, "cpu"), torch.tensor([[0, 0.2, 1]]))
    assert torch.equal(to_inputs(vectors, "cpu"), torch.from_numpy(vectors))
    both = to_inputs(packed({"image": images, "vector": vectors}), "cpu")
    assert isinstance(both, dict)
    torch.testing.assert_close(both["image"], torch.tensor([[0, 0.2, 1]]))
    assert torch.equal(both["vector"], torch.from_numpy(vectors))
