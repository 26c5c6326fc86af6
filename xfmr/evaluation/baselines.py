"""Plain detectors from scikit-learn, fitted on the history that the deep one learned from."""

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

from xfmr.evaluation.quality import Verdicts
from xfmr.normal import Rows, Standardiser
from xfmr.rows.feature_set import FeatureSet
from xfmr.rows.row_set import DIAGNOSED, RowSet
from xfmr.schema import KEY
from xfmr.scores.scoring import thresholds_of
from xfmr.settings.options import Method
from xfmr.storage import Store
from xfmr.views.views import spectra

# The one-class SVM's time grows with the square of its history, so the plain detectors see at most this much of it.
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
    """Plain detectors fitted on the history that the deep one was trained on.

    Their thresholds are set on held-out scores of the history, each fifth of it scored by what the others taught: a
    detector scores what it was fitted on too low, and thresholds set so would call too much a fault.

    Args:
        run: The run.
        history_ids: Records of that history.
        seed: Seed of the isolation forest and of the fifths.
        method: How each detector's upper threshold is set.

    Raises:
        XfmrError: Where the history is too short for thresholds.
    """

    def __init__(self, run: Store, history_ids: NDArray[np.int64], *, seed: int, method: Method) -> None:
        # Ids are hashes: the smallest, read without a sign, are as good as random, and the same every time.
        chosen = np.sort(history_ids.view(np.uint64))[:MAX_HISTORY].view(np.int64)
        table = pa.concat_tables(_records(FeatureSet(run), chosen))
        # The forest draws rows by position, and the order of groups follows from the files' dates.
        table = table.sort_by([(name, "ascending") for name in KEY])
        log_spectra, rows = spectra(table), Rows.of(table)
        self.standardiser = Standardiser.fit(log_spectra, rows)
        values = self.standardiser.apply(log_spectra, rows)
        held_out = {name: held_out_scores(fit, values, seed) for name, fit in BASELINES.items()}
        self.thresholds = {name: thresholds_of(scores, method) for name, scores in held_out.items()}
        self.scorers = {name: fit(values, seed) for name, fit in BASELINES.items()}

    def judge(self, run: Store, records: pd.DataFrame) -> dict[str, Verdicts]:
        """Say what each plain detector says of records, in their order.

        Args:
            run: The run, whose history's features and passes of diagnose are looked through.
            records: Columns ``fleet``, ``sensor_id``, ``data_time`` and ``record_id``.

        Returns:
            By detector; empty where the features of a record are not kept in the run.
        """
        sets = [FeatureSet(run), *(FeatureSet(work, DIAGNOSED) for work in _diagnosed(run))]
        ids = records["record_id"].to_numpy(np.int64)
        table = pa.concat_tables([found for features in sets for found in _records(features, ids)])
        identity = [*KEY, "record_id"]
        found = table.select(identity).to_pandas().drop_duplicates(identity).reset_index(names="row")
        rows = records[identity].merge(found, on=identity, how="left")["row"]
        if rows.isna().any():
            return {}
        values = self.standardiser.apply(spectra(table), Rows.of(table))
        values = values[rows.to_numpy(np.int64)]
        scores = {name: scorer(values) for name, scorer in self.scorers.items()}
        return {name: Verdicts(score, score >= self.thresholds[name].upper) for name, score in scores.items()}


def held_out_scores(fit: Fit, values: Values, seed: int) -> NDArray[np.float64]:
    """Score each fifth of the history by a detector fitted on the rest."""
    scores = np.empty(len(values))
    folds = KFold(min(_FOLDS, len(values)), shuffle=True, random_state=seed)
    for rest, fifth in folds.split(values):
        scores[fifth] = fit(values[rest], seed)(values[fifth])
    return scores


def _records(features: FeatureSet, ids: NDArray[np.int64]) -> list[pa.Table]:
    """Read the log spectra of some records."""
    wanted = pa.array(np.unique(ids))
    tables = features.tables(["log_spectrum"])
    return [table.filter(pc.is_in(table["record_id"], value_set=wanted)) for table in tables]


def _diagnosed(run: Store) -> list[Store]:
    """Return the finished passes of diagnose that this run keeps."""
    passes = [run.child(f"diagnosed/{name}") for name in sorted(run.folders("diagnosed"))]
    return [work for work in passes if work.exists(RowSet(work, DIAGNOSED).success_file)]
