"""The interface of every detector."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Detector(Protocol):
    """Scores records by their distance from a history, in sigmas of the history's out-of-fold scores."""

    @property
    def columns(self) -> list[str]:
        """The feature columns that it reads, besides the identity of a record."""
        ...

    @property
    def history_ids(self) -> NDArray[np.int64]:
        """Ids of the records that it learned as normal, shape (m,)."""
        ...

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, higher for the more abnormal, shape (n,)."""
        ...

    def to_bytes(self) -> bytes:
        """Serialise everything that scoring needs."""
        ...
