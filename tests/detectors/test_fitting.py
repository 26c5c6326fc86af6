"""Fitted fold members: the history scores as what is new does, though networks know it by heart."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from xfmr.detectors.ae import fit_ae
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.pretrained import Pretrained, fit_encoders
from xfmr.detectors.svdd import fit_svdd
from xfmr.detectors.vae import fit_vae
from xfmr.features import LOG_SPECTRUM_LENGTH
from xfmr.history.clean import History
from xfmr.history.folds import FoldedHistory
from xfmr.normal import Rows
from xfmr.schema import fixed_size_column
from xfmr.settings.stage_one import PretrainSettings, SvddSettings, VaeSettings
from xfmr.training.loop import Data, Schedule, State
from xfmr.training.trainer import LocalTrainer, MakeTask
from xfmr.views.inputs import NetworkInputs
from xfmr.views.views import View, spectra

N_FOLDS = 3
SCHEDULE = Schedule(epochs=40, batch_size=32, seed=0)
Fit = Callable[[FoldedHistory], DeepDetector]


def table(n: int, *, seed: int, first_id: int = 0) -> pa.Table:
    """Noise, of which nothing can be learned but by heart."""
    values = np.random.default_rng(seed).standard_normal((n, LOG_SPECTRUM_LENGTH)).astype(np.float32)
    identity = {
        "fleet": pa.array([""] * n),
        "unit": pa.array([""] * n),
        "sensor_id": pa.array(["s"] * n),
        "data_time": pa.array(pd.date_range("2024-01-01", periods=n, freq="2min", tz="UTC")),
        "record_id": pa.array(np.arange(first_id, first_id + n)),
    }
    return pa.table({**identity, "log_spectrum": fixed_size_column(values)})


@pytest.fixture(scope="module")
def past() -> pa.Table:
    return table(90, seed=0)


@pytest.fixture(scope="module")
def history(past: pa.Table) -> FoldedHistory:
    values, rows = spectra(past), Rows.of(past)
    inputs = NetworkInputs.fit(View("spectrum", 64, "log"), values, rows)
    return FoldedHistory.of(inputs, History(values, rows, pd.DataFrame()), N_FOLDS, digest="history")


@pytest.fixture(scope="module")
def pretrained(history: FoldedHistory) -> Pretrained:
    return Pretrained.of_bytes(fit_encoders(history, PretrainSettings(), SCHEDULE, LocalTrainer())[0], "a")


@pytest.fixture(params=["ae", "one_class", "soft_boundary", "vae"])
def detector(request: pytest.FixtureRequest, history: FoldedHistory, pretrained: Pretrained) -> DeepDetector:
    if request.param == "ae":
        return fit_ae(pretrained, history)
    if request.param == "vae":
        return fit_vae(history, VaeSettings(), SCHEDULE, LocalTrainer())
    options = SvddSettings(objective=request.param, learning_rate=1e-3)
    return fit_svdd(pretrained, history, options, SCHEDULE, LocalTrainer())


def test_the_history_scores_as_what_is_new_does(detector: DeepDetector, past: pa.Table) -> None:
    known, new = detector.score(past), detector.score(table(90, seed=1, first_id=1000))
    assert np.median(new) == pytest.approx(np.median(known), abs=1)
    # The same records as if they were new: what the networks know by heart betrays itself.
    by_heart = detector.score(table(90, seed=0, first_id=1000))
    assert abs(np.median(by_heart) - np.median(known)) > 1


def test_members_begin_from_the_encoders_that_have_not_seen_their_fold(
    history: FoldedHistory, pretrained: Pretrained
) -> None:
    none = Schedule(epochs=0, batch_size=32, seed=0)

    class NoTrainer(LocalTrainer):
        def train(self, key: str, make_task: MakeTask, data: Data, schedule: Schedule, **options: Any) -> State:
            return super().train(key, make_task, data, none, **options)

    detector = fit_svdd(pretrained, history, SvddSettings(), SCHEDULE, NoTrainer())
    for fold, member in enumerate(detector.members):
        for name, tensor in pretrained.encoder(fold).items():
            np.testing.assert_array_equal(member.state_dict()[f"encoder.{name}"].numpy(), tensor.numpy())
