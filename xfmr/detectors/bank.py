"""The bank: how far a record is from the healthy records of its sensor.

It needs no network. A record's spectrum and mains lines, without their level, are standardised per sensor and
whitened by the variation of the fleet's healthy records. The score is the weighted mean of two distances: to the
nearest records of the sensor, and from the sensor's mean, which has more weight the longer the history is. Both are
calibrated per sensor by the history's out-of-fold distances, and by what is usual at that hour.

A noisier record is not a fault. So the bank holds its records without added noise and with white noise at several
levels, and the level with the lowest score counts. A knock, such as a tap changer's, is not a fault either. So a
record with a knock is also scored by its quieter half alone, and the lower score counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.bank_view import BankView, learn_view
from xfmr.detectors.base import Detector
from xfmr.detectors.calibration import Calibration
from xfmr.detectors.plan import DetectorPlan, Planner
from xfmr.history.clean import History
from xfmr.history.of_run import bank_history
from xfmr.networks.checkpoint import StoredModel, to_bytes
from xfmr.normal import Rows, as_sensors
from xfmr.normal.neighbours import BANK_SIZE, thinned
from xfmr.schema import to_numpy
from xfmr.storage.models import key_of
from xfmr.views.hum import HARMONIC_COLUMNS, HumView, hum_views
from xfmr.views.knocks import knock_ratio

# A record has a knock if its loudest segment stands out by this many sigmas of its sensor's history. On nine fleets
# of bench.fleets healthy records reach 4.2 sigmas, and those with a tap changer 7 to 50; every limit from 3 to 8
# gives the same AUC and false alarms.
KNOCK_SIGMAS = 5.0
# The fewest records of a sensor in the bank, however many sensors share its size.
_LEAST_KEPT = 10


@dataclass(frozen=True)
class BankDetector:
    """A fitted bank.

    Args:
        whole: The healthy records, by the whole second.
        quiet: The same records, by their quieter half.
        knocks: Calibration of their knock ratios.
        history_ids: Ids of all records it was fitted to, ascending, (n,).
        out_of_fold: Their out-of-fold scores, (n,).
    """

    whole: BankView
    quiet: BankView
    knocks: Calibration
    history_ids: NDArray[np.int64]
    out_of_fold: NDArray[np.float32]

    @property
    def columns(self) -> list[str]:
        """The feature columns that it reads."""
        return HARMONIC_COLUMNS

    def score(self, table: pa.Table) -> NDArray[np.float32]:
        """Score the rows of a features table in sigmas of the sensor's out-of-fold history, float32 (n,).

        A record of that history has its out-of-fold score: the bank holds it, and would find it too familiar.
        """
        rows = Rows.of(table)
        scores = self.whole.score(self.whole.view.values(table), rows)
        knocked = _has_knock(self.knocks, knock_ratio(to_numpy(table, "zerone")), rows)
        quieter = self.quiet.score(self.quiet.view.values(table.filter(pa.array(knocked))), rows[knocked])
        scores[knocked] = np.minimum(scores[knocked], quieter)
        places, known = rows.find_in(self.history_ids)
        return np.where(known, self.out_of_fold[places], scores)

    def to_bytes(self) -> bytes:
        """Serialise everything that scoring needs."""
        view, rows = self.whole.view, self.whole.rows
        tensors = {
            "bank_ids": torch.from_numpy(rows.ids),
            "history_ids": torch.from_numpy(self.history_ids),
            "held_out": torch.from_numpy(self.out_of_fold),
            "knocks": torch.from_numpy(np.stack([self.knocks.median, self.knocks.sigma])),
            "sensor": torch.from_numpy(rows.codes),
        }
        for name in ("whole", "quiet"):
            tensors |= {f"{name}.{key}": tensor for key, tensor in getattr(self, name).tensors().items()}
        description = {
            "kind": "bank",
            "mains_hz": view.mains_hz,
            "sample_rate_hz": view.sample_rate_hz,
            "sensors": rows.sensors,
            "knocked": self.knocks.sensors,
            "whole": self.whole.description(),
            "quiet": self.quiet.description(),
        }
        return to_bytes(tensors, description)


def plan(planner: Planner) -> DetectorPlan:
    """Plan a bank of the run's history."""
    options, rate_hz = planner.settings.bank, planner.settings.sample_rate_hz
    views = hum_views(mains_hz=options.mains_hz, sample_rate_hz=rate_hz)
    history = bank_history(planner.settings, views, planner.struck)
    key = key_of("bank 6", options.model_dump(), rate_hz, planner.features.recording, history.digest)
    summary = f"bank of at most {options.size} of {len(history.rows)} records"
    return DetectorPlan(key, summary, history.set_aside, partial(fit_bank, history, views, size=options.size))


def restore(model: StoredModel, read: Callable[[bytes, str], Detector]) -> BankDetector:
    """Rebuild a bank from its file; it holds no other detector, so ``read`` is not used."""
    description, tensors = model.description, model.tensors
    codes, sensors = tensors["sensor"].numpy(), as_sensors(description["sensors"])
    rows = Rows.without_times(tensors["bank_ids"].numpy(), codes, sensors)
    views = hum_views(mains_hz=description["mains_hz"], sample_rate_hz=description["sample_rate_hz"])
    whole, quiet = (
        BankView.restore(view, description[name], model.tensors_under(name), rows)
        for view, name in zip(views, ("whole", "quiet"), strict=True)
    )
    knocks = Calibration(as_sensors(description["knocked"]), *tensors["knocks"].numpy())
    return BankDetector(whole, quiet, knocks, tensors["history_ids"].numpy(), tensors["held_out"].numpy())


def fit_bank(history: History, views: Sequence[HumView], *, size: int) -> BankDetector:
    """Fit a bank to a history.

    Args:
        history: Cleaned :func:`xfmr.history.clean.bank_values` of these views.
        views: The bank's views of a record: the whole second, and its quieter half.
        size: Records that the bank keeps, shared out over the sensors; of each at least 10 and at most 1000.
    """
    rows = history.rows
    most = min(max(_LEAST_KEPT, size // len(rows.sensors)), BANK_SIZE)
    kept = np.concatenate([thinned(own, most) for own in rows.by_sensor().values()])
    *values, ratio = np.split(history.values, np.cumsum([view.width for view in views]), axis=1)
    (whole, whole_scores), (quiet, quiet_scores) = (
        learn_view(view, of_view, rows, kept, most) for view, of_view in zip(views, values, strict=True)
    )
    knocks = Calibration.fit(ratio[:, 0], rows)
    knocked = _has_knock(knocks, ratio[:, 0], rows)
    out_of_fold = np.where(knocked, np.minimum(whole_scores, quiet_scores), whole_scores)
    history_ids, first = np.unique(rows.ids, return_index=True)
    return BankDetector(whole, quiet, knocks, history_ids, out_of_fold[first])


def _has_knock(knocks: Calibration, ratio: NDArray[np.float64], rows: Rows) -> NDArray[np.bool_]:
    """Return which records have a knock, by their :func:`xfmr.views.knocks.knock_ratio`: (n,) -> (n,)."""
    knocked: NDArray[np.bool_] = knocks.apply(ratio, rows) > KNOCK_SIGMAS
    return knocked
