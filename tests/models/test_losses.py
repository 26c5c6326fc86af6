"""The losses on numbers that can be checked by hand."""

import torch
from torch.nn.functional import cross_entropy

from xfmr.models.losses import RESIDUAL_CLAMP, label_loss, reconstruction_loss, soft_boundary_loss, squared_distance


def test_a_residual_counts_up_to_the_clamp() -> None:
    inputs = torch.zeros(2, 2)
    reconstruction = torch.tensor([[1.0, 2.0], [100.0, 0.0]])
    expected = torch.tensor([(1 + 4) / 2, RESIDUAL_CLAMP**2 / 2])
    torch.testing.assert_close(reconstruction_loss(reconstruction, inputs), expected)


def test_the_parts_of_a_record_add_up() -> None:
    image, vector = torch.rand(3, 3, 4, 4), torch.randn(3, 5)
    blank = {"image": torch.zeros_like(image), "vector": torch.zeros_like(vector)}
    both = reconstruction_loss(blank, {"image": image, "vector": vector})
    torch.testing.assert_close(both, image.square().mean((1, 2, 3)) + vector.square().mean(1))


def test_squared_distance() -> None:
    embedding = torch.tensor([[3.0, 4.0], [1.0, 1.0]])
    torch.testing.assert_close(squared_distance(embedding, torch.tensor([0.0, 0.0])), torch.tensor([25.0, 2.0]))


def test_the_soft_boundary_pulls_only_what_lies_outside() -> None:
    distance = torch.tensor([1.0, 9.0], requires_grad=True)
    loss = soft_boundary_loss(distance, radius=2.0, nu=0.1)
    torch.testing.assert_close(loss, torch.tensor([4.0, 4.0 + 5.0 / 0.1]))
    loss.sum().backward()
    torch.testing.assert_close(distance.grad, torch.tensor([0.0, 10.0]))


def test_a_known_class_is_cross_entropy() -> None:
    logits, classes = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 2])
    expected = cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(label_loss(logits, classes, normal=1), expected)


def test_some_fault_asks_only_that_normal_be_unlikely() -> None:
    logits = torch.randn(6, 4)
    expected = -torch.log(1 - logits.softmax(1)[:, 1])
    torch.testing.assert_close(label_loss(logits, torch.full((6,), -1), normal=1), expected)
