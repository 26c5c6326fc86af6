"""How a detector is read back from its file."""

from __future__ import annotations

from collections.abc import Callable

from xfmr.detectors.bank import BankDetector
from xfmr.detectors.base import Detector
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.models.checkpoint import StoredModel, from_bytes


def detector_from_bytes(data: bytes, name: str) -> Detector:
    """Read what a detector's ``to_bytes`` wrote.

    Args:
        data: The file's content.
        name: The file's name, for messages.

    Raises:
        XfmrError: Where the file is damaged or holds no detector.
    """
    model = from_bytes(data, name, kind=tuple(_RESTORE))
    return _RESTORE[model.description["kind"]](model)


def _restore_ensemble(model: StoredModel) -> EnsembleDetector:
    return EnsembleDetector.restore(model, detector_from_bytes)


_RESTORE: dict[str, Callable[[StoredModel], Detector]] = {
    "bank": BankDetector.restore,
    "ae": DeepDetector.restore,
    "svdd": DeepDetector.restore,
    "vae": DeepDetector.restore,
    "ensemble": _restore_ensemble,
}
