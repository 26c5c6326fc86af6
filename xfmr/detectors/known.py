"""What a bank knows by one view of the records: healthy values by sensor, and how far a record is from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.detectors.calibration import Calibration
from xfmr.detectors.space import Distances, HealthySpace, held_out_distances
from xfmr.normal import MIN_HISTORY, SensorKey, Standardiser, as_sensors, rows_by_key, statistics_rows
from xfmr.normal.daytime import DailyProfile, Times
from xfmr.normal.neighbours import thinned
from xfmr.normal.whitening import whitener
from xfmr.views.hum import HumView

# Noise levels of the copies, below the signal; between two of them a record is at most half a step from one.
NOISE_LEVELS_DB = (30.0, 25.0, 20.0, 15.0)
_HALF_STEP_DB = 2.5
# Records of a sensor by which it is measured how far apart they are at each level.
_ENOUGH = 200
# Records a dimension at which the mean counts as much as the neighbours.
_EVEN_RECORDS = 2.0


@dataclass(frozen=True)
class Rows:
    """Who was recorded when: one entry a row.

    Args:
        ids: Record ids, shape (n,).
        keys: Sensors.
        times: In UTC, shape (n,).
    """

    ids: NDArray[np.int64]
    keys: Sequence[SensorKey]
    times: Times


@dataclass(frozen=True)
class KnownView:
    """Healthy records as one view shows them.

    Args:
        view: What is seen of a record.
        standardiser: Statistics of the sensors' level-free values.
        white: Whitener of standardised values, (d, d).
        values: Of the records kept, shape (m, d).
        ids: Their record ids, shape (m,).
        keys: Their sensors.
        mean_share: Weight of the distance from the mean, 0..1.
        calibrations: Of the distance to the neighbours, and of that from the mean.
        noise_ratios: How many times those of records without noise these two distances are at each of
            :data:`NOISE_LEVELS_DB`, at most 1, for each of :attr:`sensors` and the fleet: (sensors + 1, levels, 2).
            Noise hides what records differ by; in the loudest copies they are a fifth as far apart.
        profile: What the sensors score at each time of the day.
    """

    view: HumView
    standardiser: Standardiser
    white: NDArray[np.float32]
    values: NDArray[np.float64]
    ids: NDArray[np.int64]
    keys: tuple[SensorKey, ...]
    mean_share: float
    calibrations: tuple[Calibration, Calibration]
    noise_ratios: NDArray[np.float64]
    profile: DailyProfile

    def score(self, values: NDArray[np.float64], rows: Rows) -> NDArray[np.float32]:
        """Score values of the view, (n, d), in sigmas of the sensor's held-out history at that time of day, (n,)."""
        whitened = self._whitened(values, rows.keys)
        distances = [space.distances(whitened, rows.ids, rows.keys) for space in self._spaces]
        ratios = self._ratios[:, statistics_rows(self.sensors, rows.keys)]
        usual = [(near / n, far / f) for (near, far), (n, f) in zip(distances, ratios.swapaxes(1, 2), strict=True)]
        explained = [_blend(self.calibrations, found, rows.keys, self.mean_share) for found in usual]
        least: NDArray[np.float32] = np.min(explained, axis=0)
        return least - self.profile.apply(rows.keys, rows.times)

    def _whitened(self, values: NDArray[np.float64], keys: Sequence[SensorKey]) -> NDArray[np.float32]:
        whitened: NDArray[np.float32] = self.standardiser.apply(self.view.level_free(values), keys) @ self.white
        return whitened

    @cached_property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors with records among those kept."""
        return tuple(sorted(set(self.keys)))

    @property
    def _ratios(self) -> NDArray[np.float64]:
        """By which the distances from each of :attr:`_spaces` are divided, (1 + levels, sensors + 1, 2)."""
        none = np.ones((1, len(self.sensors) + 1, 2))
        return np.concatenate([none, self.noise_ratios.swapaxes(0, 1)])

    def measured_noise_ratios(self) -> NDArray[np.float64]:
        """Measure :attr:`noise_ratios` on the records kept, each against the others and half-way between two levels.

        Without them a record without any hum, of a dead sensor or of nothing but noise, is nearer to the loudest
        copies than any healthy record is to any other, and scored as the most normal of all. They are each sensor's
        own: a quiet one among noisy ones scored white noise so with the fleet's.
        """
        asked = np.concatenate([thinned(rows, _ENOUGH) for rows in rows_by_key(self.keys).values()])
        ids, keys = self.ids[asked], [self.keys[row] for row in asked]
        clean, *noisy = self._spaces
        usual = clean.distances(clean.values[asked], ids, keys)
        ratios = []
        for level, space in zip(NOISE_LEVELS_DB, noisy, strict=True):
            between = self.view.with_noise(self.values[asked], below_db=level - _HALF_STEP_DB)
            distances = space.distances(self._whitened(between, keys), ids, keys)
            ratios.append([self._median_ratios(*pair, keys) for pair in zip(distances, usual, strict=True)])
        return np.array(ratios).transpose(2, 0, 1)

    def _median_ratios(
        self, distances: NDArray[np.float64], usual: NDArray[np.float64], keys: Sequence[SensorKey]
    ) -> NDArray[np.float64]:
        """Return the median of one by the other, of each sensor with enough records and of the fleet, at most 1."""
        rows, fleet = rows_by_key(keys), _median_ratio(distances, usual)
        own = [
            _median_ratio(distances[rows[key]], usual[rows[key]]) if len(rows[key]) >= MIN_HISTORY else fleet
            for key in self.sensors
        ]
        return np.array([*own, fleet])

    @cached_property
    def _spaces(self) -> list[HealthySpace]:
        """The records as they are, then with each level of noise."""
        noisy = [self.view.with_noise(self.values, below_db=level) for level in NOISE_LEVELS_DB]
        return [HealthySpace.of(self._whitened(v, self.keys), self.ids, self.keys) for v in (self.values, *noisy)]

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays, for a detector's file; ids and sensors of the records are the caller's to keep."""
        near, far = self.calibrations
        arrays = {
            "values": self.values,
            "white": self.white,
            "median": self.standardiser.median,
            "scale": self.standardiser.scale,
            "near": np.stack([near.median, near.sigma]),
            "far": np.stack([far.median, far.sigma]),
            "noise_ratios": self.noise_ratios,
            "excess": self.profile.excess,
        }
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def description(self) -> dict[str, Any]:
        """Return what is not an array."""
        return {
            "mean_share": self.mean_share,
            "standardised": self.standardiser.sensors,
            "calibrated": [calibration.sensors for calibration in self.calibrations],
            "daily": self.profile.sensors,
        }

    @classmethod
    def restore(
        cls,
        view: HumView,
        description: dict[str, Any],
        tensors: dict[str, Tensor],
        ids: NDArray[np.int64],
        keys: tuple[SensorKey, ...],
    ) -> KnownView:
        """Rebuild from :meth:`description` and :meth:`tensors`."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        near, far = (as_sensors(known) for known in description["calibrated"])
        return cls(
            view=view,
            standardiser=Standardiser(as_sensors(description["standardised"]), arrays["median"], arrays["scale"]),
            white=arrays["white"],
            values=arrays["values"],
            ids=ids,
            keys=keys,
            mean_share=description["mean_share"],
            calibrations=(Calibration(near, *arrays["near"]), Calibration(far, *arrays["far"])),
            noise_ratios=arrays["noise_ratios"],
            profile=DailyProfile(as_sensors(description["daily"]), arrays["excess"]),
        )


def learn_view(
    view: HumView, values: NDArray[np.float64], rows: Rows, kept: NDArray[np.int64], most: int
) -> tuple[KnownView, NDArray[np.float32]]:
    """Learn a view of a cleaned history.

    Args:
        view: What is seen of a record.
        values: Of all records in order of time within each sensor, shape (n, d).
        rows: Their identities.
        kept: Rows of the records to keep.
        most: Records of a sensor among them, at most.

    Returns:
        What is known, and the scores of all records by what was learned without them, shape (n,).
    """
    free = view.level_free(values)
    standardiser = Standardiser.fit(free, rows.keys)
    standardised = standardiser.apply(free, rows.keys)
    n, d = values.shape
    mean_share = n / (n + _EVEN_RECORDS * d)
    distances = held_out_distances(standardised, rows.ids, rows.keys, most=most)
    near, far = (Calibration.fit(distance, rows.keys) for distance in distances)
    held_out = _blend((near, far), distances, rows.keys, mean_share)
    profile = DailyProfile.fit(held_out, rows.keys, rows.times)
    known = KnownView(
        view=view,
        standardiser=standardiser,
        white=whitener(standardised, rows.keys),
        values=values[kept],
        ids=rows.ids[kept],
        keys=tuple(rows.keys[row] for row in kept),
        mean_share=mean_share,
        calibrations=(near, far),
        noise_ratios=np.empty(0),
        profile=profile,
    )
    known = replace(known, noise_ratios=known.measured_noise_ratios())
    return known, held_out - profile.apply(rows.keys, rows.times)


def _median_ratio(distances: NDArray[np.float64], usual: NDArray[np.float64]) -> float:
    """Return the median of one by the other, at most 1; 1 where records are copies and have no distances."""
    apart = (distances > 0) & (usual > 0)
    return min(1.0, float(np.median(distances[apart] / usual[apart]))) if apart.any() else 1.0


def _blend(
    calibrations: tuple[Calibration, Calibration], distances: Distances, keys: Sequence[SensorKey], mean_share: float
) -> NDArray[np.float32]:
    """Calibrate both distances and weigh them: (n,)."""
    near, far = (c.apply(distance, keys) for c, distance in zip(calibrations, distances, strict=True))
    blended: NDArray[np.float32] = ((1 - mean_share) * near + mean_share * far).astype(np.float32)
    return blended
