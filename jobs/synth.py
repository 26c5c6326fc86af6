"""A synthetic transformer fleet with known faults: OUT/archive as sensors write it, OUT/labels.csv beside it.

    python -m jobs.synth --out demo --units 12 --times 32

OUT/few_labels.csv holds the labels of every other moment, as if people had labelled only half. The same seed with a
later --first-day gives new records of the same transformers.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

import pandas as pd

from xfmr.progress import say
from xfmr.synth import FleetSpec, write_fleet


def main(arguments: list[str]) -> int:
    """Write a fleet; return exit status 2 if the arguments are invalid or the folder cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.synth",
        description="Write a synthetic transformer fleet as an archive and a table of labels.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write archive and labels.csv into")
    parser.add_argument("--units", type=int, default=FleetSpec.n_units, help="transformers")
    parser.add_argument("--sensors", type=int, default=FleetSpec.sensors_per_unit, help="sensors per transformer")
    parser.add_argument("--times", type=int, default=FleetSpec.n_times, help="records of each sensor")
    parser.add_argument("--minutes", type=int, default=FleetSpec.minutes_between, help="minutes between records")
    parser.add_argument("--first-day", type=date.fromisoformat, default=FleetSpec.first_day, help="first day, UTC")
    parser.add_argument("--fault-share", type=float, default=FleetSpec.fault_share, help="share of faulty records")
    parser.add_argument("--seed", type=int, default=FleetSpec.seed, help="seed of the fleet")
    given = parser.parse_args(arguments)
    try:
        spec = FleetSpec(
            n_units=given.units,
            sensors_per_unit=given.sensors,
            n_times=given.times,
            minutes_between=given.minutes,
            first_day=given.first_day,
            fault_share=given.fault_share,
            seed=given.seed,
        )
        summary = write_fleet(spec, given.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    truth = pd.read_csv(summary.labels, dtype=str)
    even = truth.groupby("unit")["data_time"].rank(method="dense") % 2 == 0
    truth[even].to_csv(given.out / "few_labels.csv", index=False)
    say(
        "synth",
        f"{summary.n_records} records in {summary.n_files} files, {summary.n_faulty} faulty: {summary.archive}",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
