"""Labelled records for tests: tables of labels, and a run with a record in each part of the split."""

from pathlib import Path

import pandas as pd
from archives import Run, line, time_at, write_archive

from xfmr.faults.split import Part, part_of
from xfmr.schema import KEY

COLUMNS = [*KEY, "of_unit", "label"]


def minutes_of(part: Part, *, fleet: str = "", unit: str = "") -> list[int]:
    """Return those of the first 100 minutes whose samples belong to a part."""
    return [minute for minute in range(100) if part_of(fleet, unit, pd.Timestamp(time_at(minute))) == part]


def labelled(*rows: tuple[str, int, int]) -> pd.DataFrame:
    """Make what match_records gives of sensors, minutes and record ids."""
    return pd.DataFrame(
        [("", "", sensor, pd.Timestamp(time_at(minute)), "", "normal", record) for sensor, minute, record in rows],
        columns=[*COLUMNS, "record_id"],
    )


def split_run(folder: Path) -> Run:
    """A hundred minutes are too many: one labelled sample of each part, and a copy of the test signal."""
    train, test, validation = (minutes_of(part)[0] for part in ("train", "test", "validation"))
    lines = [
        *(line("s1", train, 1), line("s2", train, 2)),
        *(line("s1", test, 3), line("s2", test, 4)),
        line("s1", validation, 5),
        line("copy", train, 3),
    ]
    run = Run(folder / "run", {"": write_archive(folder / "archive", {"a.jsonl": lines})})
    run.featurize()
    return run


def all_labels(run: Run) -> pd.DataFrame:
    """Label every record of a run as normal."""
    times = {name: pd.Series(pd.NaT, dtype="datetime64[us, UTC]") for name in ("from", "to")}
    return pd.DataFrame(run.table().to_pandas()[KEY].assign(**times, label="normal"))
