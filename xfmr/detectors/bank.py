"""The bank: how far a record is from the healthy records of its sensor.

No network is trained. A record's spectrum and mains lines, free of their level, standardised per sensor and whitened
by how the fleet's healthy records vary, are compared with the sensor's own bank of records, as the distance to the
nearest and, the more history there is, as the distance from their mean. Both are calibrated per sensor by what the
history itself scores when it is held out, and by what it scores at that time of the day.

So that a noisier record is no fault, the bank is kept several times: as it is and as it would be with white noise
added. And so that a knock is none, such as a tap changer's, a record is seen twice: whole, and by its quieter parts
alone. A record may be explained by any of these, by its quieter parts at a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.known import KnownView, Rows, learn_view
from xfmr.history import CleanHistory
from xfmr.inputs.model import record_times, sensor_keys
from xfmr.models.checkpoint import StoredModel, to_bytes
from xfmr.normal import SensorKey, as_sensors, rows_by_key
from xfmr.normal.harmonics import HARMONIC_COLUMNS, hum_views
from xfmr.normal.neighbours import thinned

# Sigmas that a record pays for being explained by its quieter parts alone. Of 1 to 4, 2 and 3 do best on three
# synthetic fleets, where AUC rises from .984 to .996; the gearbox's tooth, which knocks as well, falls from .996 to
# .991 with 3.
QUIET_PRICE = 3.0
# The fewest records that a sensor keeps in the bank, however many sensors share its size.
_LEAST_KEPT = 10


@dataclass(frozen=True)
class BankDetector:
    """A fitted bank.

    Args:
        whole: The healthy records, seen whole.
        quiet: The same records by their quieter parts.
        history_ids: Ids of all records it was fitted to, ascending, (n,).
        held_out: Their scores by what was fitted without them, (n,).
    """

    whole: KnownView
    quiet: KnownView
    history_ids: NDArray[np.int64]
    held_out: NDArray[np.float32]

    @property
    def columns(self) -> list[str]:
        """The feature columns that are read."""
        return HARMONIC_COLUMNS

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table, float32 (n,): in sigmas of the sensor's held-out history.

        A record of that history is scored as it was when held out, not by the bank that it is part of.
        """
        ids = table["record_id"].to_numpy().astype(np.int64)
        rows = Rows(ids, sensor_keys(table), record_times(table))
        whole, quiet = (known.score(known.view.values(table), rows) for known in (self.whole, self.quiet))
        place = np.searchsorted(self.history_ids, ids).clip(max=len(self.history_ids) - 1)
        return np.where(self.history_ids[place] == ids, self.held_out[place], _least(whole, quiet))

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
        known, view = self.whole, self.whole.view
        sensors = sorted(set(known.keys))
        position = {sensor: row for row, sensor in enumerate(sensors)}
        tensors = {
            "bank_ids": torch.from_numpy(known.ids),
            "history_ids": torch.from_numpy(self.history_ids),
            "held_out": torch.from_numpy(self.held_out),
            "sensor": torch.tensor([position[key] for key in known.keys]),
        }
        for name in ("whole", "quiet"):
            tensors |= {f"{name}.{part}": tensor for part, tensor in getattr(self, name).tensors().items()}
        description = {
            "kind": "bank",
            "mains_hz": view.mains_hz,
            "sample_rate_hz": view.sample_rate_hz,
            "sensors": sensors,
            "whole": self.whole.description(),
            "quiet": self.quiet.description(),
        }
        return to_bytes(tensors, description)

    @classmethod
    def restore(cls, model: StoredModel) -> BankDetector:
        """Rebuild from what :meth:`to_bytes` wrote."""
        text, tensors = model.description, model.tensors
        sensors = as_sensors(text["sensors"])
        ids, keys = tensors["bank_ids"].numpy(), tuple(sensors[row] for row in tensors["sensor"])
        views = hum_views(mains_hz=text["mains_hz"], sample_rate_hz=text["sample_rate_hz"])
        whole, quiet = (
            KnownView.restore(view, text[name], model.part(name), ids, keys)
            for view, name in zip(views, ("whole", "quiet"), strict=True)
        )
        return cls(whole, quiet, tensors["history_ids"].numpy(), tensors["held_out"].numpy())


def fit_bank(clean: CleanHistory, *, mains_hz: float, sample_rate_hz: float, size: int) -> BankDetector:
    """Fit a bank to a history.

    Args:
        clean: What :func:`xfmr.history.load_bank_history` gives for :func:`xfmr.normal.harmonics.hum_views`.
        mains_hz: Mains frequency in Hz.
        sample_rate_hz: Sampling rate in Hz.
        size: Records that the bank keeps, shared out over the sensors; at least 10 of each.
    """
    views = hum_views(mains_hz=mains_hz, sample_rate_hz=sample_rate_hz)
    history = clean.history
    rows = Rows(history.record_ids, history.keys, history.times)
    kept = _shared_out(rows.keys, size)
    values = np.split(history.values, [views[0].width], axis=1)
    (whole, scored_whole), (quiet, scored_quiet) = (
        learn_view(view, part, rows, kept) for view, part in zip(views, values, strict=True)
    )
    history_ids, first = np.unique(rows.ids, return_index=True)
    return BankDetector(whole, quiet, history_ids, _least(scored_whole, scored_quiet)[first])


def _least(whole: NDArray[np.float32], quiet: NDArray[np.float32]) -> NDArray[np.float32]:
    least: NDArray[np.float32] = np.minimum(whole, QUIET_PRICE + quiet)
    return least


def _shared_out(keys: Sequence[SensorKey], size: int) -> NDArray[np.int64]:
    """Thin every sensor's records evenly to its share of a bank."""
    rows = rows_by_key(keys)
    share = max(_LEAST_KEPT, size // len(rows))
    return np.concatenate([thinned(own, share) for own in rows.values()])
