"""The losses on numbers that can be checked by hand."""

import torch
from torch.nn.functional import cross_entropy, normalize

from xfmr.networks.losses import (
    RESIDUAL_CLAMP,
    TEMPERATURE,
    label_loss,
    nt_xent,
    reconstruction_loss,
    soft_boundary_loss,
    squared_distance,
)


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


def test_nt_xent_by_hand() -> None:
    pairs = normalize(torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0)), dim=2)
    expected = torch.zeros(5, 2)
    for i in range(5):
        for v in range(2):
            others = [(j, w) for j in range(5) for w in range(2) if (j, w) != (i, v)]
            logits = torch.stack([pairs[i, v] @ pairs[j, w] for j, w in others]) / TEMPERATURE
            expected[i, v] = logits.logsumexp(0) - pairs[i, 0] @ pairs[i, 1] / TEMPERATURE
    torch.testing.assert_close(nt_xent(pairs, pairs, 0), expected.mean(1))
    torch.testing.assert_close(nt_xent(pairs[3:], pairs, 3), expected[3:].mean(1))


def test_nt_xent_at_chance_and_alone() -> None:
    one_point = torch.ones(7, 2, 1)
    torch.testing.assert_close(nt_xent(one_point, one_point, 0), torch.full((7,), 13.0).log())
    assert nt_xent(one_point[:1], one_point[:1], 0).tolist() == [0]
