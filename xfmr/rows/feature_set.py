"""The features of a run: groups on disk, the pass that closes a set of them, and how other jobs read it.

Rows are written group by group under the group's own name. A run may hold several sets, one for each choice of the
settings that features depend on; other jobs read the one that was closed last, which ``features/_SUCCESS.json`` names
together with its groups. Closing replaces that file in one piece, so readers see one whole set or the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa

from xfmr.archive import ArchiveFile
from xfmr.archive.ledger import Ledger
from xfmr.archive.plan import Group, plan_groups
from xfmr.errors import XfmrError
from xfmr.rows.duplicates import drop_duplicates, row_count
from xfmr.schema import IDENTITY_COLUMNS
from xfmr.storage import Store
from xfmr.storage.lease import confirm_sole
from xfmr.storage.threads import in_threads

SUCCESS = "features/_SUCCESS.json"
# An object store makes each of them wait; a group's rows take some 12 MB as log spectra and Zerone.
_GROUPS_AT_A_TIME = 8

FOLDERS = ("features", "quarantine", "ledger")
"""Where a run keeps its groups."""


def feature_file(group: str) -> str:
    """Name the features file of a group within its run."""
    return f"features/{group}.parquet"


def quarantine_file(group: str) -> str:
    """Name the quarantine file of a group within its run."""
    return f"quarantine/{group}.parquet"


@dataclass(frozen=True)
class Counts:
    """The closing sum: lines = kept + quarantined + duplicates."""

    lines: int
    kept: int
    quarantined: int
    duplicates: int

    def __str__(self) -> str:
        """Say the sum as every job's last line does."""
        return (
            f"{self.lines} lines read = {self.kept} records kept + {self.quarantined} quarantined"
            f" + {self.duplicates} duplicates"
        )


def close(store: Store, *, made_with: Mapping[str, Any] | None = None, only_set: bool = False) -> Counts:
    """Publish the set that was planned last as the run's features, without duplicates.

    Args:
        store: The run.
        made_with: Settings that the rows depend on, for :func:`settings_of`.
        only_set: Whether the other sets of the run are removed.

    Raises:
        XfmrError: Where the archive held no usable record.
    """
    ledger = Ledger(store)
    groups, set_name = ledger.read_plan(), ledger.latest
    closed = _closed(store)
    if closed.get("set") == set_name and closed["groups"] == sorted(group.name for group in groups):
        counts = Counts(**{item.name: closed[item.name] for item in fields(Counts)})
    else:
        if closed.get("set") == set_name:
            store.remove(SUCCESS)  # what it says is about to change under its readers
        counts = _publish(store, groups, {"set": set_name, "made_with": dict(made_with or {})})
    confirm_sole(store)
    if only_set:
        ledger.forget_other_sets()
    _remove_unplanned(ledger)
    store.sweep(*FOLDERS)  # what the writers of a lost node have left
    return counts


def _publish(store: Store, groups: Sequence[Group], facts: Mapping[str, Any]) -> Counts:
    receipts = Ledger(store).receipts(groups)
    kept = drop_duplicates(store, [feature_file(group) for group in receipts])
    counts = Counts(
        lines=sum(receipt.lines for receipt in receipts.values()),
        kept=kept,
        quarantined=sum(receipt.quarantined for receipt in receipts.values()),
        duplicates=sum(receipt.records for receipt in receipts.values()) - kept,
    )
    if counts.kept == 0:
        raise XfmrError(
            f"the archive holds no usable record: {counts}; the reasons stand in {store.path('quarantine')}"
        )
    store.write_json(SUCCESS, {**facts, "groups": sorted(receipts), **asdict(counts)})
    return counts


def _remove_unplanned(ledger: Ledger) -> None:
    """Remove what is left of groups that are in no plan any more, receipts before the outputs they vouch for."""
    store, planned = ledger.store, ledger.planned()
    list(in_threads(ledger.revoke, ledger.signed() - planned.keys()))
    outputs = [info for folder in ("features", "quarantine") for info in store.files(folder)]
    unplanned = [
        info.path
        for info in outputs
        if info.extension == "parquet" and info.base_name.removesuffix(".parquet") not in planned
    ]
    list(in_threads(store.filesystem.delete_file, unplanned))


def _closed(store: Store) -> dict[str, Any]:
    return dict(store.read_json(SUCCESS)) if store.exists(SUCCESS) else {}


def settings_of(store: Store) -> dict[str, Any]:
    """Return the settings that the run's features were made with; before the first set is closed there are none."""
    return dict(_closed(store).get("made_with", {}))


def signals_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return, of a run's settings, what its records are: features of others are not comparable."""
    return {name: settings.get(name) for name in ("sample_rate_hz", "record_length")}


def update_plan(
    store: Store, files: Iterable[ArchiveFile], *, key: str, group_bytes: int, write: bool = True
) -> tuple[list[Group], list[Group]]:
    """Bring a run's manifest up to date with an archive.

    Args:
        store: The run.
        files: All files of the archive as they are now.
        key: What the rows depend on besides the files; the plans of other keys stay as they are.
        group_bytes: Size of a group in bytes.
        write: Whether to do it; else the run stays as it is, and the answer tells what would be.

    Returns:
        All groups, and those of them that are not finished.
    """
    ledger = Ledger(store)
    known = ledger.read_plan(key)
    groups = plan_groups(files, known=known, key=key, group_bytes=group_bytes)
    dropped = {group.name for group in known} - {group.name for group in groups}
    if write and dropped:
        _reopen(store, [group for group in known if group.name not in dropped], key)
    if write:
        ledger.write_plan(groups, key)
    signed = ledger.signed()
    lost = (signed & {group.name for group in groups}) - _with_features(store)
    if write:
        _open_again(store, lost, key)
    return groups, [group for group in groups if group.name not in signed - lost]


def _with_features(store: Store) -> set[str]:
    """Name the groups whose features are there."""
    return {info.base_name.removesuffix(".parquet") for info in store.files("features")}


def _reopen(store: Store, groups: Sequence[Group], key: str) -> None:
    """Take back the receipts of groups that lost rows to duplicates, so that they are made anew.

    Needed when files leave the archive or change: the rows that stood for the dropped ones may have gone with them.
    """
    ledger = Ledger(store)
    receipts = ledger.receipts(groups)
    rows = in_threads(lambda group: row_count(store, feature_file(group)), receipts)
    shortened = [group for group, n in zip(receipts, rows, strict=True) if n < receipts[group].records]
    _open_again(store, shortened, key)


def _open_again(store: Store, groups: Collection[str], key: str) -> None:
    """Take back the receipts of groups, and before it what says that a set with them is whole."""
    if groups and _closed(store).get("set") == key:
        store.remove(SUCCESS)
    list(in_threads(Ledger(store).revoke, groups))


@dataclass(frozen=True)
class FeatureSet:
    """The closed features of a run, as other jobs read them.

    Args:
        store: The run.

    Raises:
        XfmrError: Where featurize has not finished in this run.
    """

    store: Store

    def __post_init__(self) -> None:
        if not self.store.exists(SUCCESS):
            raise XfmrError(f"{self.store.path()} holds no finished features: run jobs.featurize on it first")

    @property
    def groups(self) -> list[str]:
        """Names of the finished groups."""
        return [str(name) for name in self.store.read_json(SUCCESS)["groups"]]

    @property
    def signals(self) -> dict[str, Any]:
        """What the records are, :func:`signals_of`."""
        return signals_of(settings_of(self.store))

    @property
    def n_records(self) -> int:
        """Number of records kept."""
        return int(self.store.read_json(SUCCESS)["kept"])

    def count(self, groups: Iterable[str]) -> int:
        """Return the number of records in some groups."""
        return sum(in_threads(lambda group: row_count(self.store, feature_file(group)), groups))

    def read(self, group: str, columns: Sequence[str] = ()) -> pa.Table:
        """Read the identity columns of a group and the others asked for."""
        return self.store.read_table(feature_file(group), columns=[*IDENTITY_COLUMNS, *columns])

    def tables(self, columns: Sequence[str] = ()) -> Iterator[pa.Table]:
        """Yield each group's table, in the order of group names; the next are being read meanwhile."""
        return in_threads(lambda group: self.read(group, columns), self.groups, at_a_time=_GROUPS_AT_A_TIME)
