"""The bank: how far a record is from the healthy records of its sensor.

No network is trained. A record's log spectrum and mains lines, free of their level, standardised per sensor and
whitened by how the fleet's healthy records vary, are compared with the sensor's own bank of records, as the distance
to the nearest and, the more history there is, as the distance from their mean. Both are calibrated per sensor by
what the history itself scores when it is held out.

So that a noisier record is no fault, the bank is kept several times: as it is and as it would be with white noise
added. A record may be explained by any of them, at a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from xfmr.detectors.calibration import Calibration
from xfmr.detectors.space import Distances, HealthySpace, held_out_distances
from xfmr.harmonics import HARMONIC_COLUMNS, harmonic_values, level_free_harmonics, with_noise
from xfmr.history import CleanHistory
from xfmr.inputs import sensor_keys
from xfmr.models.checkpoint import StoredModel, to_bytes
from xfmr.neighbours import thinned
from xfmr.normal import SensorKey, Standardiser, as_sensors, rows_by_sensor
from xfmr.whitening import whitener

# Noise levels of the copies, below the signal; between two of them a record is at most 2.5 dB from one.
NOISE_LEVELS_DB = (30.0, 25.0, 20.0, 15.0)
# Sigmas that a record pays for being explained by added noise.
NOISE_PRICE = 1.0
# Records a dimension at which the mean counts as much as the neighbours.
_EVEN_RECORDS = 2.0
# The fewest records that a sensor keeps in the bank, however many sensors share its size.
_LEAST_KEPT = 10


@dataclass(frozen=True)
class BankDetector:
    """A fitted bank.

    Args:
        mains_hz: Mains frequency in Hz.
        sample_rate_hz: Sampling rate in Hz.
        standardiser: Statistics of the sensors' level-free values.
        white: Whitener of standardised values, (d, d).
        values: The bank, :func:`~xfmr.harmonics.harmonic_values` of healthy records, (m, d).
        bank_ids: Their record ids, (m,).
        keys: Their sensors.
        mean_share: Weight of the distance from the mean, 0..1.
        calibrations: Of the distance to the neighbours, and of that from the mean.
        history_ids: Ids of all records it was fitted to, ascending, (n,).
        held_out: Their scores by what was fitted without them, (n,).
    """

    mains_hz: float
    sample_rate_hz: float
    standardiser: Standardiser
    white: NDArray[np.float32]
    values: NDArray[np.float64]
    bank_ids: NDArray[np.int64]
    keys: tuple[SensorKey, ...]
    mean_share: float
    calibrations: tuple[Calibration, Calibration]
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
        values, keys = harmonic_values(table, mains_hz=self.mains_hz), sensor_keys(table)
        whitened = self._whitened(values, keys)
        ids = table["record_id"].to_numpy().astype(np.int64)
        spaces = [space.distances(whitened, ids, keys) for space in self._spaces]
        clean, *noisy = (_in_sigmas(self.calibrations, distances, keys) for distances in spaces)
        scores = _blend(np.minimum(clean, NOISE_PRICE + np.min(noisy, axis=0)), self.mean_share)
        place = np.searchsorted(self.history_ids, ids).clip(max=len(self.history_ids) - 1)
        return np.where(self.history_ids[place] == ids, self.held_out[place], scores)

    def _whitened(self, values: NDArray[np.float64], keys: Sequence[SensorKey]) -> NDArray[np.float32]:
        whitened: NDArray[np.float32] = self.standardiser.apply(level_free_harmonics(values), keys) @ self.white
        return whitened

    @cached_property
    def _spaces(self) -> list[HealthySpace]:
        """The bank as it is, then with each level of noise."""
        levels = [with_noise(self.values, below_db=db, sample_rate_hz=self.sample_rate_hz) for db in NOISE_LEVELS_DB]
        return [
            HealthySpace.of(self._whitened(v, self.keys), self.bank_ids, self.keys) for v in (self.values, *levels)
        ]

    def to_bytes(self) -> bytes:
        """Serialise all that scoring needs."""
        sensors = sorted(set(self.keys))
        position = {sensor: row for row, sensor in enumerate(sensors)}
        tensors = {
            "values": self.values,
            "bank_ids": self.bank_ids,
            "history_ids": self.history_ids,
            "held_out": self.held_out,
            "sensor": np.array([position[key] for key in self.keys]),
        }
        tensors |= {"white": self.white, "median": self.standardiser.median, "scale": self.standardiser.scale}
        for number, calibration in enumerate(self.calibrations):
            tensors[f"calibration.{number}"] = np.stack([calibration.median, calibration.sigma])
        description = {
            "kind": "bank",
            "mains_hz": self.mains_hz,
            "sample_rate_hz": self.sample_rate_hz,
            "mean_share": self.mean_share,
            "sensors": sensors,
            "standardised": self.standardiser.sensors,
            "calibrated": [calibration.sensors for calibration in self.calibrations],
        }
        return to_bytes({name: torch.from_numpy(array) for name, array in tensors.items()}, description)

    @classmethod
    def restore(cls, model: StoredModel) -> BankDetector:
        """Rebuild from what :meth:`to_bytes` wrote."""
        text, arrays = model.description, {name: tensor.numpy() for name, tensor in model.tensors.items()}
        sensors = as_sensors(text["sensors"])
        standardiser = Standardiser(as_sensors(text["standardised"]), arrays["median"], arrays["scale"])
        near, far = (
            Calibration(as_sensors(known), *arrays[f"calibration.{number}"])
            for number, known in enumerate(text["calibrated"])
        )
        return cls(
            mains_hz=text["mains_hz"],
            sample_rate_hz=text["sample_rate_hz"],
            standardiser=standardiser,
            white=arrays["white"],
            values=arrays["values"],
            bank_ids=arrays["bank_ids"],
            keys=tuple(sensors[row] for row in arrays["sensor"]),
            mean_share=text["mean_share"],
            calibrations=(near, far),
            history_ids=arrays["history_ids"],
            held_out=arrays["held_out"],
        )


def fit_bank(clean: CleanHistory, *, mains_hz: float, sample_rate_hz: float, size: int) -> BankDetector:
    """Fit a bank to a history.

    Args:
        clean: What :func:`xfmr.history.load_clean_harmonics` gives.
        mains_hz: Mains frequency in Hz.
        sample_rate_hz: Sampling rate in Hz.
        size: Records that the bank keeps, shared out over the sensors; at least 10 of each.
    """
    values, ids, keys = clean.history.values, clean.history.record_ids, clean.history.keys
    standardiser = clean.standardiser
    standardised = standardiser.apply(level_free_harmonics(values), keys)
    white = whitener(standardised, keys)
    n, d = values.shape
    kept = _shared_out(keys, size)
    known = tuple(keys[row] for row in kept)
    near, far = held_out_distances(standardised, ids, keys)
    calibrations = Calibration.fit(near, keys), Calibration.fit(far, keys)
    mean_share = n / (n + _EVEN_RECORDS * d)
    held_out = _blend(_in_sigmas(calibrations, (near, far), keys), mean_share)
    history_ids, first = np.unique(ids, return_index=True)
    return BankDetector(
        mains_hz=mains_hz,
        sample_rate_hz=sample_rate_hz,
        standardiser=standardiser,
        white=white,
        values=values[kept],
        bank_ids=ids[kept],
        keys=known,
        mean_share=mean_share,
        calibrations=calibrations,
        history_ids=history_ids,
        held_out=held_out[first],
    )


def _in_sigmas(
    calibrations: tuple[Calibration, Calibration], distances: Distances, keys: Sequence[SensorKey]
) -> NDArray[np.float64]:
    """Calibrate both distances: (n, 2)."""
    pairs = zip(calibrations, distances, strict=True)
    return np.stack([calibration.apply(distance, keys) for calibration, distance in pairs], axis=1)


def _blend(sigmas: NDArray[np.float64], mean_share: float) -> NDArray[np.float32]:
    """Weigh neighbours and mean: (n, 2) -> (n,)."""
    blended: NDArray[np.float32] = (sigmas @ [1 - mean_share, mean_share]).astype(np.float32)
    return blended


def _shared_out(keys: Sequence[SensorKey], size: int) -> NDArray[np.int64]:
    """Thin every sensor's records evenly to its share of a bank."""
    rows = rows_by_sensor(keys)
    share = max(_LEAST_KEPT, size // len(rows))
    return np.concatenate([thinned(own, share) for own in rows.values()])
