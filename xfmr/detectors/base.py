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
        """Score the rows of a features table, higher for the more abnormal, shape (n,).

        A record of the history gets its out-of-fold score, by a model that has not learned it: the thresholds are
        fitted to the scores of the history.
        """
        ...

    def to_bytes(self) -> bytes:
        """Serialise everything that scoring needs with :func:`xfmr.networks.checkpoint.to_bytes`.

        ``kind`` in the description is the detector's name in :data:`xfmr.detectors.kinds.KINDS`.
        """
        ...
