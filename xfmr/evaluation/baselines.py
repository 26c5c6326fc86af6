"""Plain detectors from scikit-learn, fitted to the history that our detector was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import KFold
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from xfmr.evaluation.quality import Predictions
from xfmr.normal import Rows, Standardiser
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.row_set import DIAGNOSED, RowSet
from xfmr.schema import IDENTITY_COLUMNS, KEY, RecordIds
from xfmr.scores.scoring import thresholds_of
from xfmr.settings.stage_two import Method
from xfmr.storage import Store
from xfmr.views.views import spectra

# Records of history that baselines are fitted to, at most: the one-class SVM's time grows with their square.
MAX_HISTORY = 20_000
_FOLDS = 5
_NEIGHBOURS = 20
_EXPLAINED_VARIANCE = 0.9

Values = NDArray[np.float32]
Scorer = Callable[[Values], NDArray[np.float64]]
Fit = Callable[[Values, int], Scorer]
"""Fit a detector to standardised values, shape (n, width), with a seed. A higher score is more abnormal."""


def isolation_forest(values: Values, seed: int) -> Scorer:
    """Score by how few random cuts isolate a record."""
    forest = IsolationForest(random_state=seed).fit(values)
    return lambda x: -forest.score_samples(x)


def one_class_svm(values: Values, seed: int) -> Scorer:
    """Score by the distance outside the boundary of a one-class SVM: RBF kernel, nu = 0.05."""
    svm = OneClassSVM(nu=0.05, gamma="scale").fit(values)
    return lambda x: -svm.score_samples(x)


def local_outlier_factor(values: Values, seed: int) -> Scorer:
    """Score by the local outlier factor of 20 neighbours, or of all if there are fewer."""
    lof = LocalOutlierFactor(n_neighbors=min(_NEIGHBOURS, len(values) - 1), novelty=True).fit(values)
    return lambda x: -lof.score_samples(x)


def pca_error(values: Values, seed: int) -> Scorer:
    """Score by the mean squared error of a PCA reconstruction that keeps 90 % of the variance."""
    pca = PCA(_EXPLAINED_VARIANCE, svd_solver="covariance_eigh").fit(values)
    return lambda x: np.square(x - pca.inverse_transform(pca.transform(x))).mean(axis=1, dtype=np.float64)


BASELINES: Mapping[str, Fit] = MappingProxyType(
    {
        "isolation forest": isolation_forest,
        "one-class SVM": one_class_svm,
        "LOF": local_outlier_factor,
        "PCA error": pca_error,
    }
)
"""The plain detectors by name, for jobs.evaluate and bench alike."""


class Baselines:
    """Plain detectors fitted to the history that our detector was fitted to.

    Their thresholds come from out-of-fold scores of the history. A detector scores the records that it was fitted to
    too low; thresholds from such scores would give too many false alarms.

    Args:
        run: Run that holds the history.
        history_ids: Ids of the history's records.
        seed: Seed of the isolation forest and of the folds.
        method: How each detector's upper threshold is set.

    Raises:
        XfmrError: If the history is too short for thresholds.
    """

    def __init__(self, run: Store, history_ids: RecordIds, *, seed: int, method: Method) -> None:
        # Ids are hashes, so the smallest unsigned ones are a random sample that is the same every time.
        chosen = np.sort(history_ids.view(np.uint64))[:MAX_HISTORY].view(np.int64)
        table = pa.concat_tables(_read_log_spectra(FeatureSet(run), chosen))
        # The forest draws rows by position, and the order of groups depends on the dates of the files.
        table = table.sort_by([(name, "ascending") for name in KEY])
        log_spectra, rows = spectra(table), Rows.of(table)
        self.standardiser = Standardiser.fit(log_spectra, rows)
        values = self.standardiser.apply(log_spectra, rows)
        scores = {name: out_of_fold_scores(fit, values, seed) for name, fit in BASELINES.items()}
        self.thresholds = {name: thresholds_of(score, method) for name, score in scores.items()}
        self.scorers = {name: fit(values, seed) for name, fit in BASELINES.items()}

    def predict(self, run: Store, records: pd.DataFrame) -> dict[str, Predictions]:
        """Score records and decide which are anomalies.

        Args:
            run: Run that holds the records' features, either its own or those that diagnose kept in it.
            records: Columns :data:`xfmr.schema.IDENTITY`.

        Returns:
            Predictions by detector, in the order of the records; empty if the features of any record are missing.
        """
        sources = [FeatureSet(run), *(FeatureSet(work, DIAGNOSED) for work in _finished_diagnoses(run))]
        ids = records["record_id"].to_numpy(np.int64)
        table = pa.concat_tables([rows for source in sources for rows in _read_log_spectra(source, ids)])
        available = table.select(IDENTITY_COLUMNS).to_pandas().drop_duplicates(IDENTITY_COLUMNS)
        available = available.reset_index(names="row")
        rows = records[IDENTITY_COLUMNS].merge(available, on=IDENTITY_COLUMNS, how="left")["row"]
        if rows.isna().any():
            return {}
        values = self.standardiser.apply(spectra(table), Rows.of(table))
        values = values[rows.to_numpy(np.int64)]
        scores = {name: scorer(values) for name, scorer in self.scorers.items()}
        return {name: Predictions(score, score >= self.thresholds[name].upper) for name, score in scores.items()}


def out_of_fold_scores(fit: Fit, values: Values, seed: int) -> NDArray[np.float64]:
    """Score each of five folds of the history with a detector fitted to the other four."""
    scores = np.empty(len(values))
    folds = KFold(min(_FOLDS, len(values)), shuffle=True, random_state=seed)
    for rest, fold in folds.split(values):
        scores[fold] = fit(values[rest], seed)(values[fold])
    return scores


def _read_log_spectra(features: FeatureSet, ids: RecordIds) -> list[pa.Table]:
    """Read the log spectra of the records with these ids."""
    wanted = pa.array(np.unique(ids))
    tables = features.tables(["log_spectrum"])
    return [table.filter(pc.is_in(table["record_id"], value_set=wanted)) for table in tables]


def _finished_diagnoses(run: Store) -> list[Store]:
    """Return the finished passes of diagnose that this run keeps."""
    passes = [run.child(f"diagnosed/{name}") for name in run.folders("diagnosed")]
    return [work for work in passes if work.exists(RowSet(work, DIAGNOSED).success_file)]
