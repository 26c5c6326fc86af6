"""Which detectors there are for which branch and which pretraining: what --help, the settings and the tests go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from xfmr.settings.options import Branch, DetectorKind, Objective

_ALL_BRANCHES: tuple[Branch, ...] = get_args(Branch)


@dataclass(frozen=True)
class Combinations:
    """What a detector goes with.

    Args:
        summary: What its score is.
        branches: Branches that there are networks of it for; none where it reads the same whatever the branch.
        objectives: Pretraining that its networks may begin from; none where they need none.
    """

    summary: str
    branches: tuple[Branch, ...] = ()
    objectives: tuple[Objective, ...] = ()


DETECTORS: dict[DetectorKind, Combinations] = {
    "bank": Combinations("distance to the sensor's healthy records"),
    "ae": Combinations("reconstruction error of the pretrained autoencoders", _ALL_BRANCHES, ("ae",)),
    "svdd": Combinations("distance from Deep SVDD's centre", _ALL_BRANCHES, ("ae", "contrastive")),
    "vae": Combinations("error of a variational autoencoder", ("spectrum", "zerone", "image", "raster")),
    "ensemble": Combinations("weighted mean of those in --ensemble.members, what each of them goes with"),
}


def check_combination(kind: DetectorKind, branch: Branch, objective: Objective) -> None:
    """Refuse what there is not.

    Raises:
        ValueError: In a line for people.
    """
    possible = DETECTORS[kind]
    if possible.branches and branch not in possible.branches:
        raise ValueError(f"there is no {kind} for --branch {branch}: give one of {', '.join(possible.branches)}")
    if possible.objectives and objective not in possible.objectives:
        choices = ", ".join(possible.objectives)
        raise ValueError(f"there is no {kind} for --pretrain.objective {objective}: give one of {choices}")


def describe_detectors() -> str:
    """Say what there is, for --help."""
    return "; ".join(f"{kind}: {possible.summary}{_terms(possible)}" for kind, possible in DETECTORS.items())


def _terms(possible: Combinations) -> str:
    """Name branches, where not all, and pretraining."""
    terms = []
    if possible.branches and possible.branches != _ALL_BRANCHES:
        terms.append(f"branches {', '.join(possible.branches)}")
    if possible.objectives:
        terms.append(f"pretraining {' or '.join(possible.objectives)}")
    return f" ({'; '.join(terms)})" if terms else ""
