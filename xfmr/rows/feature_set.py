"""The closed features of a run, as other jobs read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from xfmr.errors import XfmrError
from xfmr.rows.duplicates import row_count
from xfmr.rows.row_set import FEATURES, RowSet
from xfmr.schema import IDENTITY_COLUMNS, Recording
from xfmr.storage import Store
from xfmr.storage.threads import in_threads

# An object store answers each read after a wait. A group's log spectra and Zerone take some 12 MB.
_GROUPS_AT_A_TIME = 8


@dataclass(frozen=True)
class FeatureSet:
    """A closed set of rows with features.

    Args:
        store: The run.
        folder: Folder of the rows in it.

    Raises:
        XfmrError: If featurize has not finished in this run.
    """

    store: Store
    folder: str = FEATURES

    def __post_init__(self) -> None:
        if not self.store.exists(self.rows.success_file):
            raise XfmrError(f"{self.store.path()} holds no finished features: run jobs.featurize on it first")

    @property
    def rows(self) -> RowSet:
        """The set on disk."""
        return RowSet(self.store, self.folder)

    @property
    def groups(self) -> list[str]:
        """Names of the groups."""
        return [str(name) for name in self.rows.closing()["groups"]]

    @property
    def recording(self) -> Recording:
        """The recording that the features were made of."""
        made_with = self.rows.made_with()
        return Recording(made_with["sample_rate_hz"], made_with["record_length"])

    @property
    def n_records(self) -> int:
        """Number of records kept."""
        return int(self.rows.closing()["kept"])

    def count(self, groups: Iterable[str]) -> int:
        """Return the number of records in some groups."""
        return sum(in_threads(lambda group: row_count(self.store, self.rows.file(group)), groups))

    def read(self, group: str, columns: Sequence[str] = ()) -> pa.Table:
        """Read the identity columns of a group, and others."""
        return self.store.read_table(self.rows.file(group), columns=[*IDENTITY_COLUMNS, *columns])

    def tables(self, columns: Sequence[str] = ()) -> Iterator[pa.Table]:
        """Yield each group's table in the order of group names, reading ahead."""
        return in_threads(lambda group: self.read(group, columns), self.groups, at_a_time=_GROUPS_AT_A_TIME)
