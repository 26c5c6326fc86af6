"""Plain detectors: out-of-fold thresholds, and results that do not depend on the order of the records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from archives import Run, line, time_at, write_archive

import xfmr.evaluation.baselines
from xfmr.errors import XfmrError
from xfmr.evaluation import Baselines
from xfmr.evaluation.baselines import BASELINES, out_of_fold_scores
from xfmr.rows.row_set import DIAGNOSED
from xfmr.schema import RECORD_LENGTH
from xfmr.scores.thresholds import fit_thresholds


def noise(seed: int, *, rumbling: bool = False) -> list[float]:
    """White noise, or the red noise of something loose."""
    white = np.random.default_rng(seed).standard_normal(RECORD_LENGTH)
    values = np.cumsum(white) if rumbling else white
    return [round(value, 4) for value in values.tolist()]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty records of white noise and one of red."""
    lines = [line("a", minute, noise(minute, rumbling=minute == 40)) for minute in range(41)]
    return write_archive(tmp_path_factory.mktemp("archive"), {"a.jsonl": lines})


@pytest.fixture
def run(archive: Path, tmp_path: Path) -> Run:
    made = Run(tmp_path / "run", {"": archive}, columns=["log_spectrum"])
    made.featurize()
    return made


@pytest.fixture
def records(run: Run) -> pd.DataFrame:
    table = run.table().to_pandas()
    return pd.DataFrame(table.assign(fault=table["data_time"] == time_at(40)))


def history_of(records: pd.DataFrame) -> np.ndarray:
    return records.loc[~records["fault"], "record_id"].to_numpy(np.int64)


def test_plain_detectors_find_an_obvious_fault(run: Run, records: pd.DataFrame) -> None:
    predictions_by_name = Baselines(run.store, history_of(records), seed=0, method="mad").predict(run.store, records)
    assert set(predictions_by_name) == {"isolation forest", "one-class SVM", "LOF", "PCA error"}
    fault = records["fault"].to_numpy()
    for name, predictions in predictions_by_name.items():
        assert predictions.score.shape == predictions.anomaly.shape == (41,)
        assert predictions.score[fault].min() > predictions.score[~fault].max(), name
        assert predictions.anomaly[fault].all(), name


def test_predictions_are_in_the_order_of_the_records(run: Run, records: pd.DataFrame) -> None:
    baselines = Baselines(run.store, history_of(records), seed=0, method="mad")
    all_of_them, some = (baselines.predict(run.store, rows) for rows in (records, records.iloc[[40, 3, 7]]))
    for name, predictions in some.items():
        np.testing.assert_allclose(predictions.score, all_of_them[name].score[[40, 3, 7]])


@pytest.mark.parametrize("name", BASELINES)
def test_thresholds_hold_for_new_records(name: str) -> None:
    """In 451 dimensions, a fit to 100 records scores these far too low: all new records would be anomalies."""
    values = np.random.default_rng(0).standard_normal((200, 451)).astype(np.float32)
    history, new = values[:100], values[100:]
    thresholds = fit_thresholds(out_of_fold_scores(BASELINES[name], history, 0), "percentile")
    assert np.mean(BASELINES[name](history, 0)(new) >= thresholds.upper) < 0.1


def test_pca_error_by_hand() -> None:
    """Records on the line have no error; beside it, the error is the squared distance over the width."""
    line = np.outer(np.linspace(-3, 3, 50), np.ones(4)).astype(np.float32)
    error = BASELINES["PCA error"](line, 0)
    beside = np.array([[2, 2, 2, 2], [1, -1, 0, 0]], np.float32)
    np.testing.assert_allclose(error(beside), [0, 0.5], atol=1e-6)


def test_records_whose_features_are_not_kept_have_no_baselines(run: Run, records: pd.DataFrame) -> None:
    baselines = Baselines(run.store, history_of(records), seed=0, method="mad")
    strangers = records.assign(record_id=records["record_id"] ^ 1)
    assert baselines.predict(run.store, strangers) == {}
    assert baselines.predict(run.store, pd.concat([records, strangers])) == {}


def test_records_of_a_finished_diagnosis_are_found_once(run: Run, records: pd.DataFrame, tmp_path: Path) -> None:
    new = write_archive(tmp_path / "new", {"n.jsonl": [line("a", 50, noise(50)), line("a", 51, noise(51))]})
    for key in ("x", "y"):
        Run(tmp_path / f"run/diagnosed/{key}", {"": new}, columns=["log_spectrum"], rows_in=DIAGNOSED).featurize()
    Run(tmp_path / "run/diagnosed/unfinished", {"": new}, columns=["log_spectrum"], rows_in=DIAGNOSED).plan()
    table = Run(tmp_path / "run/diagnosed/x", {"": new}, rows_in=DIAGNOSED).table()
    diagnosed = table.to_pandas().assign(fault=[True, False])
    baselines = Baselines(run.store, history_of(records), seed=0, method="mad")
    predictions_by_name = baselines.predict(run.store, pd.concat([diagnosed, records.iloc[:1]]))
    assert {len(predictions.score) for predictions in predictions_by_name.values()} == {3}


def test_a_history_too_short_for_thresholds_is_an_error(run: Run, records: pd.DataFrame) -> None:
    with pytest.raises(XfmrError, match=r"^no thresholds by mad"):
        Baselines(run.store, history_of(records)[:5], seed=0, method="mad")


def test_baselines_depend_on_the_history_alone_and_not_on_its_order(run: Run, records: pd.DataFrame) -> None:
    history = history_of(records)[:30]
    first = Baselines(run.store, history, seed=0, method="mad")
    again = Baselines(run.store, history[::-1].copy(), seed=0, method="mad")
    assert again.thresholds == first.thresholds
    assert Baselines(run.store, history_of(records), seed=0, method="mad").thresholds != first.thresholds


def test_of_a_long_history_the_smallest_ids_are_enough(
    monkeypatch: pytest.MonkeyPatch, run: Run, records: pd.DataFrame
) -> None:
    """Ids are hashes, so the smallest unsigned ones are a random sample."""
    monkeypatch.setattr(xfmr.evaluation.baselines, "MAX_HISTORY", 15)
    history = history_of(records)
    smallest = sorted(history.tolist(), key=lambda number: number % 2**64)[:15]
    capped = Baselines(run.store, history, seed=0, method="mad")
    assert capped.thresholds == Baselines(run.store, np.array(smallest), seed=0, method="mad").thresholds
