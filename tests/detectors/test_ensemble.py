"""The ensemble: its score is the weighted mean of its members', and its file holds them all."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from fitted import detector

from xfmr.detectors.base import Detector
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.normal import Standardiser
from xfmr.schema import fixed_size_column
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View


@dataclass(frozen=True)
class Fixed:
    """Scores as it is told."""

    columns: list[str]
    history_ids: np.ndarray
    scores: np.ndarray

    def score(self, table: pa.Table) -> np.ndarray:
        return self.scores

    def to_bytes(self) -> bytes:
        raise NotImplementedError


def table(n: int) -> pa.Table:
    values = np.random.default_rng(0).standard_normal((n, LOG_SPECTRUM_LENGTH)).astype(np.float32)
    times = np.arange(n).astype("datetime64[us]")
    names = {"fleet": [""] * n, "unit": [""] * n, "sensor_id": ["s"] * n}
    identity = {**names, "data_time": times, "record_id": np.arange(10, 10 + n)}
    return pa.table({**identity, "log_spectrum": fixed_size_column(values)})


@pytest.fixture
def members() -> tuple[Detector, ...]:
    flat = np.zeros((1, LOG_SPECTRUM_LENGTH), np.float32)
    inputs = NetworkInputs(View("spectrum", 64, "log"), {"vector": Standardiser((), flat, flat + 1)})
    return tuple(detector(inputs, seed=seed) for seed in (0, 1))


def test_the_score_is_the_weighted_mean() -> None:
    first = Fixed(["a", "b"], np.array([1, 3]), np.array([0.0, 5.0]))
    second = Fixed(["b", "c"], np.array([2, 3]), np.array([4.0, 1.0]))
    ensemble = EnsembleDetector((first, second), (3.0, 1.0))
    np.testing.assert_allclose(ensemble.score(table(2)), [1.0, 4.0])
    assert ensemble.columns == ["a", "b", "c"]
    assert ensemble.history_ids.tolist() == [1, 2, 3]


def test_its_file_gives_back_the_same_scores(members: tuple[Detector, ...]) -> None:
    ensemble = EnsembleDetector(members, (0.6, 0.4))
    copy = detector_from_bytes(ensemble.to_bytes(), "a")
    assert isinstance(copy, EnsembleDetector)
    np.testing.assert_array_equal(copy.score(table(5)), ensemble.score(table(5)))
    assert copy.weights == (0.6, 0.4)
    assert copy.to_bytes() == ensemble.to_bytes()


def test_no_rows_have_no_scores(members: tuple[Detector, ...]) -> None:
    assert EnsembleDetector(members, (0.6, 0.4)).score(table(0)).shape == (0,)


def test_a_damaged_file_is_refused(members: tuple[Detector, ...]) -> None:
    with pytest.raises(XfmrError, match=r"^runs/a/model is not a whole xfmr model"):
        detector_from_bytes(EnsembleDetector(members, (0.6, 0.4)).to_bytes()[:-50], "runs/a/model")
