"""Folder names -> table of labels: a row a unit, to be read, corrected and given to other jobs as --labels.

    python -m jobs.labels --archive labelled --unit-from '{unit}_*' --label-from '*--{label}--*' \
        --words 正常=normal 故障=fault --out labels.csv

No other job reads a label from a name.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence

from jobs.groups import list_files
from xfmr.archive import parse_archives
from xfmr.archive.patterns import PathPattern
from xfmr.archive.units import UnitFrom
from xfmr.errors import XfmrError
from xfmr.labels import label_units
from xfmr.progress import say
from xfmr.storage import Store


def main(arguments: Sequence[str]) -> int:
    """Write the table; return exit status 2 for an error that the user can fix."""
    parser = argparse.ArgumentParser(prog="python -m jobs.labels", description="Write labels from names of folders.")
    parser.add_argument("--archive", required=True, action="append", help="archive folder, or FLEET=URI; repeatable")
    parser.add_argument("--unit-from", required=True, help="where the unit stands in the path, such as '{unit}_*'")
    parser.add_argument("--label-from", required=True, help="a name with the label in it, such as '*--{label}--*'")
    parser.add_argument(
        "--words", nargs="+", default=[], type=label_of_word, metavar="WORD=LABEL", help="labels of the words found"
    )
    parser.add_argument("--out", required=True, help="CSV file to write")
    given = parser.parse_args(arguments)
    try:
        units, pattern = UnitFrom(given.unit_from), PathPattern(given.label_from, ("label",), at_end=False)
        files = list_files(parse_archives(given.archive), units, run="", label="labels")
        table = label_units(files, units, pattern, dict(given.words))
        store, name = Store.of_file(given.out)
        if store.exists(name):
            raise XfmrError(f"{given.out} exists: people may have corrected it; remove it, or give another --out")
        store.write(name, table.to_csv(index=False).encode())
    except (XfmrError, ValueError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    counts = ", ".join(f"{n} {label}" for label, n in sorted(Counter(table["label"]).items()))
    say("labels", f"{len(table)} units: {counts}; written to {given.out}")
    return 0


def label_of_word(text: str) -> tuple[str, str]:
    """Split ``WORD=LABEL``; argparse reports the error."""
    word, equals, label = text.partition("=")
    if not (word and equals and label):
        raise argparse.ArgumentTypeError(f"{text!r} is not WORD=LABEL")
    return word, label


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
