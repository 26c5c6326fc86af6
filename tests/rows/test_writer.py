"""From lines to rows, group by group: every line is accounted for, and every group can be done again."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
from archives import N_VALUES, RECORDING, Run, fleet_files, line, time_at, values_of, write_archive
from disks import largest_file
from processes import outputs

from xfmr.archive import ArchiveFile
from xfmr.archive.ledger import Ledger
from xfmr.archive.plan import Group
from xfmr.archive.reading import read_group
from xfmr.errors import XfmrError
from xfmr.records import MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, Reason, record_id
from xfmr.rows.features import FeatureRows
from xfmr.rows.row_set import Counts
from xfmr.rows.writer import Batch, GroupWriter
from xfmr.schema import to_numpy
from xfmr.storage import Store

GOOD = json.loads(line("s", 0, 1))


def damaged(**changes: object) -> bytes:
    """Change fields of a good record; None takes the field out."""
    return json.dumps({name: value for name, value in (GOOD | changes).items() if value is not None}).encode()


DAMAGED = {
    Reason.INVALID_JSON: line("s", 0, 1)[:-40],
    Reason.NOT_AN_OBJECT: b"[1, 2]",
    Reason.MISSING_SENSOR_ID: damaged(sensor_id=None),
    Reason.BAD_SENSOR_ID: damaged(sensor_id=" "),
    Reason.MISSING_DATA_TIME: damaged(data_time=None),
    Reason.BAD_DATA_TIME: damaged(data_time="yesterday"),
    Reason.MISSING_SIGNAL: damaged(signal_value=None),
    Reason.BAD_SIGNAL: damaged(signal_value="1,2,x"),
    Reason.EMPTY_SIGNAL: damaged(signal_value=[]),
    Reason.NON_FINITE_SIGNAL: damaged(signal_value="1,nan"),
    Reason.INVALID_ENCODING: damaged(sensor_id="s").replace(b'"s"', b'"\xff"'),
}


def damaged_archive(folder: Path) -> tuple[Path, list[tuple[str, int, str]]]:
    """Write 120 records and every kind of damage among them, and say what is damaged where."""
    files = fleet_files(sensors=("s1", "s2", "s3", "s4"), minutes=30)
    expected = []
    for (reason, text), name in zip(DAMAGED.items(), files, strict=False):
        files[name].insert(2, text)
        expected.append((name, 3, str(reason)))
    write_archive(folder, files)
    overlong = b"\n" + b" " * (MAX_LINE_BYTES + 1) + b"\n" + line("s1", 40, 901) + b"\n"
    (folder / "long.jsonl.gz").write_bytes(gzip.compress(overlong, 1))
    cut = gzip.compress(b"".join(line("s1", 41 + i, 902 + i) + b"\n" for i in range(8)))
    (folder / "cut.jsonl.gz").write_bytes(cut[:20])
    (folder / "long.json.gz").write_bytes(gzip.compress(b"[" + b" " * MAX_DOCUMENT_BYTES + b"]", 1))
    expected += [("long.jsonl.gz", 2, "line_too_long"), ("cut.jsonl.gz", 1, "unreadable_file")]
    expected += [("long.json.gz", 1, "document_too_long")]
    return folder, sorted(expected)


def test_every_line_of_a_damaged_archive_is_accounted_for(tmp_path: Path) -> None:
    archive, expected = damaged_archive(tmp_path / "archive")
    run = Run(tmp_path / "run", {"": archive}, group_bytes=20_000)
    counts = run.featurize()
    kinds = set(Reason) - {Reason.MISSING_UNIT, Reason.BAD_UNIT}
    assert {reason for _, _, reason in expected} == kinds, "one kind of damage is not tested"
    assert counts == Counts(lines=121 + len(kinds), kept=121, quarantined=len(kinds), duplicates=0)
    assert run.quarantine() == expected
    assert run.table().num_rows == 121
    assert len(run.ledger.receipts()) > 3


def test_a_quarantine_row_shows_the_start_of_the_line(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [b"{broken", line("s", 0, 1)]})
    run = Run(tmp_path / "run", {"north": archive})
    run.featurize()
    (group,) = run.features.groups
    assert run.store.read_table(run.rows.quarantine_file(group)).to_pylist() == [
        {"fleet": "north", "unit": "", "path": "a.jsonl", "line": 1, "reason": "invalid_json", "start": "{broken"}
    ]


def test_a_row_holds_what_the_line_said(tmp_path: Path) -> None:
    lines = [line("s1", 3, 5), line("dead", 4, 0)]
    run = Run(tmp_path / "run", {"north": write_archive(tmp_path / "archive", {"a/b.jsonl": lines})})
    run.featurize()
    table = run.features.read(run.features.groups[0], ["path", "line", "n_samples", "flat", "signal"])
    row, dead = table.drop_columns("signal").to_pylist()
    signal = np.zeros(8192, np.float32)
    signal[:N_VALUES] = values_of(5)
    assert row == {
        "fleet": "north",
        "unit": "",
        "sensor_id": "s1",
        "data_time": time_at(3),
        "record_id": record_id(signal),
        "path": "a/b.jsonl",
        "line": 1,
        "n_samples": N_VALUES,
        "flat": False,
    }
    assert dead["flat"]
    np.testing.assert_array_equal(to_numpy(table, "signal")[0], signal)


def test_killed_before_the_receipt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, _ = damaged_archive(tmp_path / "archive")
    undisturbed = Run(tmp_path / "undisturbed", {"": archive}, group_bytes=50_000)
    undisturbed.featurize()
    run = Run(tmp_path / "run", {"": archive}, group_bytes=50_000)
    groups = run.plan()
    run.process(groups[:1])
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "sign", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.process(groups[1:2])
    assert run.store.exists(run.rows.file(groups[1].name))
    assert set(run.ledger.receipts()) == {groups[0].name}
    assert run.featurize().kept == 121
    assert outputs(tmp_path / "run") == outputs(tmp_path / "undisturbed")


def test_a_finished_group_is_not_done_again(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files())
    run = Run(tmp_path / "run", {"": archive})
    counts = run.featurize()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*/*.*") if path.name[0] != "_"}
    assert run.featurize() == counts
    assert {path: path.stat().st_mtime_ns for path in before} == before


class Slow:
    """Rows whose making takes until something else has happened."""

    def __init__(self, rows: FeatureRows, meanwhile: Callable[[], object]) -> None:
        self.rows, self.meanwhile = rows, meanwhile
        self.schema, self.record_length = rows.schema, rows.record_length

    def tables(self, batches: Iterator[Batch]) -> Iterator[pa.Table]:
        yield from self.rows.tables(batches)
        self.meanwhile()


def test_a_worker_of_a_killed_driver_comes_too_late(tmp_path: Path) -> None:
    """The next driver has done its group and closed the set: the duplicate that was removed stays away."""
    files = {"a.jsonl": [line("s1", 0, 1)], "b.jsonl": [line("s1", 0, 1), line("s1", 1, 2), b"{"]}
    run = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", files)})
    late = next(group for group in run.plan() if group.files[0].path == "b.jsonl")
    rows = FeatureRows(RECORDING, columns=("signal", "log_spectrum"))
    closed: list[dict[str, bytes]] = []

    def next_driver() -> None:
        assert run.featurize() == Counts(4, 2, 1, 1)
        closed.append({name: data for name, data in outputs(tmp_path / "run").items() if "/." not in name})

    receipt = GroupWriter(run.rows, run.archives, lambda: Slow(rows, next_driver))(late.to_json())
    assert receipt.select(["lines", "records", "quarantined"]).to_pylist() == [
        {"lines": 3, "records": 2, "quarantined": 1}
    ]
    assert [outputs(tmp_path / "run")] == closed


def test_a_file_that_vanished_is_one_quarantine_row(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=3))
    run = Run(tmp_path / "run", {"": archive}, group_bytes=10**9)
    groups = run.plan()
    (archive / "day/m01.jsonl").unlink()
    run.process(groups)
    (receipt,) = run.ledger.receipts().values()
    assert (receipt.lines, receipt.records, receipt.quarantined) == (5, 4, 1)
    assert run.quarantine() == [("day/m01.jsonl", 0, "unreadable_file")]


def test_a_failing_disk_is_no_quarantine_row(tmp_path: Path) -> None:
    """A file that a later try may read must not be signed off as read."""
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [line("s", 0, 1)]})
    run = Run(tmp_path / "run", {"": archive})
    groups = run.plan()
    (archive / "a.jsonl").unlink()
    (archive / "a.jsonl").symlink_to(archive / "a.jsonl")
    with pytest.raises(XfmrError, match=r"cannot read a\.jsonl of archive .*; run the same command again"):
        run.process(groups)
    assert run.ledger.receipts() == {}


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files())
    undisturbed, run = Run(tmp_path / "undisturbed", {"": archive}), Run(tmp_path / "run", {"": archive})
    undisturbed.featurize()
    groups = run.plan()
    before = outputs(tmp_path / "run")
    with largest_file(5_000), pytest.raises(XfmrError, match=r"^cannot write .*/features/.*\.parquet: [^\n]*$"):
        run.process(groups)
    assert outputs(tmp_path / "run") == before
    run.featurize()
    assert outputs(tmp_path / "run") == outputs(tmp_path / "undisturbed")


def test_an_archive_without_one_usable_record(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [b"{", b"[]"], "b.jsonl": []})
    with pytest.raises(XfmrError, match=r"no usable record: 2 lines read = 0 records kept \+ 2 quarantined") as error:
        Run(tmp_path / "run", {"": archive}).featurize()
    assert "\n" not in str(error.value)


def test_groups_without_a_record_beside_others(tmp_path: Path) -> None:
    files = {"a.jsonl": [b"{"], "b.jsonl": [line("s", 0, 1)], "c.jsonl": []}
    counts = Run(tmp_path / "run", {"": write_archive(tmp_path / "archive", files)}).featurize()
    assert counts == Counts(lines=2, kept=1, quarantined=1, duplicates=0)


def test_a_sensor_id_is_only_a_value(tmp_path: Path) -> None:
    ids = ["../../etc", "/etc/passwd", "a/b", "c\\d", "%2e%2e", "ü 测", "'; DROP TABLE"]
    archive = write_archive(tmp_path / "archive", {"a.jsonl": [line(name, 0, i + 1) for i, name in enumerate(ids)]})
    outside = outputs(tmp_path)
    run = Run(tmp_path / "deep/run", {"": archive})
    run.featurize()
    assert run.table()["sensor_id"].to_pylist() == ids
    written = set(outputs(tmp_path)) - set(outside)
    assert all(name.startswith("deep/run/") for name in written)
    assert Counter(Path(name).parts[2] for name in written) == Counter(
        {"manifest.parquet": 1, "features": 2, "quarantine": 1, "ledger": 1}
    )


def test_read_group_goes_through_files_in_order(tmp_path: Path) -> None:
    write_archive(tmp_path / "n", {"a.jsonl": [line("s", 0, 1), b"{"]})
    write_archive(tmp_path / "s", {"a.jsonl": [line("s", 1, 2)]})
    group = Group("g", (ArchiveFile("south", "a.jsonl", 1, 1), ArchiveFile("north", "a.jsonl", 1, 1)))
    found: Iterator[tuple[str, str, int]] = (
        (file.fleet, type(item).__name__, item.line)
        for file, item in read_group(group, {"north": str(tmp_path / "n"), "south": str(tmp_path / "s")})
    )
    assert list(found) == [("south", "Record", 1), ("north", "Record", 1), ("north", "Reject", 2)]


def test_files_are_opened_while_others_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files(minutes=30))
    (group,) = Run(tmp_path / "run", {"": archive}, group_bytes=10**9).plan()[:1]
    opening, most, really = [], [0], Store.open

    def slowly(store: Store, name: str) -> BinaryIO:
        opening.append(name)
        most[0] = max(most[0], len(opening))
        time.sleep(0.02)
        opening.remove(name)
        return really(store, name)

    monkeypatch.setattr(Store, "open", slowly)
    read = [file.path for file, _ in read_group(group, {"": str(archive)})]
    assert read == [file.path for file in group.files for _ in range(2)]
    assert 4 <= most[0] <= 8


def test_a_local_archive_is_left_as_it_was(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "archive", fleet_files())
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in archive.rglob("*")}
    Run(tmp_path / "run", {"": archive}).featurize()
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in archive.rglob("*")} == before
