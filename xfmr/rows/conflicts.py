"""The meaning of many conflicts: sensor ids that repeat in every unit of an archive that was read without them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xfmr.archive.listing import ArchiveFile
from xfmr.archive.units import UnitFrom
from xfmr.errors import XfmrError
from xfmr.rows.duplicates import Repeated
from xfmr.schema import KEY

# Patterns that are tried on an archive, as real ones are laid out; the first that tells all conflicts apart is named.
_CANDIDATES = ("{unit}_*", "{unit}--*/*", "{unit}/*", "{unit}-*", "{unit}/*/*", "{unit}--*/*/*")
# A clock that was set back, or a logger that wrote a moment twice, gives a few conflicts. More than so many, and than
# this share of the records, are sensors of different units.
_HANDFUL, _SHARE = 20, 0.05
_GENERAL = "--unit-from with a pattern such as '{unit}_*' or '{unit}/*', or field:NAME"


def check_conflicts(repeated: Repeated, paths: Sequence[str], unit_from: str | None) -> None:
    """Raise if so many records conflict that sensor ids must repeat in several units.

    Args:
        repeated: The records that repeat a sensor and time.
        paths: Paths of all files of the archive.
        unit_from: The setting that the units were read by, None if there was none. After ``none`` conflicts are as
            expected; after another one they are if no pattern tells them apart.

    Raises:
        XfmrError: With the setting that would tell the units apart, if one is found.
    """
    conflicts, n_kept = repeated.conflicts, sum(repeated.n_rows.values())
    if unit_from == "none" or len(conflicts) <= max(_HANDFUL, _SHARE * (n_kept + len(conflicts))):
        return
    remedy = next((f"--unit-from '{text}'" for text in _CANDIDATES if _tells_apart(text, conflicts, paths)), None)
    if unit_from and not remedy:
        return
    n_files = pd.concat([conflicts["path"], conflicts["kept_path"]]).nunique()
    place = f"within the units that --unit-from {unit_from!r} names" if unit_from else "across files"
    raise XfmrError(
        f"sensor ids repeat {place}: {len(conflicts)} records of {n_files} files share sensor and time with "
        f"another, with a different signal; tell where the unit stands: {remedy or _GENERAL}, or --unit-from none if "
        "the archive has no units"
    )


def _tells_apart(text: str, conflicts: pd.DataFrame, paths: Sequence[str]) -> bool:
    """Return True if a pattern matches all paths and leaves one signal for each unit, sensor and time."""
    unit_from = UnitFrom(text)
    try:
        units = {path: unit_from.source(ArchiveFile("", path, 0, 0)).unit for path in paths}
    except XfmrError:
        return False
    kept = conflicts.assign(path=conflicts["kept_path"], record_id=conflicts["kept_id"])
    records = pd.concat([conflicts, kept])
    records = records.assign(unit=records["path"].map(units))
    return bool((records.groupby(KEY)["record_id"].nunique() == 1).all())
