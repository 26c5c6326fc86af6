"""Losses, one value per record; the train loop averages them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from xfmr.networks.encoders import Inputs

# Residuals are clamped to this, in the input's unit (robust sigmas, or grey levels of 0..1): the history is not
# clean, and its few faulty records would dominate an unclamped squared error.
RESIDUAL_CLAMP = 3.0
# Temperature of the contrastive loss: the lower it is, the more the nearest of the other records count.
TEMPERATURE = 0.2


def reconstruction_loss(reconstruction: Inputs, inputs: Inputs, *, clamp: float = RESIDUAL_CLAMP) -> Tensor:
    """Return each record's mean squared residual, clamped and summed over parts: (n, ...), (n, ...) -> (n,)."""
    if isinstance(inputs, dict):
        assert isinstance(reconstruction, dict)
        parts = [reconstruction_loss(reconstruction[name], inputs[name], clamp=clamp) for name in inputs]
        return torch.stack(parts).sum(0)
    assert isinstance(reconstruction, Tensor)
    residual = (reconstruction - inputs).clamp(-clamp, clamp)
    return residual.square().flatten(1).mean(1)


def absolute_residual(reconstruction: Tensor, inputs: Tensor) -> Tensor:
    """Return each record's mean absolute residual, clamped: (n, ...), (n, ...) -> (n,)."""
    return (reconstruction - inputs).abs().clamp(max=RESIDUAL_CLAMP).flatten(1).mean(1)


def nt_xent(pairs: Tensor, all_pairs: Tensor, start: int) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy of finding each record's other view in the batch.

    Args:
        pairs: Both views of this worker's m records, unit vectors, shape (m, 2, d).
        all_pairs: Both views of all n records of the batch, shape (n, 2, d).
        start: Position of the m records among the n.

    Returns:
        Mean loss of both views, shape (m,); log(2n - 1) at chance.
    """
    views = pairs.flatten(0, 1)
    own = torch.arange(len(views), device=views.device) + 2 * start
    logits = (views @ all_pairs.flatten(0, 1).T / TEMPERATURE).scatter(1, own[:, None], -torch.inf)
    other = own ^ 1  # views 2i and 2i + 1 belong to one record
    return functional.cross_entropy(logits, other, reduction="none").view(-1, 2).mean(1)


def squared_distance(embedding: Tensor, centre: Tensor) -> Tensor:
    """Return squared distances to the centre of a hypersphere: (n, d), (d,) -> (n,)."""
    return (embedding - centre).square().sum(1)


def soft_boundary_loss(distance: Tensor, radius: float, nu: float) -> Tensor:
    """Return Deep SVDD's soft-boundary loss, R^2 + max(0, d^2 - R^2) / nu, from squared distances: (n,) -> (n,)."""
    return radius**2 + (distance - radius**2).clamp(min=0) / nu


def label_loss(logits: Tensor, classes: Tensor, normal: int) -> Tensor:
    """Return the cross-entropy of a known class, or -log P(any fault) if it is -1: (n, k), (n,) -> (n,).

    The pseudo-label ``anomaly`` says that a record is faulty, but not how. So its loss only makes the normal class
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
