"""A bank's knowledge of one view: healthy values by sensor, and the distance of a record from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xfmr.detectors.calibration import Calibration
from xfmr.detectors.space import Distances, HealthySpace, out_of_fold_distances
from xfmr.normal import MIN_HISTORY, Rows, SensorKey, Standardiser, as_sensors
from xfmr.normal.daytime import DailyProfile
from xfmr.normal.neighbours import thinned
from xfmr.normal.whitening import whitener
from xfmr.views.hum import HumView

# Noise levels of the copies, below the signal. A record is at most half a step from one of them.
NOISE_LEVELS_DB = (30.0, 25.0, 20.0, 15.0)
_HALF_STEP_DB = 2.5
# Most records of a sensor for measuring how far apart they are at each noise level.
_ENOUGH = 200
# With this many records per dimension the distance from the mean weighs as much as that to the neighbours.
_EVEN_RECORDS = 2.0


@dataclass(frozen=True)
class BankView:
    """Healthy records in one view.

    Args:
        view: The view of a record.
        standardiser: Statistics of the sensors' level-free values.
        white: Whitener of standardised values, (d, d).
        values: Values of the m records kept, shape (m, d).
        rows: Their rows, without times.
        mean_share: Weight of the distance from the mean, 0..1.
        calibrations: Calibrations of the distance to the neighbours, and of that from the mean.
        noise_ratios: Ratio of these two distances at each of :data:`NOISE_LEVELS_DB` to those without noise, at most
            1, for each of :attr:`sensors` and the fleet: (sensors + 1, levels, 2). Noise hides the differences
            between records: at the highest level they are a fifth as far apart.
        profile: The sensors' usual scores at each hour of the day.
    """

    view: HumView
    standardiser: Standardiser
    white: NDArray[np.float32]
    values: NDArray[np.float64]
    rows: Rows
    mean_share: float
    calibrations: tuple[Calibration, Calibration]
    noise_ratios: NDArray[np.float64]
    profile: DailyProfile

    def score(self, values: NDArray[np.float64], rows: Rows) -> NDArray[np.float32]:
        """Score values of the view, (n, d), in sigmas of the sensor's out-of-fold history at that hour, (n,)."""
        whitened = self._whitened(values, rows)
        distances = [space.distances(whitened, rows) for space in self._spaces]
        ratios = self._ratios[:, rows.places_in(self.sensors)]
        relative = [(near / n, far / f) for (near, far), (n, f) in zip(distances, ratios.swapaxes(1, 2), strict=True)]
        by_level = [_blend(self.calibrations, pair, rows, self.mean_share) for pair in relative]
        least: NDArray[np.float32] = np.min(by_level, axis=0)
        return least - self.profile.apply(rows)

    def _whitened(self, values: NDArray[np.float64], rows: Rows) -> NDArray[np.float32]:
        whitened: NDArray[np.float32] = self.standardiser.apply(self.view.level_free(values), rows) @ self.white
        return whitened

    @property
    def sensors(self) -> tuple[SensorKey, ...]:
        """The sensors of the records kept."""
        return self.rows.sensors

    @property
    def _ratios(self) -> NDArray[np.float64]:
        """Divisors of the distances in each of :attr:`_spaces`, (1 + levels, sensors + 1, 2)."""
        none = np.ones((1, len(self.sensors) + 1, 2))
        return np.concatenate([none, self.noise_ratios.swapaxes(0, 1)])

    def measured_noise_ratios(self) -> NDArray[np.float64]:
        """Measure :attr:`noise_ratios` on the records kept, each against the others, half-way between two levels.

        Without these ratios a record without hum, from a dead sensor or of noise alone, gets the lowest score of all:
        it is nearer to the noisiest copies than any healthy record is to another. Each sensor has its own ratios:
        with the fleet's, white noise on a quiet sensor among noisy ones also scored lowest.
        """
        asked = np.concatenate([thinned(own, _ENOUGH) for own in self.rows.by_sensor().values()])
        rows = self.rows[asked]
        clean, *noisy = self._spaces
        usual = clean.distances(clean.values[asked], rows)
        ratios = []
        for level, space in zip(NOISE_LEVELS_DB, noisy, strict=True):
            between = self.view.with_noise(self.values[asked], below_db=level - _HALF_STEP_DB)
            distances = space.distances(self._whitened(between, rows), rows)
            ratios.append([self._median_ratios(*pair, rows) for pair in zip(distances, usual, strict=True)])
        return np.array(ratios).transpose(2, 0, 1)

    def _median_ratios(
        self, distances: NDArray[np.float64], usual: NDArray[np.float64], rows: Rows
    ) -> NDArray[np.float64]:
        """Return the median ratio of each sensor with enough records, and of the fleet, at most 1."""
        places, fleet = rows.by_sensor(), _median_ratio(distances, usual)
        own = [
            _median_ratio(distances[place], usual[place]) if len(place := places[sensor]) >= MIN_HISTORY else fleet
            for sensor in self.sensors
        ]
        return np.array([*own, fleet])

    @cached_property
    def _spaces(self) -> list[HealthySpace]:
        """The records without added noise, then with each level of noise."""
        noisy = [self.view.with_noise(self.values, below_db=level) for level in NOISE_LEVELS_DB]
        return [HealthySpace.of(self._whitened(values, self.rows), self.rows) for values in (self.values, *noisy)]

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays, for a detector's file; the rows are stored by the caller."""
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
        """Return everything else, for a detector's header."""
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
        rows: Rows,
    ) -> BankView:
        """Rebuild from :meth:`description` and :meth:`tensors`."""
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        near, far = (as_sensors(known) for known in description["calibrated"])
        return cls(
            view=view,
            standardiser=Standardiser(as_sensors(description["standardised"]), arrays["median"], arrays["scale"]),
            white=arrays["white"],
            values=arrays["values"],
            rows=rows,
            mean_share=description["mean_share"],
            calibrations=(Calibration(near, *arrays["near"]), Calibration(far, *arrays["far"])),
            noise_ratios=arrays["noise_ratios"],
            profile=DailyProfile(as_sensors(description["daily"]), arrays["excess"]),
        )


def learn_view(
    view: HumView, values: NDArray[np.float64], rows: Rows, kept: NDArray[np.int64], most: int
) -> tuple[BankView, NDArray[np.float32]]:
    """Learn one view of a cleaned history.

    Args:
        view: The view of a record.
        values: Values of all records, in order of time within each sensor, shape (n, d).
        rows: Their rows.
        kept: Positions of the records to keep.
        most: Most records of a sensor among them.

    Returns:
        The known view, and the out-of-fold scores of all records, shape (n,).
    """
    free = view.level_free(values)
    standardiser = Standardiser.fit(free, rows)
    standardised = standardiser.apply(free, rows)
    n, d = values.shape
    mean_share = n / (n + _EVEN_RECORDS * d)
    distances = out_of_fold_distances(standardised, rows, most=most)
    near, far = (Calibration.fit(distance, rows) for distance in distances)
    out_of_fold = _blend((near, far), distances, rows, mean_share)
    profile = DailyProfile.fit(out_of_fold, rows)
    known = BankView(
        view=view,
        standardiser=standardiser,
        white=whitener(standardised, rows),
        values=values[kept],
        rows=rows[kept],
        mean_share=mean_share,
        calibrations=(near, far),
        noise_ratios=np.empty(0),
        profile=profile,
    )
    known = replace(known, noise_ratios=known.measured_noise_ratios())
    return known, out_of_fold - profile.apply(rows)


def _median_ratio(distances: NDArray[np.float64], usual: NDArray[np.float64]) -> float:
    """Return the median ratio, at most 1; 1 if the records are copies, without any distance."""
    apart = (distances > 0) & (usual > 0)
    return min(1.0, float(np.median(distances[apart] / usual[apart]))) if apart.any() else 1.0


def _blend(
    calibrations: tuple[Calibration, Calibration], distances: Distances, rows: Rows, mean_share: float
) -> NDArray[np.float32]:
    """Calibrate both distances and return their weighted mean, (n,)."""
    near, far = (c.apply(distance, rows) for c, distance in zip(calibrations, distances, strict=True))
    blended: NDArray[np.float32] = ((1 - mean_share) * near + mean_share * far).astype(np.float32)
    return blended
