"""What every detector offers, and how one is read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xfmr.detectors.bank import BankDetector
from xfmr.detectors.svdd import SvddDetector
from xfmr.models.checkpoint import StoredModel, from_bytes


class Detector(Protocol):
    """Scores records by how far they are from a history."""

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read, besides the identity of a record."""
        ...

    @property
    def history_ids(self) -> NDArray[np.int64]:
        """Ids of the records that it knows as normal, shape (m,)."""
        ...

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, higher for the more abnormal, shape (n,)."""
        ...

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
        ...


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


_RESTORE: dict[str, Callable[[StoredModel], Detector]] = {
    "bank": BankDetector.restore,
    "svdd": SvddDetector.restore,
}
