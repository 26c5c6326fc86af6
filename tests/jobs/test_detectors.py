"""Every detector of every branch on a tiny fleet: trained in this process by the train loop of the workers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from archives import SAMPLE_RATE_HZ, Run, fleet_files, write_archive

import jobs.fit_detector
import jobs.pretrain
from jobs.fit_detector import fit_detector
from jobs.pretrain import pretrain
from xfmr.detectors.deep import DeepDetector
from xfmr.detectors.ensemble import EnsembleDetector
from xfmr.errors import XfmrError
from xfmr.scores.scoring import load_detector
from xfmr.settings import Settings
from xfmr.settings.stage_one import DETECTORS, Branch, DetectorKind, Objective
from xfmr.storage.models import Models
from xfmr.training.trainer import LocalTrainer

COLUMNS = ("signal", "zerone", "log_spectrum", "quiet_psd", "cwt", "stft")
N_RECORDS = 24
Words = pytest.CaptureFixture[str]

COMBINATIONS = [
    (kind, branch, objective)
    for kind, possible in DETECTORS.items()
    for branch in possible.branches or ("spectrum",)
    for objective in possible.objectives or ("ae",)
]
# A ResNet takes seconds even so; a handful of them stand for the others where time is short.
QUICK = [c for c in COMBINATIONS if c[1] in ("spectrum", "zerone")] + [
    ("ae", "image", "ae"),
    ("vae", "image", "ae"),
    ("svdd", "dual", "contrastive"),
]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train would take 20 s to start for each; tests/training holds that it ends alike."""
    for job in (jobs.pretrain, jobs.fit_detector):
        monkeypatch.setattr(job, "ClusterTrainer", lambda *of_run: LocalTrainer())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("detectors")
    archive = write_archive(folder / "archive", fleet_files(minutes=N_RECORDS // 2))
    made = Run(folder / "run", {"": archive}, columns=COLUMNS, group_bytes=10**9)
    made.featurize()
    return made


@pytest.fixture
def settings(run: Run) -> Callable[..., Settings]:
    def of(**values: Any) -> Settings:
        options = {"sample_rate_hz": SAMPLE_RATE_HZ, "image_size": 32, "folds": 2, "epochs": 1, **values}
        if "objective" in options:
            options["pretrain"] = {"objective": options.pop("objective")}
        return Settings(run=run.store.path(), **options)

    return of


def scores_of(run: Run) -> np.ndarray:
    detector = load_detector(run.features)
    tables = (run.features.read(group, detector.columns) for group in run.features.groups)
    return np.concatenate([detector.score(table) for table in tables])


@pytest.mark.parametrize(
    ("kind", "branch", "objective"),
    [*QUICK, *(pytest.param(*c, marks=pytest.mark.slow) for c in COMBINATIONS if c not in QUICK)],
)
def test_it_is_trained_published_and_scores(
    kind: DetectorKind,
    branch: Branch,
    objective: Objective,
    run: Run,
    settings: Callable[..., Settings],
    capsys: Words,
) -> None:
    chosen = settings(detector=kind, branch=branch, objective=objective)
    if chosen.detector_needs_encoders:
        pretrain(chosen)
    fit_detector(chosen)
    scores = scores_of(run)
    assert len(scores) == N_RECORDS
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > N_RECORDS / 2
    capsys.readouterr()
    fit_detector(chosen)
    assert "skipped" in capsys.readouterr().out


def test_the_soft_boundary_is_another_detector(run: Run, settings: Callable[..., Settings]) -> None:
    pretrain(settings())
    found = []
    for objective in ("one_class", "soft_boundary"):
        fit_detector(settings(detector="svdd", svdd={"objective": objective, "nu": 0.3, "epochs": 5}, epochs=None))
        found.append(scores_of(run))
    assert not np.allclose(*found)


def test_an_ensemble_has_the_members_and_weights_that_were_asked_for(
    run: Run, settings: Callable[..., Settings]
) -> None:
    pretrain(settings())
    fit_detector(settings(detector="ensemble", ensemble={"members": "vae=2,bank=1,ae=1"}))
    ensemble = load_detector(run.features)
    assert isinstance(ensemble, EnsembleDetector)
    assert [getattr(member, "kind", "bank") for member in ensemble.members] == ["bank", "ae", "vae"]
    assert ensemble.weights == (1.0, 1.0, 2.0)
    found = scores_of(run)
    alone = []
    for kind in ("bank", "ae", "vae"):
        fit_detector(settings(detector=kind))
        alone.append(scores_of(run))
    np.testing.assert_allclose(found, np.average(alone, axis=0, weights=(1, 1, 2)), rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_file_and_another_another(run: Run, settings: Callable[..., Settings]) -> None:
    def file(seed: int) -> bytes:
        fit_detector(settings(detector="vae", seed=seed))
        return Models(run.store).read("detector", run.recording)[0]

    first, other = file(0), file(1)
    assert file(0) == first
    assert other != first


@pytest.mark.parametrize(
    ("changed", "flag"),
    [
        ({"branch": "zerone"}, "--branch spectrum"),
        ({"folds": 3}, "--folds 2"),
        ({"objective": "contrastive"}, "--pretrain.objective ae"),
    ],
)
def test_encoders_of_other_settings_are_refused(
    changed: dict[str, Any], flag: str, settings: Callable[..., Settings]
) -> None:
    pretrain(settings())
    with pytest.raises(XfmrError, match=rf"was trained with {flag}, not [^\n]*: run jobs\.pretrain again, or give"):
        fit_detector(settings(detector="svdd", **changed))


def test_encoders_of_another_history_are_refused(settings: Callable[..., Settings]) -> None:
    """Their folds would be cut elsewhere, and members would score what their encoders have seen."""
    pretrain(settings())
    fewer = settings(detector="ae", max_records=N_RECORDS - 4)
    with pytest.raises(XfmrError, match=r"was trained on other records[^\n]*: run jobs\.pretrain again$"):
        fit_detector(fewer)


def test_what_was_set_aside_is_written_and_not_learned(run: Run, settings: Callable[..., Settings]) -> None:
    fit_detector(settings(detector="vae"))
    models = Models(run.store)
    detector = load_detector(run.features)
    assert isinstance(detector, DeepDetector)
    aside = run.store.read_table(f"models/detector-{models.current_key('detector')}/set_aside.parquet")
    assert len(aside) + len(detector.history_ids) == N_RECORDS
    assert not np.isin(aside["record_id"].to_numpy(), detector.history_ids).any()
