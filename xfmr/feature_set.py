"""The features of a run: groups on disk, the pass that closes the set, and how other jobs read it.

Rows are written group by group under the group's own name. A record that stands twice in the archive, with the
same sensor and time, may do so in two groups, so duplicates are removed when all groups are there: of each set the
row with the smallest path and line stays, whatever the order of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xfmr.archive import ArchiveFile, Group, Ledger, plan_groups
from xfmr.errors import XfmrError
from xfmr.schema import IDENTITY_COLUMNS
from xfmr.storage import Store

SUCCESS = "features/_SUCCESS.json"

ROW_GROUP_RECORDS = 128
"""Most rows of a row group."""


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


def encode_rows(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Buffer:
    """Write rows as Parquet, each table in row groups of its own, always the same bytes for the same rows.

    Measured on real records, one core, ms to write a row and kB it takes; a row has 76 kB in memory:

    - float columns, 39 kB: plain 0.05, 39; plain and zstd 0.09, 36; split into byte streams and zstd 0.10, 33;
      lz4 gains nothing, a dictionary costs 0.3.
    - planes, 37 kB, as bytes: plain 0.01, 37; zstd 0.06, 29; lz4 0.02, 37. As lists of uint8, of which Parquet makes
      32-bit integers: zstd 0.61, 43; split and zstd 0.26, 30; packed deltas 0.35, 35.

    In all 0.16 and 58 at zstd's level 1; 0.12 and 69 at -5, 0.27 and 58 at 3; with the planes as lists 0.36 and 58.
    Row groups of 32 rows take up to a tenth longer; of 512 they save 4 % of the bytes, of 1024 no more. Statistics of
    vectors would be read by nobody.

    Args:
        tables: Rows in order; an empty one leaves nothing.
        schema: Of all tables.
    """
    vectors = {field.name for field in schema if pa.types.is_fixed_size_list(field.type)}
    scalars = [field.name for field in schema if not pa.types.is_nested(field.type)]
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": [field.name for field in schema if pa.types.is_string(field.type)],
        "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in vectors},
        "write_statistics": [name for name in scalars if not pa.types.is_fixed_size_binary(schema.field(name).type)],
    }
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, **options) as out:
        for table in tables:
            out.write_table(table, row_group_size=ROW_GROUP_RECORDS)
    return sink.getvalue()


def close(store: Store) -> Counts:
    """Remove duplicates and outputs of groups that are no longer planned, and publish the set.

    Raises:
        XfmrError: Where the archive held no usable record.
    """
    store.remove(SUCCESS)
    receipts = Ledger(store).receipts()
    for folder in ("features", "quarantine"):
        for info in store.files(folder):
            if info.extension == "parquet" and info.base_name.removesuffix(".parquet") not in receipts:
                store.filesystem.delete_file(info.path)
    _drop_duplicates(store, list(receipts))
    kept = sum(_row_count(store, feature_file(group)) for group in receipts)
    records = sum(receipt.records for receipt in receipts.values())
    counts = Counts(
        lines=sum(receipt.lines for receipt in receipts.values()),
        kept=kept,
        quarantined=sum(receipt.quarantined for receipt in receipts.values()),
        duplicates=records - kept,
    )
    if counts.kept == 0:
        raise XfmrError(
            f"the archive holds no usable record: {counts}; the reasons stand in {store.path('quarantine')}"
        )
    store.write_json(SUCCESS, {"groups": sorted(receipts), **counts.__dict__})
    return counts


def update_plan(
    store: Store, files: Iterable[ArchiveFile], *, key: str, group_bytes: int
) -> tuple[list[Group], list[Group]]:
    """Bring a run's manifest up to date with an archive.

    Args:
        store: The run.
        files: All files of the archive as they are now.
        key: What the rows depend on besides the files.
        group_bytes: Size of a group in bytes.

    Returns:
        All groups, and those of them that are not finished.
    """
    ledger = Ledger(store)
    known = ledger.read_plan()
    groups = plan_groups(files, known=known, key=key, group_bytes=group_bytes)
    if not set(known) <= set(groups):
        _reopen(store)
    ledger.write_plan(groups)
    finished = ledger.receipts()
    return groups, [group for group in groups if group.name not in finished]


def _reopen(store: Store) -> None:
    """Take back the receipts of groups that lost rows to duplicates, so that they are made anew.

    Needed when files leave the archive or change: the rows that stood for the dropped ones may have gone with them.
    """
    ledger = Ledger(store)
    for group, receipt in ledger.receipts().items():
        if _row_count(store, feature_file(group)) < receipt.records:
            ledger.revoke(group)


def _row_count(store: Store, name: str) -> int:
    with store.filesystem.open_input_file(store.path(name)) as file:
        return int(pq.ParquetFile(file).metadata.num_rows)


def _drop_duplicates(store: Store, groups: Sequence[str]) -> None:
    """Rewrite the groups that hold a row which another row of the archive precedes."""
    key = ["fleet", "sensor_id", "data_time"]
    parts = []
    for group in groups:
        part = store.read_table(feature_file(group), columns=[*key, "path", "line"]).to_pandas()
        parts.append(part.assign(group=group, row=np.arange(len(part))))
    index = pd.concat(parts).sort_values([*key, "path", "line"])
    later = index[index.duplicated(key)]
    for group, rows in later.groupby("group")["row"]:
        name = feature_file(str(group))
        table = store.read_table(name)
        keep = np.ones(len(table), dtype=bool)
        keep[rows.to_numpy()] = False
        store.write(name, encode_rows([table.filter(pa.array(keep))], table.schema))


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
    def n_records(self) -> int:
        """Number of records kept."""
        return int(self.store.read_json(SUCCESS)["kept"])

    def read(self, group: str, columns: Sequence[str] = ()) -> pa.Table:
        """Read the identity columns of a group and the others asked for."""
        return self.store.read_table(feature_file(group), columns=[*IDENTITY_COLUMNS, *columns])

    def tables(self, columns: Sequence[str] = ()) -> Iterator[pa.Table]:
        """Yield each group's table, in the order of group names."""
        return (self.read(group, columns) for group in self.groups)
