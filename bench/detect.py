"""ROC AUC of our detectors and of baselines on the gearbox recordings, under increasingly hard conditions.

    python -m bench.detect ../shared/data/gearbox

Prints a Markdown table: AUC over single records, mean and standard deviation over seeds. A seed draws the changes to
the test and initialises the networks. The history is `archive`, the test is `new`; detectors see no labels. Image
networks use 64 pixels, 10 epochs and one seed to save time: they show that it runs and are not a benchmark.
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
from xfmr.schema import KEY, NORMAL, fixed_size_column, to_numpy
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
    """Read the signals of an archive, with the sensor and time of each."""
    records: list[Record] = []
    for path in sorted(folder.rglob("*.jsonl*")):
        with path.open("rb") as stream:
            records += [item for item in read_records(stream, name=path.name) if isinstance(item, Record)]
    rows = pd.DataFrame({"sensor_id": [r.sensor_id for r in records], "data_time": [r.data_time for r in records]})
    return np.stack([record.signal for record in records]), rows.assign(fleet="", unit="")


def table_of(signals: np.ndarray, rows: pd.DataFrame) -> pa.Table:
    """Compute the columns that detectors read, sorted by sensor and time."""
    order = rows.reset_index(drop=True).sort_values(KEY).index.to_numpy()
    signals, rows = signals[order], rows.iloc[order]
    columns = features.feature_columns(signals, sample_rate_hz=RATE_HZ, columns=COLUMNS)
    table = pa.Table.from_pandas(rows.assign(record_id=list(map(record_id, signals))), preserve_index=False)
    for name, values in {**columns, "signal": signals.astype(np.float32)}.items():
        table = table.append_column(name, fixed_size_column(values))
    return table


def detector_on(fit: baselines.Fit, read_view: ReadView = spectra) -> Fit:
    """Return a detector on standardised values, by default log spectra. It is fitted to the uncleaned history."""

    def fit_table(past: pa.Table) -> Score:
        seen, rows = read_view(past), Rows.of(past)
        standardiser = Standardiser.fit(seen, rows)
        score = fit(standardiser.apply(seen, rows), BASELINE_SEED)
        return lambda new: score(standardiser.apply(read_view(new), Rows.of(new)))

    return fit_table


def zerone(table: pa.Table) -> np.ndarray:
    """Return the 1200 Zerone values unscaled."""
    return to_numpy(table, "zerone")


def log_zerone(table: pa.Table) -> np.ndarray:
    """Return the 1200 Zerone values as the branch `zerone` sees them: log10, without the level."""
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
    """Yield each history with its tests by name.

    Args:
        past: The archive.
        new: The records to test on.
        was_faulty: True for faulty records of the archive.
        faulty: True for faulty new records.
        seed: Seed of the gains, the noise and the faults that move into the history.
    """
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


def read_labels(folder: Path) -> pd.DataFrame:
    """Read the labels of all recordings."""
    labels = pd.read_csv(folder / "labels.csv")
    return labels.assign(fleet="", unit="", data_time=pd.to_datetime(labels["data_time"], utc=True))


def faulty_rows(rows: pd.DataFrame, labels: pd.DataFrame) -> np.ndarray:
    """Return True for the records that are labelled as faults."""
    return np.asarray(rows.merge(labels, how="left", on=KEY)["label"] != NORMAL)


def auc(score: Score, test: pa.Table, labels: pd.DataFrame) -> float:
    """Return the AUC of the scores of a test."""
    return float(roc_auc_score(faulty_rows(test.select(KEY).to_pandas(), labels), score(test)))


def main(folder: Path) -> None:
    """Print the table."""
    labels, past, new = read_labels(folder), read(folder / "archive"), read(folder / "new")
    was_faulty, faulty = (faulty_rows(rows, labels) for _, rows in (past, new))
    aucs: dict[tuple[str, str], list[float]] = {}
    for seed in SEEDS:
        for history, tests in conditions(past, new, was_faulty, faulty, seed):
            known, unseen = table_of(*history), {name: table_of(*test) for name, test in tests.items()}
            detectors: dict[str, Score] = {name: fit(known) for name, fit in (ON_SPECTRA | ON_ZERONE).items()}
            ours = fit_ours(known, rate_hz=RATE_HZ, seed=seed)
            if seed == SEEDS[0] and "as given" in unseen:
                ours |= fit_images(known, "log", size=64, epochs=10) | fit_images(known, "minmax", size=64, epochs=10)
            for name, score in ({name: detector.score for name, detector in ours.items()} | detectors).items():
                for condition, test in unseen.items():
                    aucs.setdefault((name, condition), []).append(auc(score, test, labels))
    cells = {key: f"{np.mean(v):.3f}" + f" ± {np.std(v):.3f}" * (len(v) > 1) for key, v in aucs.items()}
    table = pd.Series(cells).unstack(sort=False).fillna("")
    print("| | " + " | ".join(table.columns) + " |", "| --- " * (1 + len(table.columns)) + "|", sep="\n")
    for detector, row in table.iterrows():
        print(f"| {detector} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
