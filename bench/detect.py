"""How well the bank and plain detectors tell faults from the rest on the gearbox, under harder and harder tests.

    python -m bench.detect ../shared/data/gearbox

Prints Markdown: ROC AUC of single records, mean and spread over seeds. The history is `archive`, the test `new`; only
the last step reads the labels.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from xfmr import features
from xfmr.cleaning import clean
from xfmr.detectors.bank import fit_bank
from xfmr.harmonics import HARMONIC_COLUMNS, harmonic_values, level_free_harmonics
from xfmr.history import CleanHistory, History
from xfmr.inputs import sensor_keys
from xfmr.normal import Standardiser
from xfmr.records import Record, read_records, record_id
from xfmr.schema import IDENTITY_COLUMNS, fixed_size_column
from xfmr.views import spectra

RATE_HZ = 8192.0
SEEDS = (0, 1, 2)

Scores = np.ndarray
Detector = Callable[[pa.Table, pa.Table], Scores]


def read(folder: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Read the signals of an archive and who recorded them when."""
    found: list[Record] = []
    for path in sorted(folder.rglob("*.jsonl*")):
        with path.open("rb") as stream:
            found += [item for item in read_records(stream, name=path.name) if isinstance(item, Record)]
    rows = pd.DataFrame({"sensor_id": [r.sensor_id for r in found], "data_time": [r.data_time for r in found]})
    return np.stack([record.signal for record in found]), rows.assign(fleet="")


def table_of(signals: np.ndarray, rows: pd.DataFrame) -> pa.Table:
    """Compute the columns that detectors read, in order of sensor and time."""
    order = rows.reset_index(drop=True).sort_values(["sensor_id", "data_time"]).index.to_numpy()
    signals, rows = signals[order], rows.iloc[order]
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=HARMONIC_COLUMNS)
    identity = pa.Table.from_pandas(rows.assign(record_id=list(map(record_id, signals))), preserve_index=False)
    for name, values in columns.items():
        identity = identity.append_column(name, fixed_size_column(values))
    return identity


def bank(past: pa.Table, new: pa.Table) -> Scores:
    """Score by the default detector."""
    history = History(harmonic_values(past, mains_hz=50), past.select(IDENTITY_COLUMNS).to_pandas())
    free = level_free_harmonics(history.values)
    standardiser = Standardiser.fit(free, history.keys)
    kept, _ = clean(standardiser.apply(free, history.keys), history.keys)
    cleaned = CleanHistory(history.only(kept), standardiser, history.rows[~kept])
    return fit_bank(cleaned, mains_hz=50, sample_rate_hz=RATE_HZ, size=20_000).score(new)


def plain(fit: Callable[[np.ndarray], Callable[[np.ndarray], Scores]]) -> Detector:
    """Make a detector that is fitted to standardised level-free log spectra, the history as it is."""

    def score(past: pa.Table, new: pa.Table) -> Scores:
        raw, unseen = (spectra(table) for table in (past, new))
        standardiser = Standardiser.fit(raw, sensor_keys(past))
        return fit(standardiser.apply(raw, sensor_keys(past)))(standardiser.apply(unseen, sensor_keys(new)))

    return score


def pca_error(history: np.ndarray) -> Callable[[np.ndarray], Scores]:
    """Score by what 32 principal components leave over."""
    pca = PCA(n_components=min(32, len(history) - 1), random_state=0).fit(history)
    return lambda x: np.square(x - pca.inverse_transform(pca.transform(x))).sum(axis=1)


DETECTORS: dict[str, Detector] = {
    "bank (default)": bank,
    "isolation forest": plain(lambda x: lambda y: -IsolationForest(random_state=0).fit(x).score_samples(y)),
    "one-class SVM": plain(lambda x: lambda y: -OneClassSVM(nu=0.05, gamma="scale").fit(x).score_samples(y)),
    "LOF": plain(lambda x: lambda y: -LocalOutlierFactor(n_neighbors=5, novelty=True).fit(x).score_samples(y)),
    "PCA error": plain(pca_error),
}


def conditions(
    past: tuple[np.ndarray, pd.DataFrame], new: tuple[np.ndarray, pd.DataFrame], faulty: np.ndarray, seed: int
) -> Iterator[tuple[str, tuple[np.ndarray, pd.DataFrame], tuple[np.ndarray, pd.DataFrame]]]:
    """Yield name, history and test of each condition."""
    rng = np.random.default_rng(seed)
    signals, rows = new
    yield "as given", past, new
    yield "gain within 3 dB", past, (signals * 10 ** (rng.uniform(-3, 3, (len(signals), 1)) / 20), rows)
    noise = rng.standard_normal(signals.shape) * signals.std(axis=1, keepdims=True) / 10
    yield "noise 20 dB below", past, (signals + noise, rows)
    moved = rng.choice(np.flatnonzero(faulty), round(0.055 * len(past[0])), replace=False)
    rest = np.setdiff1d(np.arange(len(signals)), moved)
    history = np.concatenate([past[0], signals[moved]]), pd.concat([past[1], rows.iloc[moved]])
    yield "10 % faults in history", history, (signals[rest], rows.iloc[rest])


def main(folder: Path) -> None:
    """Print the table."""
    labels = pd.read_csv(folder / "labels.csv")
    labels["data_time"] = pd.to_datetime(labels["data_time"], utc=True)
    past, new = read(folder / "archive"), read(folder / "new")
    faulty = (new[1].merge(labels, how="left", on=["sensor_id", "data_time"])["label"] != "normal").to_numpy()
    found: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        for condition, history, test in conditions(past, new, faulty, seed):
            known, unseen = table_of(*history), table_of(*test)
            identity = unseen.select(["sensor_id", "data_time"]).to_pandas()
            truth = identity.merge(labels, how="left", on=["sensor_id", "data_time"])["label"] != "normal"
            for name, detector in DETECTORS.items():
                auc = roc_auc_score(truth, detector(known, unseen))
                found.setdefault((name, condition), []).append(float(auc))
    table = pd.Series({key: f"{np.mean(v):.3f} ± {np.std(v):.3f}" for key, v in found.items()}).unstack(sort=False)
    print("| | " + " | ".join(table.columns) + " |", "| --- " * (1 + len(table.columns)) + "|", sep="\n")
    for name, row in table.iterrows():
        print(f"| {name} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
