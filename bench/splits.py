"""ROC AUC of our detectors on the gearbox recordings, with other splits into history and test: by time and by load.

    python -m bench.splits ../shared/data/gearbox

Prints a Markdown table: AUC over single records, mean and worst over the splits, also for each sensor alone. All
records of a moment are on the same side of a split. The rig's five loads are clusters of the spectra of its healthy
moments. Labels are used to find the healthy moments and for the AUC.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

from bench.detect import RATE_HZ, faulty_rows, read, read_labels, table_of
from bench.ours import fit_bank_alone, fit_networks
from xfmr.schema import KEY, to_numpy

N_LOADS, N_TIME_SPLITS = 5, 6
# Faulty moments in the history, about 5 % of it.
N_HIDDEN = 2


def moments_of(table: pa.Table, labels: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the moment of each record, counted from 0, and True for each moment that is faulty."""
    rows = table.select(KEY).to_pandas()
    moments, _ = pd.factorize(rows["data_time"], sort=True)
    return moments, pd.Series(faulty_rows(rows, labels)).groupby(moments).first().to_numpy()


def loads_of(table: pa.Table, moments: np.ndarray, faulty: np.ndarray) -> np.ndarray:
    """Return the load of each moment as a cluster number; -1 for faulty moments."""
    spectra = to_numpy(table, "log_spectrum")[np.argsort(moments, kind="stable")].reshape(len(faulty), -1)
    healthy = PCA(6, random_state=0).fit_transform(spectra[~faulty])
    loads = np.full(len(faulty), -1)
    loads[~faulty] = KMeans(N_LOADS, n_init=20, random_state=0).fit_predict(healthy)
    return loads


def splits(faulty: np.ndarray, loads: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the moments of each history, with the name of its kind of split."""
    for seed in range(N_TIME_SPLITS):
        rng = np.random.default_rng(seed)
        healthy = rng.permutation(np.flatnonzero(~faulty))
        hidden = rng.choice(np.flatnonzero(faulty), N_HIDDEN, replace=False)
        yield "half of the healthy moments", np.concatenate([healthy[: len(healthy) // 2], hidden])
    for name, size, n_hidden in (("three loads", 3, N_HIDDEN), ("two loads", 2, 0), ("one load", 1, 0)):
        for chosen in combinations(range(N_LOADS), size):
            hidden = np.random.default_rng(sum(chosen)).choice(np.flatnonzero(faulty), n_hidden, replace=False)
            yield name, np.concatenate([np.flatnonzero(np.isin(loads, chosen)), hidden])


def cell(aucs: Sequence[float]) -> str:
    """Format mean and worst."""
    return f"{np.mean(aucs):.3f}, {min(aucs):.3f}"


def main(folder: Path) -> None:
    """Print the table."""
    labels = read_labels(folder)
    (past, past_rows), (new, new_rows) = read(folder / "archive"), read(folder / "new")
    table = table_of(np.concatenate([past, new]), pd.concat([past_rows, new_rows]))
    moments, faulty = moments_of(table, labels)
    sensors = np.asarray(table["sensor_id"])
    aucs: dict[str, dict[str, list[float]]] = {}
    for name, shown in splits(faulty, loads_of(table, moments, faulty)):
        seen = np.isin(moments, shown)
        history, rest = table.filter(pa.array(seen)), table.filter(pa.array(~seen))
        detectors = {"bank": fit_bank_alone(history, RATE_HZ), **fit_networks(history, seed=0)}
        scores = {kind: detector.score(rest) for kind, detector in detectors.items()}
        truth, row = faulty[moments[~seen]], aucs.setdefault(name, {})
        for kind, score in scores.items():
            row.setdefault(kind, []).append(float(roc_auc_score(truth, score)))
        for sensor in sorted(set(sensors)):
            own = sensors[~seen] == sensor
            row.setdefault(f"bank, {sensor} alone", []).append(float(roc_auc_score(truth[own], scores["bank"][own])))
    columns = list(next(iter(aucs.values())))
    print("| history | " + " | ".join(columns) + " |", "| --- " * (1 + len(columns)) + "|", sep="\n")
    for name, row in aucs.items():
        print(f"| {name} | " + " | ".join(cell(row[column]) for column in columns) + " |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
