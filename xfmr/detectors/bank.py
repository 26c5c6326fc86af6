"""The bank: how far a record is from the healthy records of its sensor.

No network is trained. A record's spectrum and mains lines, free of their level, standardised per sensor and whitened
by how the fleet's healthy records vary, are compared with the sensor's own bank of records, as the distance to the
nearest and, the more history there is, as the distance from their mean. Both are calibrated per sensor by what the
history itself scores when it is held out, and by what it scores at that time of the day.

So that a noisier record is no fault, the bank is kept several times: as it is and as it would be with white noise
added, and the copy that explains a record best counts. So that a knock is no fault, such as a tap changer's, a record
with a knock in it may also be explained by its quieter parts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.calibration import Calibration
from xfmr.detectors.known import KnownView, Rows, learn_view
from xfmr.history.clean import CleanHistory
from xfmr.networks.checkpoint import StoredModel, to_bytes
from xfmr.normal import SensorKey, as_sensors, rows_by_key
from xfmr.normal.neighbours import BANK_SIZE, thinned
from xfmr.schema import to_numpy
from xfmr.views.hum import HARMONIC_COLUMNS, hum_views
from xfmr.views.inputs import record_times, sensor_keys
from xfmr.views.knocks import knock_ratio

# Sigmas of its sensor's history by which a record's loudest part stands out where there is a knock. On nine fleets of
# bench.fleets healthy records reach 4.2 of them, those with a tap changer in them 7 to 50; with any limit from 3 to 8
# AUC and false alarms are the same.
KNOCK_SIGMAS = 5.0
# The fewest records that a sensor keeps in the bank, however many sensors share its size.
_LEAST_KEPT = 10


@dataclass(frozen=True)
class BankDetector:
    """A fitted bank.

    Args:
        whole: The healthy records, seen whole.
        quiet: The same records by their quieter parts.
        knocks: How much louder than the rest a part of them is.
        history_ids: Ids of all records it was fitted to, ascending, (n,).
        held_out: Their scores by what was fitted without them, (n,).
    """

    whole: KnownView
    quiet: KnownView
    knocks: Calibration
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
        rows = _rows_of(table)
        scores = self.whole.score(self.whole.view.values(table), rows)
        knocked = _is_knocked(self.knocks, knock_ratio(to_numpy(table, "zerone")), rows.keys)
        part = table.filter(pa.array(knocked))
        scores[knocked] = np.minimum(scores[knocked], self.quiet.score(self.quiet.view.values(part), _rows_of(part)))
        place = np.searchsorted(self.history_ids, rows.ids).clip(max=len(self.history_ids) - 1)
        return np.where(self.history_ids[place] == rows.ids, self.held_out[place], scores)

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
        known, view = self.whole, self.whole.view
        sensors = sorted(set(known.keys))
        position = {sensor: row for row, sensor in enumerate(sensors)}
        tensors = {
            "bank_ids": torch.from_numpy(known.ids),
            "history_ids": torch.from_numpy(self.history_ids),
            "held_out": torch.from_numpy(self.held_out),
            "knocks": torch.from_numpy(np.stack([self.knocks.median, self.knocks.sigma])),
            "sensor": torch.tensor([position[key] for key in known.keys]),
        }
        for name in ("whole", "quiet"):
            tensors |= {f"{name}.{part}": tensor for part, tensor in getattr(self, name).tensors().items()}
        description = {
            "kind": "bank",
            "mains_hz": view.mains_hz,
            "sample_rate_hz": view.sample_rate_hz,
            "sensors": sensors,
            "knocked": self.knocks.sensors,
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
        knocks = Calibration(as_sensors(text["knocked"]), *tensors["knocks"].numpy())
        return cls(whole, quiet, knocks, tensors["history_ids"].numpy(), tensors["held_out"].numpy())


def fit_bank(clean: CleanHistory, *, mains_hz: float, sample_rate_hz: float, size: int) -> BankDetector:
    """Fit a bank to a history.

    Args:
        clean: What :func:`xfmr.history.clean.load_bank_history` gives for :func:`xfmr.views.hum.hum_views`.
        mains_hz: Mains frequency in Hz.
        sample_rate_hz: Sampling rate in Hz.
        size: Records that the bank keeps, shared out over the sensors; of each at least 10 and at most 1000.
    """
    views = hum_views(mains_hz=mains_hz, sample_rate_hz=sample_rate_hz)
    history = clean.history
    rows = Rows(history.record_ids, history.keys, history.times)
    most = min(max(_LEAST_KEPT, size // len(set(rows.keys))), BANK_SIZE)
    kept = np.concatenate([thinned(own, most) for own in rows_by_key(rows.keys).values()])
    *values, ratio = np.split(history.values, np.cumsum([view.width for view in views]), axis=1)
    (whole, scored_whole), (quiet, scored_quiet) = (
        learn_view(view, part, rows, kept, most) for view, part in zip(views, values, strict=True)
    )
    knocks = Calibration.fit(ratio[:, 0], rows.keys)
    knocked = _is_knocked(knocks, ratio[:, 0], rows.keys)
    held_out = np.where(knocked, np.minimum(scored_whole, scored_quiet), scored_whole)
    history_ids, first = np.unique(rows.ids, return_index=True)
    return BankDetector(whole, quiet, knocks, history_ids, held_out[first])


def _is_knocked(knocks: Calibration, ratio: NDArray[np.float64], keys: Sequence[SensorKey]) -> NDArray[np.bool_]:
    """Say which records have a knock in them, by their :func:`xfmr.views.knocks.knock_ratio`, (n,): (n,)."""
    knocked: NDArray[np.bool_] = knocks.apply(ratio, keys) > KNOCK_SIGMAS
    return knocked


def _rows_of(table: pa.Table) -> Rows:
    return Rows(table["record_id"].to_numpy().astype(np.int64), sensor_keys(table), record_times(table))
