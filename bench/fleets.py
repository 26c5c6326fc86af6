"""AUC and false alarms of the default detector and of baselines on synthetic transformers.

    python -m bench.fleets

Prints a Markdown table over nine fleets of 15 sensors. Each has four days of history with 5 % of faults, and four
later days in which four of five units have a fault of medium severity for one day.

- False alarms are counted at the threshold with a recall of 95 %, in the evening (17 to 23 h) and at other hours.
- The history covers either all hours, or every day only the hours before 15 h. The latter never shows the evening's
  load and fans.
- "Learned again": the later days join the archive, and a second bank is fitted without the first one's anomalies.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import roc_auc_score

from bench.detect import ON_SPECTRA, Archive, table_of
from bench.ours import fit_bank_alone
from xfmr.detectors.bank import BankDetector
from xfmr.detectors.calibration import Calibration
from xfmr.normal import Rows
from xfmr.normal.daytime import DailyProfile
from xfmr.schema import KEY
from xfmr.scores.scoring import beyond_usual
from xfmr.scores.thresholds import fit_thresholds
from xfmr.synth import UNIT_FAULTS, Fault, FleetSpec, plan_episodes, sample_signals

SEEDS = (20, 21, 22, 31, 32, 33, 34, 35, 36)
UNITS, SENSORS, TIMES, MINUTES = 5, 3, 128, 45
SEVERITY, FAULT_TIMES = 0.5, 32
LATER, AFTER_THAT = date(2024, 7, 1), date(2024, 8, 1)
LAST_SHOWN_HOUR, EVENING = 15, range(17, 23)
RATE_HZ = 8192.0
NO_KNOCK = Calibration((), np.zeros(1), np.full(1, np.inf))
NO_HOURS = DailyProfile((), np.empty((0, 24), np.float32))


def recorded(spec: FleetSpec, faults: dict[tuple[int, int], Fault]) -> Archive:
    """Return the signals of a fleet, with their sensors, times and a column `faulty`.

    Args:
        spec: The fleet.
        faults: Fault by unit and time, for the faulty moments.
    """
    moments = [(unit, time) for unit in range(spec.n_units) for time in range(spec.n_times)]
    signals = [sample_signals(spec, *moment, fault=faults.get(moment)) for moment in moments]
    rows = [
        {"fleet": "", "unit": "", "sensor_id": spec.sensor_id(unit, sensor), "data_time": spec.recorded_at(time)}
        for unit, time in moments
        for sensor in range(spec.sensors_per_unit)
    ]
    faulty = np.repeat([moment in faults for moment in moments], spec.sensors_per_unit)
    return np.concatenate(signals).astype(np.float32), pd.DataFrame(rows).assign(faulty=faulty)


def history(seed: int) -> pa.Table:
    """Return the history of a fleet, which includes unlabelled faults."""
    spec = FleetSpec(UNITS, SENSORS, TIMES, MINUTES, fault_share=0.05, seed=seed)
    faults = {
        (unit, time): fault
        for unit, episode in plan_episodes(spec).items()
        for time in range(TIMES)
        if (fault := episode.fault(time))
    }
    return table_of(*recorded(spec, faults))


def later(seed: int, first_day: date, *, times: int = TIMES, turn: int = 0) -> pa.Table:
    """Return later days of the same fleet, with the column `faulty`; each kind of fault moves by `turn` units."""
    spec = FleetSpec(UNITS, SENSORS, times, MINUTES, first_day=first_day, fault_share=0, seed=seed)
    begin = np.random.default_rng((seed, turn)).integers(0, times - FAULT_TIMES, len(UNIT_FAULTS))
    faults = {
        ((unit + turn) % UNITS, int(begin[unit]) + i): Fault(kind, SEVERITY)
        for unit, kind in enumerate(UNIT_FAULTS)
        for i in range(FAULT_TIMES)
    }
    return table_of(*recorded(spec, faults))


def hours(table: pa.Table) -> np.ndarray:
    """Return each record's hour of the day."""
    return Rows.of(table).times.astype("datetime64[h]").astype(np.int64) % 24


def scored(bank: BankDetector, past: pa.Table, new: pa.Table) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the scores of new records by each variant of the bank and each baseline."""
    yield "bank, `--forgive-daily false`", bank.score(new)
    yield "bank", forgiven(bank, new)
    yield "bank, knocks counted as they are", forgiven(replace(bank, knocks=NO_KNOCK), new)
    yield "bank, all hours alike", alike(bank).score(new)
    yield from ((name, fit(past)(new)) for name, fit in ON_SPECTRA.items())


def forgiven(bank: BankDetector, table: pa.Table) -> np.ndarray:
    """Score records as jobs.score does by default: less what is usual at that hour."""
    return np.asarray(beyond_usual(table.append_column("score", pa.array(bank.score(table))))["score"])


def learned_again(bank: BankDetector, past: pa.Table, new: pa.Table) -> BankDetector:
    """Fit a bank to the archive plus new records, without anomalies, as `--leave-out-anomalies true` does."""
    grown = pa.concat_tables([past, new]).sort_by([(name, "ascending") for name in KEY])
    scores = forgiven(bank, grown)
    return fit_bank_alone(grown.filter(pa.array(scores < fit_thresholds(scores, "mad").upper)), RATE_HZ)


def alike(bank: BankDetector) -> BankDetector:
    """Return the bank without its profile over the hours of the day."""
    whole, quiet = (replace(view, profile=NO_HOURS) for view in (bank.whole, bank.quiet))
    return replace(bank, whole=whole, quiet=quiet)


def metrics_of(scores: np.ndarray, new: pa.Table) -> tuple[float, float, float]:
    """Return the AUC, and the false alarm rates in the evening and at other hours."""
    faulty, evening = new["faulty"].to_numpy(zero_copy_only=False), np.isin(hours(new), EVENING)
    alarm = scores > np.quantile(scores[faulty], 0.05)
    evening_rate, other_rate = (float(alarm[~faulty & hour].mean()) for hour in (evening, ~evening))
    return float(roc_auc_score(faulty, scores)), evening_rate, other_rate


def percent(shares: Sequence[float]) -> str:
    """Format mean and range of shares."""
    mean, least, most = (100 * value for value in (np.mean(shares), min(shares), max(shares)))
    return f"{mean:.1f} % ({least:.1f} to {most:.1f})"


def runs(seed: int) -> Iterator[tuple[str, str, tuple[float, float, float]]]:
    """Yield the name of each history and detector with its metrics on one fleet."""
    whole, new, month_after = history(seed), later(seed, LATER), later(seed, AFTER_THAT, turn=1)
    short = whole.filter(pa.array(hours(whole) < LAST_SHOWN_HOUR))
    for shown, past in (("all hours", whole), ("none after 15 h", short)):
        bank = fit_bank_alone(past, RATE_HZ)
        yield from ((shown, name, metrics_of(scores, new)) for name, scores in scored(bank, past, new))
    again = learned_again(bank, short, later(seed, LATER, times=2 * TIMES))
    yield shown, "bank, learned again", metrics_of(forgiven(again, month_after), month_after)


def main() -> None:
    """Print the table."""
    results: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for seed in SEEDS:
        for shown, name, metrics in runs(seed):
            results.setdefault((shown, name), []).append(metrics)
    columns = "history", "detector", "AUC: mean, worst", "false alarms in the evening", "at other hours"
    print("| " + " | ".join(columns) + " |", "| --- " * 5 + "|", sep="\n")
    for (shown, name), of_fleets in results.items():
        auc, evening, other = zip(*of_fleets, strict=True)
        cells = [f"{np.mean(auc):.3f}, {min(auc):.3f}", percent(evening), percent(other)]
        print(f"| {shown} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
