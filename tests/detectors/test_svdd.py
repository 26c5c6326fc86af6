"""The detector: what it scores, and that its file gives back the same scores."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from xfmr.detectors import detector_from_bytes
from xfmr.detectors.svdd import SvddDetector
from xfmr.errors import XfmrError
from xfmr.inputs import ModelInputs
from xfmr.normal import level_free
from xfmr.schema import LOG_SPECTRUM_SIZE, fixed_size_column
from xfmr.views import View

SENSOR = ("", "变压器-1")


def table(log_spectra: np.ndarray) -> pa.Table:
    n = len(log_spectra)
    columns = {"fleet": pa.array([SENSOR[0]] * n, pa.string()), "sensor_id": pa.array([SENSOR[1]] * n, pa.string())}
    return pa.table({**columns, "log_spectrum": fixed_size_column(log_spectra)})


@pytest.fixture
def history() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((50, LOG_SPECTRUM_SIZE)).astype(np.float32)


@pytest.fixture
def detector(history: np.ndarray) -> SvddDetector:
    torch.manual_seed(0)
    inputs = ModelInputs.fit(View("spectrum", 64, "log"), level_free(history), [SENSOR] * len(history))
    encoder = nn.Sequential(nn.Linear(LOG_SPECTRUM_SIZE, 256, bias=False), nn.LeakyReLU(0.1))
    encoder.append(nn.Linear(256, 128, bias=False))
    return SvddDetector(
        inputs, (LOG_SPECTRUM_SIZE,), encoder, torch.full((128,), 0.1), radius=0.5, history_ids=np.array([1, -2])
    )


def test_the_score_is_the_distance_from_the_sphere(detector: SvddDetector, history: np.ndarray) -> None:
    rows = table(history)
    with torch.no_grad():
        embedding = detector.encoder(torch.from_numpy(detector.inputs(rows)))
    expected = (embedding - 0.1).norm(dim=1) - 0.5
    np.testing.assert_allclose(detector.score(rows), expected.numpy(), rtol=1e-5)


def test_a_louder_record_scores_alike_and_another_shape_higher(detector: SvddDetector, history: np.ndarray) -> None:
    bent = history[:1] + np.linspace(0, 60, LOG_SPECTRUM_SIZE, dtype=np.float32)
    same, louder, other = detector.score(table(np.concatenate([history[:1], history[:1] + 0.6, bent])))
    assert louder == pytest.approx(same, rel=1e-4)
    assert other > detector.score(table(history)).max()


def test_its_file_gives_back_the_same_scores(detector: SvddDetector, history: np.ndarray) -> None:
    copy = detector_from_bytes(detector.to_bytes(), "a")
    np.testing.assert_array_equal(copy.score(table(history)), detector.score(table(history)))


def test_no_rows_have_no_scores(detector: SvddDetector, history: np.ndarray) -> None:
    assert detector.score(table(history[:0])).shape == (0,)


def test_a_damaged_file_is_refused(detector: SvddDetector) -> None:
    with pytest.raises(XfmrError, match=r"^runs/a/model is not a whole xfmr model"):
        detector_from_bytes(detector.to_bytes()[:-100], "runs/a/model")
