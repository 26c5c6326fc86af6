"""Losses, one value a record; the train loop averages them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from xfmr.networks.encoders import Inputs

# A residual counts at most this much, in the input's unit (robust sigmas, or grey levels of 0..1): the history is
# not clean, and a squared error would spend the network on its few faulty records.
RESIDUAL_CLAMP = 3.0
# Of the contrastive loss: the lower, the more the nearest of the other records count.
TEMPERATURE = 0.2


def reconstruction_loss(reconstruction: Inputs, inputs: Inputs, *, clamp: float = RESIDUAL_CLAMP) -> Tensor:
    """Mean squared residual of each record, residuals clamped: (n, ...), (n, ...) -> (n,); summed over parts."""
    if isinstance(inputs, dict):
        assert isinstance(reconstruction, dict)
        parts = [reconstruction_loss(reconstruction[name], inputs[name], clamp=clamp) for name in inputs]
        return torch.stack(parts).sum(0)
    assert isinstance(reconstruction, Tensor)
    residual = (reconstruction - inputs).clamp(-clamp, clamp)
    return residual.square().flatten(1).mean(1)


def absolute_residual(reconstruction: Tensor, inputs: Tensor) -> Tensor:
    """Mean absolute residual of each record, residuals clamped: (n, ...), (n, ...) -> (n,)."""
    return (reconstruction - inputs).abs().clamp(max=RESIDUAL_CLAMP).flatten(1).mean(1)


def nt_xent(pairs: Tensor, everyone: Tensor, start: int) -> Tensor:
    """Normalised temperature-scaled cross-entropy: which of everyone's views is the other one of this record?

    Args:
        pairs: Both views of some records, unit vectors, shape (m, 2, d).
        everyone: Both views of all records of the batch, shape (n, 2, d).
        start: Where the m records stand among the n.

    Returns:
        Mean of both views' losses, shape (m,). At chance it is log(2n - 1).
    """
    views = pairs.flatten(0, 1)
    own = torch.arange(len(views), device=views.device) + 2 * start
    logits = (views @ everyone.flatten(0, 1).T / TEMPERATURE).scatter(1, own[:, None], -torch.inf)
    other = own ^ 1  # views 2i and 2i + 1 are of one record
    return functional.cross_entropy(logits, other, reduction="none").view(-1, 2).mean(1)


def squared_distance(embedding: Tensor, centre: Tensor) -> Tensor:
    """Squared distance to the hypersphere's centre: (n, d), (d,) -> (n,)."""
    return (embedding - centre).square().sum(1)


def soft_boundary_loss(distance: Tensor, radius: float, nu: float) -> Tensor:
    """Deep SVDD's soft boundary: R^2 + max(0, d^2 - R^2) / nu of each squared distance, (n,) -> (n,)."""
    return radius**2 + (distance - radius**2).clamp(min=0) / nu


def label_loss(logits: Tensor, classes: Tensor, normal: int) -> Tensor:
    """Cross-entropy where the class is known; where it is -1, -log P(any fault): (n, k), (n,) -> (n,).

    A pseudo-label ``anomaly`` says that a record is faulty and not how, so it asks only that the normal class be
    unlikely.

    Args:
        logits: Shape (n, k).
        classes: Class of each record, or -1 for a fault of unknown type, shape (n,).
        normal: Index of the normal class.
    """
    known = functional.cross_entropy(logits, classes.clamp(min=0), reduction="none")
    others = torch.cat([logits[:, :normal], logits[:, normal + 1 :]], dim=1)
    some_fault = logits.logsumexp(1) - others.logsumexp(1)
    return torch.where(classes >= 0, known, some_fault)
