"""Fold members: what they score as new and what as history, and that a file gives back the same scores."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from xfmr.detectors import ae, svdd, vae
from xfmr.detectors.deep import BuildMember, DeepDetector
from xfmr.detectors.kinds import detector_from_bytes
from xfmr.errors import XfmrError
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.history.clean import History
from xfmr.history.folds import FoldedHistory
from xfmr.networks.encoders import build_encoder
from xfmr.networks.members import ReconstructionError, SphereDistance
from xfmr.normal import Rows, level_free
from xfmr.schema import fixed_size_column
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View

SENSORS = (("", "", "变压器-1"), ("", "", "s2"))
SHAPE = (LOG_SPECTRUM_LENGTH,)
N_FOLDS = 3


def table(log_spectra: np.ndarray, first_id: int = 0) -> pa.Table:
    """Rows of two sensors, the first half of the one and the second of the other."""
    n = len(log_spectra)
    keys = [SENSORS[2 * row // n] for row in range(n)] if n else []
    identity = {
        "fleet": pa.array([fleet for fleet, _, _ in keys], pa.string()),
        "unit": pa.array([unit for _, unit, _ in keys], pa.string()),
        "sensor_id": pa.array([sensor for _, _, sensor in keys], pa.string()),
        "data_time": pa.array(pd.date_range("2024-01-01", periods=n, freq="2min", tz="UTC")),
        "record_id": pa.array(np.arange(first_id, first_id + n)),
    }
    return pa.table({**identity, "log_spectrum": fixed_size_column(log_spectra)})


@pytest.fixture
def past() -> pa.Table:
    return table(np.random.default_rng(0).standard_normal((60, LOG_SPECTRUM_LENGTH)).astype(np.float32))


@pytest.fixture
def history(past: pa.Table) -> FoldedHistory:
    values, rows = level_free(np.stack(past["log_spectrum"].to_numpy())), Rows.of(past)
    inputs = NetworkInputs.fit(View("spectrum", 64, "log"), values, rows)
    return FoldedHistory.of(inputs, History(values, rows, pd.DataFrame()), N_FOLDS, digest="history")


@pytest.fixture
def detector(history: FoldedHistory) -> DeepDetector:
    torch.manual_seed(0)
    spheres = [
        SphereDistance(build_encoder("spectrum", SHAPE), torch.full((128,), 0.1), torch.tensor(1.0 + fold))
        for fold in range(N_FOLDS)
    ]
    return DeepDetector.calibrated("svdd", spheres, history)


def sigmas(detector: DeepDetector, rows: pa.Table) -> np.ndarray:
    """Score each row by each member, each in sigmas: (members, n)."""
    inputs = torch.from_numpy(detector.inputs(rows))
    with torch.no_grad():
        raw = np.stack([member.eval()(inputs).double().numpy() for member in detector.members])
    return np.stack([detector.calibration.apply(scores, Rows.of(rows)) for scores in raw])


def test_a_new_record_is_scored_by_all_members(detector: DeepDetector, past: pa.Table) -> None:
    new = table(np.random.default_rng(1).standard_normal((20, LOG_SPECTRUM_LENGTH)).astype(np.float32), first_id=1000)
    np.testing.assert_allclose(detector.score(new), sigmas(detector, new).mean(axis=0), rtol=1e-4, atol=1e-4)


def test_a_record_of_the_history_is_scored_by_the_member_that_has_not_seen_it(
    detector: DeepDetector, history: FoldedHistory, past: pa.Table
) -> None:
    expected = sigmas(detector, past)[history.folds, np.arange(len(past))]
    found = detector.score(past)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    for rows in (slice(0, 30), slice(30, 60)):
        assert np.median(found[rows]) == pytest.approx(0, abs=1e-5)


def test_the_unit_of_a_sphere_is_its_radius() -> None:
    class Same(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs

    sphere = SphereDistance(Same(), torch.tensor([1.0, 0.0]), torch.tensor(2.0))
    torch.testing.assert_close(sphere(torch.tensor([[1.0, 4.0], [4.0, 4.0]])), torch.tensor([2.0, 2.5]))


def test_the_error_of_an_autoencoder_is_its_mean_squared_residual() -> None:
    class Less(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs / 2

    torch.testing.assert_close(ReconstructionError(Less())(torch.tensor([[2.0, 8.0]])), torch.tensor([8.5]))


def test_a_louder_record_scores_alike_and_another_shape_higher(detector: DeepDetector, past: pa.Table) -> None:
    spectra = np.stack(past["log_spectrum"].to_numpy())[:1]
    bent = spectra + np.linspace(0, 60, LOG_SPECTRUM_LENGTH, dtype=np.float32)
    (same,), (louder,), (other,) = (detector.score(table(s, 5000)) for s in (spectra, spectra + 0.6, bent))
    assert louder == pytest.approx(same, abs=1e-3)
    assert other > detector.score(past).max()


@pytest.mark.parametrize(("kind", "build"), [("ae", ae._member), ("svdd", svdd._member), ("vae", vae._member)])
def test_its_file_gives_back_the_same_scores(
    kind: str, build: BuildMember, history: FoldedHistory, past: pa.Table
) -> None:
    torch.manual_seed(0)
    made = DeepDetector.calibrated(kind, [build("spectrum", SHAPE) for _ in range(N_FOLDS)], history)
    copy = detector_from_bytes(made.to_bytes(), "a")
    np.testing.assert_array_equal(copy.score(past), made.score(past))
    np.testing.assert_array_equal(copy.history_ids, made.history_ids)
    assert copy.to_bytes() == made.to_bytes()


def test_no_rows_have_no_scores(detector: DeepDetector, past: pa.Table) -> None:
    assert detector.score(past.slice(0, 0)).shape == (0,)


def test_a_damaged_file_is_refused(detector: DeepDetector) -> None:
    with pytest.raises(XfmrError, match=r"^runs/a/model is not a whole xfmr model"):
        detector_from_bytes(detector.to_bytes()[:-100], "runs/a/model")
