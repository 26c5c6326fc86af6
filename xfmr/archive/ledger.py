"""The ledger of a run: plans, and receipts of finished groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from xfmr.archive.plan import MANIFEST_SCHEMA, Group, from_table, to_table
from xfmr.storage import Store
from xfmr.storage.threads import in_threads

MANIFEST = "manifest.parquet"
_LATEST = b"set"


@dataclass(frozen=True)
class Receipt:
    """Line counts of a finished group: every line is a record or a quarantine row."""

    group: str
    lines: int
    records: int
    quarantined: int


@dataclass(frozen=True)
class Ledger:
    """Plans of one or more sets of groups, and receipts of finished groups. The latest plan is the one in progress.

    Args:
        store: The run.
    """

    store: Store

    def write_plan(self, groups: Sequence[Group], set_name: str) -> None:
        """Write the plan of a set and make it the latest. It replaces the set's earlier plan; other sets stay."""
        manifest = self._manifest()
        others = manifest.filter(pc.field("set") != set_name)
        whole = pa.concat_tables([others, to_table(groups, set_name=set_name)])
        if not whole.equals(manifest) or set_name != _latest(manifest):
            self._write(whole, set_name)

    def read_plan(self, set_name: str | None = None) -> list[Group]:
        """Read the plan of a set, by default the latest; it is empty before the first plan."""
        manifest = self._manifest()
        wanted = _latest(manifest) if set_name is None else set_name
        return from_table(manifest.filter(pc.field("set") == wanted))

    @property
    def latest(self) -> str:
        """Name of the set that was planned last."""
        return _latest(self._manifest())

    def planned(self) -> dict[str, str]:
        """Return the set of every planned group, by the group's name."""
        manifest = self._manifest()
        return dict(zip(manifest["group"].to_pylist(), manifest["set"].to_pylist(), strict=True))

    def forget_other_sets(self) -> None:
        """Keep only the latest plan."""
        groups, latest = self.read_plan(), self.latest
        if len(groups) < len(self.planned()):
            self._write(to_table(groups, set_name=latest), latest)

    def _write(self, manifest: pa.Table, latest: str) -> None:
        self.store.write_table(MANIFEST, manifest.replace_schema_metadata({_LATEST: latest.encode()}))

    def _manifest(self) -> pa.Table:
        if not self.store.exists(MANIFEST):
            return MANIFEST_SCHEMA.empty_table()
        return self.store.read_table(MANIFEST)

    def sign(self, receipt: Receipt) -> None:
        """Record that a group is finished; its outputs must be in place already."""
        self.store.write_json(f"ledger/{receipt.group}.json", asdict(receipt))

    def revoke(self, group: str) -> None:
        """Remove a group's receipt, so that the group is processed again."""
        self.store.remove(f"ledger/{group}.json")

    def signed(self) -> set[str]:
        """Return the names of all groups that have a receipt, planned or not."""
        return {info.base_name.removesuffix(".json") for info in self.store.files("ledger")}

    def receipts(self, groups: Iterable[Group] | None = None) -> dict[str, Receipt]:
        """Return the receipts of a plan's finished groups, by group name; the default is the latest plan."""
        signed = self.signed()
        planned = self.read_plan() if groups is None else groups
        names = [group.name for group in planned if group.name in signed]
        return dict(zip(names, in_threads(self.receipt, names), strict=True))

    def is_signed(self, group: str) -> bool:
        """Return whether a group has a receipt."""
        return self.store.find(f"ledger/{group}.json") is not None

    def receipt(self, group: str) -> Receipt:
        """Return the receipt of a finished group."""
        return Receipt(**self.store.read_json(f"ledger/{group}.json"))


def _latest(manifest: pa.Table) -> str:
    metadata: dict[bytes, bytes] = manifest.schema.metadata or {}
    return metadata.get(_LATEST, b"").decode()
