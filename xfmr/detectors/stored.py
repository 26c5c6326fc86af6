"""How a detector is read back from its file."""

from __future__ import annotations

from collections.abc import Callable

from xfmr.detectors.bank import BankDetector
from xfmr.detectors.base import Detector
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.errors import XfmrError
from xfmr.networks.checkpoint import StoredModel, from_bytes


def detector_from_bytes(data: bytes, name: str) -> Detector:
    """Read what a detector's ``to_bytes`` wrote.

    Args:
        data: The file's content.
        name: The file's name, for messages.

    Raises:
        XfmrError: Where the file is damaged, holds no detector or is of a version that knew less.
    """
    model = from_bytes(data, name, kind=tuple(_RESTORE))
    try:
        return _RESTORE[model.description["kind"]](model)
    except KeyError as error:
        raise XfmrError(
            f"{name} was written by another version of xfmr (it has no {error}): remove its folder and train again"
        ) from error


def _restore_ensemble(model: StoredModel) -> EnsembleDetector:
    return EnsembleDetector.restore(model, detector_from_bytes)


_RESTORE: dict[str, Callable[[StoredModel], Detector]] = {
    "bank": BankDetector.restore,
    "ae": DeepDetector.restore,
    "svdd": DeepDetector.restore,
    "vae": DeepDetector.restore,
    "ensemble": _restore_ensemble,
}
