"""A set of rows: its groups on disk, the plan they are written by, and the file that closes it.

Rows are written group by group, each under the group's own name. A store may hold several sets in one folder, one for
each choice of the settings that the rows depend on. Readers use the set that was closed last, whose groups are listed
in ``_SUCCESS.json``. Closing replaces that file atomically, so readers see one whole set or the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from xfmr.archive import ArchiveFile
from xfmr.archive.ledger import Ledger, Receipt
from xfmr.archive.plan import Group, plan_groups
from xfmr.errors import XfmrError
from xfmr.rows.conflicts import check_conflicts
from xfmr.rows.duplicates import CONFLICT, Repeated, drop_repeated, find_repeated, row_count, with_conflicts
from xfmr.storage import Store
from xfmr.storage.lease import confirm_sole
from xfmr.storage.threads import in_threads

FEATURES, DIAGNOSED = "features", "rows"
"""Folders of a run's features, and of the rows of a pass of jobs.diagnose."""

_QUARANTINE, _LEDGER = "quarantine", "ledger"


@dataclass(frozen=True)
class Counts:
    """The closing sum: lines = kept + quarantined + duplicates; ``conflicts`` are among the quarantined."""

    lines: int
    kept: int
    quarantined: int
    duplicates: int
    conflicts: int = 0

    def __str__(self) -> str:
        """Return the sum as the last line of a job."""
        conflicts = (
            f" ({self.conflicts} of them repeat a sensor and time with another signal)" if self.conflicts else ""
        )
        return (
            f"{self.lines} lines read = {self.kept} records kept + {self.quarantined} quarantined{conflicts}"
            f" + {self.duplicates} duplicates"
        )


@dataclass(frozen=True)
class RowSet:
    """The sets of rows in a folder of a store.

    Args:
        store: A run, or a pass of jobs.diagnose.
        folder: Folder of the rows in it; quarantine and ledger are beside it.
    """

    store: Store
    folder: str = FEATURES

    def file(self, group: str) -> str:
        """Return the name of the file of a group's rows."""
        return f"{self.folder}/{group}.parquet"

    def quarantine_file(self, group: str) -> str:
        """Return the name of the file of a group's quarantine."""
        return f"{_QUARANTINE}/{group}.parquet"

    def sweep(self) -> None:
        """Remove the temporary files of writers that were killed."""
        self.store.sweep(self.folder, _QUARANTINE, _LEDGER)

    @property
    def success_file(self) -> str:
        """Name of the file that closes a set."""
        return f"{self.folder}/_SUCCESS.json"

    def closing(self) -> dict[str, Any]:
        """Return the contents of the file that closes a set; empty before the first is closed."""
        return dict(self.store.read_json(self.success_file)) if self.store.exists(self.success_file) else {}

    def made_with(self) -> dict[str, Any]:
        """Return the settings that the closed set was made with; empty before the first is closed."""
        return dict(self.closing().get("made_with", {}))

    def update_plan(
        self, files: Iterable[ArchiveFile], *, key: str, group_bytes: int, write: bool = True
    ) -> tuple[list[Group], list[Group]]:
        """Bring the manifest up to date with an archive.

        Args:
            files: All files of the archive as they are now.
            key: Everything that the rows depend on besides the files; the plans of other keys stay as they are.
            group_bytes: Size of a group in bytes.
            write: False to return what would be planned and change nothing.

        Returns:
            All groups, and those that are not finished.
        """
        ledger = Ledger(self.store)
        known = ledger.read_plan(key)
        groups = plan_groups(files, known=known, key=key, group_bytes=group_bytes)
        dropped = {group.name for group in known} - {group.name for group in groups}
        if write and dropped:
            self._reopen_shortened([group for group in known if group.name not in dropped], key)
        if write:
            ledger.write_plan(groups, key)
        signed = ledger.signed()
        lost = (signed & {group.name for group in groups}) - self._on_disk()
        if write:
            self._reopen(lost, key)
        return groups, [group for group in groups if group.name not in signed - lost]

    def close(
        self, *, made_with: Mapping[str, Any] | None = None, only_set: bool = False, unit_from: str | None = None
    ) -> Counts:
        """Remove duplicates and conflicts from the set that was planned last, and publish it to readers.

        Args:
            made_with: Settings that the rows depend on, for :meth:`made_with`.
            only_set: Remove all other sets.
            unit_from: The setting that the units of the records were read by, if any.

        Raises:
            XfmrError: If the archive held no usable record, or so many conflicts that it must have units.
        """
        ledger = Ledger(self.store)
        groups, set_name = ledger.read_plan(), ledger.latest
        closing = self.closing()
        if closing.get("set") == set_name and closing["groups"] == sorted(group.name for group in groups):
            counts = Counts(**{item.name: closing.get(item.name, 0) for item in fields(Counts)})
        else:
            if closing.get("set") == set_name:
                self.store.remove(self.success_file)  # its groups are about to change under its readers
            counts = self._publish(groups, {"set": set_name, "made_with": dict(made_with or {})}, unit_from)
        confirm_sole(self.store)
        if only_set:
            ledger.forget_other_sets()
        self._remove_unplanned(ledger)
        self.sweep()  # temporary files of the writers of a lost node
        return counts

    def _publish(self, groups: Sequence[Group], description: Mapping[str, Any], unit_from: str | None) -> Counts:
        receipts = Ledger(self.store).receipts(groups)
        repeated = find_repeated(self.store, [self.file(group) for group in receipts])
        check_conflicts(repeated, [file.path for group in groups for file in group.files], unit_from)
        n_conflicts = self._quarantine_conflicts(receipts, repeated)
        drop_repeated(self.store, repeated)
        kept = sum(repeated.n_rows.values())
        counts = Counts(
            lines=sum(receipt.lines for receipt in receipts.values()),
            kept=kept,
            quarantined=sum(receipt.quarantined for receipt in receipts.values()) + n_conflicts,
            duplicates=sum(receipt.records for receipt in receipts.values()) - kept - n_conflicts,
            conflicts=n_conflicts,
        )
        if counts.kept == 0:
            raise XfmrError(
                f"the archive holds no usable record: {counts}; the reasons stand in {self.store.path(_QUARANTINE)}"
            )
        self.store.write_json(self.success_file, {**description, "groups": sorted(receipts), **asdict(counts)})
        return counts

    def _quarantine_conflicts(self, receipts: Mapping[str, Receipt], repeated: Repeated) -> int:
        """Write conflicts to the quarantine of their groups, before their rows go, and return their number.

        Those that an interrupted pass has written before, and whose rows may be gone already, count as well.
        """
        by_file, n_conflicts = dict(list(repeated.conflicts.groupby("file"))), 0
        for group, receipt in receipts.items():
            if receipt.records == repeated.n_rows[self.file(group)]:
                continue
            name = self.quarantine_file(group)
            quarantined = self.store.read_table(name)
            if (conflicts := by_file.get(self.file(group))) is not None:
                quarantined = with_conflicts(quarantined, conflicts)
                self.store.write_table(name, quarantined)
            n_conflicts += quarantined["reason"].to_pylist().count(CONFLICT)
        return n_conflicts

    def _remove_unplanned(self, ledger: Ledger) -> None:
        """Remove groups that are no longer in any plan, receipts before the outputs they vouch for."""
        planned = ledger.planned()
        list(in_threads(ledger.revoke, ledger.signed() - planned.keys()))
        outputs = [info for folder in (self.folder, _QUARANTINE) for info in self.store.files(folder)]
        unplanned = [
            info.path
            for info in outputs
            if info.extension == "parquet" and info.base_name.removesuffix(".parquet") not in planned
        ]
        list(in_threads(self.store.filesystem.delete_file, unplanned))

    def _on_disk(self) -> set[str]:
        """Return the names of the groups whose rows are there."""
        return {info.base_name.removesuffix(".parquet") for info in self.store.files(self.folder)}

    def _reopen_shortened(self, groups: Sequence[Group], key: str) -> None:
        """Reopen groups that lost rows to duplicates.

        When files leave the archive or change, the rows that stood for the dropped duplicates may be gone with them.
        """
        receipts = Ledger(self.store).receipts(groups)
        rows = in_threads(lambda group: row_count(self.store, self.file(group)), receipts)
        shortened = [group for group, n in zip(receipts, rows, strict=True) if n < receipts[group].records]
        self._reopen(shortened, key)

    def _reopen(self, groups: Collection[str], key: str) -> None:
        """Revoke the receipts of groups, and before them the file that closes a set with these groups."""
        if groups and self.closing().get("set") == key:
            self.store.remove(self.success_file)
        list(in_threads(Ledger(self.store).revoke, groups))
