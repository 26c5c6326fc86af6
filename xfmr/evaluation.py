"""Scores against people's labels, beside what plain detectors reach on the same features and the same history."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.svm import OneClassSVM

from xfmr.errors import XfmrError
from xfmr.feature_set import FeatureSet
from xfmr.inputs import branch_values, sensor_keys
from xfmr.labels import KEY, NORMAL
from xfmr.normal import Standardiser
from xfmr.scoring import thresholds_of
from xfmr.storage import Store
from xfmr.thresholds import Method

# The one-class SVM's time grows with the square of its history, so the plain detectors see at most this much of it.
MAX_BASELINE_HISTORY = 20_000
MAX_SENSORS_SHOWN = 40

Scorer = Callable[[NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True)
class Quality:
    """How well scores tell faults from normal records; None where that is not defined.

    Args:
        records: Records judged.
        faults: Faults among them.
        auc: Area under the ROC curve: the chance that a fault scores above a normal record.
        average_precision: Area under the precision-recall curve.
        precision: Share of faults among the records at or above the upper threshold.
        recall: Share of the faults that are at or above it.
        macro_f1: Mean F1 of faults and normal records at that threshold.
    """

    records: int
    faults: int
    auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    macro_f1: float | None


def quality(fault: NDArray[np.bool_], score: NDArray[Any], anomaly: NDArray[np.bool_]) -> Quality:
    """Judge scores and decisions.

    Args:
        fault: The truth, shape (n,).
        score: Higher is more abnormal, shape (n,).
        anomaly: Whether the score reaches the upper threshold, shape (n,).
    """
    both = bool(fault.any() and not fault.all())
    return Quality(
        records=len(fault),
        faults=int(fault.sum()),
        auc=float(roc_auc_score(fault, score)) if both else None,
        average_precision=float(average_precision_score(fault, score)) if both else None,
        precision=float(precision_score(fault, anomaly)) if anomaly.any() else None,
        recall=float(recall_score(fault, anomaly)) if fault.any() else None,
        macro_f1=float(f1_score(fault, anomaly, average="macro", zero_division=0)) if len(fault) else None,
    )


def quality_by_sensor(judged: pd.DataFrame) -> dict[str, Quality]:
    """Judge all records (``all``) and each sensor's, from columns ``fault``, ``score`` and ``pseudo_label``."""
    groups = [("all", judged), *((_name(key), rows) for key, rows in judged.groupby(["fleet", "sensor_id"]))]
    return {
        name: quality(
            rows["fault"].to_numpy(bool), rows["score"].to_numpy(), (rows["pseudo_label"] == "anomaly").to_numpy()
        )
        for name, rows in groups
    }


def _name(key: Any) -> str:
    fleet, sensor_id = key
    return f"{fleet}/{sensor_id}" if fleet else str(sensor_id)


def read_diagnoses(uri: str) -> pd.DataFrame:
    """Read a file that diagnose wrote, Parquet or JSONL.

    Raises:
        XfmrError: Where it is missing or is no such file.
    """
    store, name = Store.of_file(uri)
    if not store.exists(name):
        raise XfmrError(f"scores file {uri} does not exist: check the path given to --scores")
    if name.lower().endswith(".parquet"):
        frame = pd.DataFrame(store.read_table(name).to_pandas())
    else:
        frame = _read_jsonl(store.read(name), uri)
    required = ("sensor_id", "data_time", "record_id", "score", "pseudo_label")
    missing = [column for column in required if column not in frame]
    if missing:
        raise XfmrError(f"{uri}: no column {', '.join(missing)}; give a file that jobs.diagnose wrote")
    times = pd.to_datetime(frame["data_time"], utc=True, errors="coerce", format="ISO8601")
    scores = pd.to_numeric(frame["score"], errors="coerce")
    for name, values in (("data_time", times), ("score", scores)):
        if values.isna().any():
            raise XfmrError(
                f"{uri}: {values.isna().sum()} rows without a usable {name}; give a file that jobs.diagnose wrote"
            )
    frame = frame.assign(data_time=times.astype("datetime64[us, UTC]"), score=scores)
    return frame if "fleet" in frame else frame.assign(fleet="")


def _read_jsonl(data: bytes, uri: str) -> pd.DataFrame:
    try:
        return pd.DataFrame([json.loads(line) for line in data.splitlines()])
    except ValueError as error:
        raise XfmrError(f"{uri} is neither Parquet nor JSONL: {error}") from error


def judge_against(scores: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Join scores and labels on sensor and time; adds ``label`` and ``fault``.

    Raises:
        XfmrError: Where no scored record is labelled.
    """
    judged = scores.merge(labels, on=KEY, how="inner")
    if judged.empty:
        raise XfmrError("no scored record is labelled: compare sensor_id and data_time of --labels and the scores")
    return judged.assign(fault=judged["label"] != NORMAL)


def fault_type_quality(judged: pd.DataFrame, trained_on: NDArray[np.int64]) -> dict[str, float | int] | None:
    """Judge the fault types of the records whose signal the classifier was not trained on."""
    if "fault_type" not in judged or judged["fault_type"].isna().all():
        return None
    unseen = judged[~judged["record_id"].isin(trained_on)]
    if unseen.empty:
        return {"records": 0}
    truth, named = unseen["label"], unseen["fault_type"]
    macro_f1 = f1_score(truth, named, labels=sorted(set(truth)), average="macro", zero_division=0)
    return {"records": len(unseen), "macro_f1": float(macro_f1), "accuracy": float((truth == named).mean())}


class Baselines:
    """Plain detectors fitted on the history that the deep one was trained on.

    Args:
        run: The run.
        history_ids: Records of that history.
        seed: Seed of the isolation forest.
        method: How each detector's upper threshold is set, from its scores of the history.
    """

    def __init__(self, run: Store, history_ids: NDArray[np.int64], *, seed: int, method: Method) -> None:
        chosen = np.sort(history_ids.view(np.uint64))[:MAX_BASELINE_HISTORY].view(np.int64)
        table = pa.concat_tables(_records(FeatureSet(run), chosen))
        # The forest draws rows by position, and the order of groups follows from the files' dates.
        table = table.sort_by([(name, "ascending") for name in KEY])
        raw, keys = branch_values("spectrum", table, image_size=0), sensor_keys(table)
        self.standardiser = Standardiser.fit(raw, keys)
        values = self.standardiser.apply(raw, keys)
        forest = IsolationForest(random_state=seed).fit(values)
        svm = OneClassSVM(nu=0.05, gamma="scale").fit(values)
        self.scorers: dict[str, Scorer] = {
            "isolation forest": lambda x: -forest.score_samples(x),
            "one-class SVM": lambda x: -svm.score_samples(x),
        }
        self.thresholds = {name: thresholds_of(scorer(values), method) for name, scorer in self.scorers.items()}

    def judge(self, run: Store, judged: pd.DataFrame) -> Iterator[tuple[str, dict[str, Quality]]]:
        """Judge each plain detector on the same records; none where their features are not kept in the run."""
        sets = [FeatureSet(store) for store in (run, *_diagnosed(run))]
        tables = [table for features in sets for table in _records(features, judged["record_id"].to_numpy(np.int64))]
        table = pa.concat_tables(tables)
        keys = sensor_keys(table)
        values = self.standardiser.apply(branch_values("spectrum", table, image_size=0), keys)
        identity = table.select([*KEY, "record_id"]).to_pandas()
        for name, scorer in self.scorers.items():
            score = scorer(values) if len(values) else np.empty(0)
            labels = np.where(score >= self.thresholds[name].upper, "anomaly", "uncertain")
            scored = identity.assign(score=score, pseudo_label=labels).drop_duplicates([*KEY, "record_id"])
            ours = judged[[*KEY, "record_id", "fault"]].merge(scored, on=[*KEY, "record_id"])
            if len(ours) == len(judged):
                yield name, quality_by_sensor(ours)


def _records(features: FeatureSet, ids: NDArray[np.int64]) -> list[pa.Table]:
    """Read the log spectra of some records."""
    wanted = pa.array(np.unique(ids))
    tables = features.tables(["log_spectrum"])
    return [table.filter(pc.is_in(table["record_id"], value_set=wanted)) for table in tables]


def _diagnosed(run: Store) -> list[Store]:
    """Return the finished passes of diagnose that this run keeps."""
    found = [info.path for info in run.files("diagnosed") if info.base_name == "_SUCCESS.json"]
    names = sorted({path.removeprefix(run.path()).lstrip("/").split("/")[1] for path in found})
    return [run.child(f"diagnosed/{name}") for name in names]


def overall_table(results: dict[str, dict[str, Quality]]) -> str:
    """Lay the results over all records out for the console: a row a detector."""
    rows = [{"detector": name, **asdict(sensors["all"])} for name, sensors in results.items()]
    return _text(pd.DataFrame(rows))


def sensor_table(results: dict[str, dict[str, Quality]]) -> str:
    """Lay the results of each sensor out for the console, the AUC of each detector beside the others'.

    Sensors on which nothing can be ranked, having normal records or faults alone, are left out.
    """
    ours = next(iter(results.values()))
    rows = [
        {
            "sensor": sensor,
            "records": judged.records,
            "faults": judged.faults,
            **{f"AUC {name}": sensors[sensor].auc for name, sensors in results.items()},
            "precision": judged.precision,
            "recall": judged.recall,
            "macro_f1": judged.macro_f1,
        }
        for sensor, judged in ours.items()
        if sensor != "all" and judged.auc is not None
    ]
    left_out = f"\n({len(rows) - MAX_SENSORS_SHOWN} more in evaluation.json)" if len(rows) > MAX_SENSORS_SHOWN else ""
    return _text(pd.DataFrame(rows[:MAX_SENSORS_SHOWN])) + left_out if rows else ""


def _text(frame: pd.DataFrame) -> str:
    figures = frame.columns[3:]  # behind the name and the two counts; a column of nothing but None is no number yet
    return frame.astype(dict.fromkeys(figures, float)).to_string(
        index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"
    )
