"""How well our detectors and plain ones tell faults from the rest on the gearbox, under harder and harder tests.

    python -m bench.detect ../shared/data/gearbox

Prints Markdown: ROC AUC of single records, mean and spread over seeds, which draw the test's changes and begin the
networks. The history is `archive`, the test `new`; only the last step reads the labels. Images are 64 pixels wide and
trained for 10 epochs, once, to fit the time.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from bench.ours import fit_images, fit_ours
from xfmr import features
from xfmr.evaluation import baselines
from xfmr.normal import Rows, Standardiser
from xfmr.records import Record, read_records, record_id
from xfmr.schema import fixed_size_column, to_numpy
from xfmr.views.hum import HARMONIC_COLUMNS
from xfmr.views.views import View, spectra

RATE_HZ = 8192.0
SEEDS = (0, 1, 2)
BASELINE_SEED = 0
COLUMNS = [*HARMONIC_COLUMNS, "cwt", "stft"]

Scores = np.ndarray
Score = Callable[[pa.Table], Scores]
Fit = Callable[[pa.Table], Score]
ReadView = Callable[[pa.Table], np.ndarray]
Archive = tuple[np.ndarray, pd.DataFrame]


def read(folder: Path) -> Archive:
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
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=COLUMNS)
    identity = pa.Table.from_pandas(rows.assign(record_id=list(map(record_id, signals))), preserve_index=False)
    for name, values in {**columns, "signal": signals.astype(np.float32)}.items():
        identity = identity.append_column(name, fixed_size_column(values))
    return identity


def detector_on(fit: baselines.Fit, read_view: ReadView = spectra) -> Fit:
    """Make a detector of standardised values, by default log spectra; it is fitted to the history as it is."""

    def fit_table(past: pa.Table) -> Score:
        seen, rows = read_view(past), Rows.of(past)
        standardiser = Standardiser.fit(seen, rows)
        score = fit(standardiser.apply(seen, rows), BASELINE_SEED)
        return lambda new: score(standardiser.apply(read_view(new), Rows.of(new)))

    return fit_table


def zerone(table: pa.Table) -> np.ndarray:
    """Read the 1200 values as they are."""
    return to_numpy(table, "zerone")


def log_zerone(table: pa.Table) -> np.ndarray:
    """Read the 1200 values as the branch `zerone` has them: in decades, level-free."""
    return View("zerone", 224, "log").read(table)


def five_nearest(values: baselines.Values, seed: int) -> baselines.Scorer:
    """Score by the mean distance to the five nearest records of the history."""
    neighbours = NearestNeighbors(n_neighbors=5).fit(values)
    return lambda x: neighbours.kneighbors(x)[0].mean(axis=1)


ON_SPECTRA = {name: detector_on(fit) for name, fit in baselines.BASELINES.items()}
ON_ZERONE = {
    "isolation forest on Zerone": detector_on(baselines.isolation_forest, zerone),
    "one-class SVM on Zerone": detector_on(baselines.one_class_svm, zerone),
    "five neighbours on log Zerone": detector_on(five_nearest, log_zerone),
}


def conditions(
    past: Archive, new: Archive, was_faulty: np.ndarray, faulty: np.ndarray, seed: int
) -> Iterator[tuple[Archive, dict[str, Archive]]]:
    """Yield each history and the tests of it by name."""
    rng = np.random.default_rng(seed)
    yield (past[0][~was_faulty], past[1][~was_faulty]), {"no faults in history": new}
    signals, rows = new
    louder = signals * 10 ** (rng.uniform(-3, 3, (len(signals), 1)) / 20)
    noise = rng.standard_normal(signals.shape) * signals.std(axis=1, keepdims=True) / 10
    yield past, {"as given": new, "gain within 3 dB": (louder, rows), "noise 20 dB below": (signals + noise, rows)}
    moved = rng.choice(np.flatnonzero(faulty), round(0.055 * len(past[0])), replace=False)
    rest = np.setdiff1d(np.arange(len(signals)), moved)
    history = np.concatenate([past[0], signals[moved]]), pd.concat([past[1], rows.iloc[moved]])
    yield history, {"10 % faults in history": (signals[rest], rows.iloc[rest])}


def auc(score: Score, unseen: pa.Table, labels: pd.DataFrame) -> float:
    """Compare the scores of records with what people called them."""
    identity = unseen.select(["sensor_id", "data_time"]).to_pandas()
    truth = identity.merge(labels, how="left", on=["sensor_id", "data_time"])["label"] != "normal"
    return float(roc_auc_score(truth, score(unseen)))


def main(folder: Path) -> None:
    """Print the table."""
    labels = pd.read_csv(folder / "labels.csv")
    labels["data_time"] = pd.to_datetime(labels["data_time"], utc=True)
    past, new = read(folder / "archive"), read(folder / "new")
    was_faulty, faulty = (
        (rows.merge(labels, how="left", on=["sensor_id", "data_time"])["label"] != "normal").to_numpy()
        for _, rows in (past, new)
    )
    found: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        for history, tests in conditions(past, new, was_faulty, faulty, seed):
            known, unseen = table_of(*history), {name: table_of(*test) for name, test in tests.items()}
            detectors: dict[str, Score] = {name: fit(known) for name, fit in (ON_SPECTRA | ON_ZERONE).items()}
            ours = fit_ours(known, rate_hz=RATE_HZ, seed=seed)
            if seed == SEEDS[0] and "as given" in unseen:
                ours |= fit_images(known, "log", size=64, epochs=10) | fit_images(known, "minmax", size=64, epochs=10)
            for name, score in ({name: detector.score for name, detector in ours.items()} | detectors).items():
                for condition, test in unseen.items():
                    found.setdefault((name, condition), []).append(auc(score, test, labels))
    cells = {key: f"{np.mean(v):.3f}" + f" ± {np.std(v):.3f}" * (len(v) > 1) for key, v in found.items()}
    table = pd.Series(cells).unstack(sort=False).fillna("")
    print("| | " + " | ".join(table.columns) + " |", "| --- " * (1 + len(table.columns)) + "|", sep="\n")
    for detector, row in table.iterrows():
        print(f"| {detector} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
