"""An estimate from a sample is near the truth, whatever the form of the files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from archives import N_VALUES, RECORDING, line, write_archive

from xfmr.archive import list_archive
from xfmr.archive.plan import Group, plan_groups
from xfmr.errors import XfmrError
from xfmr.rows import estimate as estimating
from xfmr.rows import sample as sampling
from xfmr.rows.estimate import Estimate, duration, estimate
from xfmr.rows.features import FeatureRows
from xfmr.rows.sample import read_sample

LINES = [line("s1", minute, 1 + minute) for minute in range(400)]
ROWS = FeatureRows(RECORDING, columns=("signal", "log_spectrum"))


def groups_of(archive: Path, *, group_bytes: int = 100_000) -> list[Group]:
    return plan_groups(list_archive("", str(archive)), key="", group_bytes=group_bytes)


def small(folder: Path) -> None:
    write_archive(folder, {f"{i:03}.jsonl": LINES[4 * i : 4 * i + 4] for i in range(100)})


def long(folder: Path) -> None:
    write_archive(folder, {"all.jsonl": LINES})


def packed(folder: Path) -> None:
    for part in range(4):
        (folder / f"{part}.jsonl.gz").write_bytes(gzip.compress(b"\n".join(LINES[100 * part : 100 * part + 100])))


def documents(folder: Path) -> None:
    for part in range(8):
        (folder / f"{part}.json").write_bytes(b"[" + b",".join(LINES[50 * part : 50 * part + 50]) + b"]")


@pytest.mark.parametrize("form", [small, long, packed, documents])
@pytest.mark.parametrize("piece_bytes", [8 * N_VALUES * 8, 2**23])
def test_the_records_of_an_archive_are_estimated(
    form: object, piece_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where whole files are read, and where only the beginnings of them are."""
    monkeypatch.setattr(sampling, "_PIECE_BYTES", piece_bytes)
    form(tmp_path)  # type: ignore[operator]
    found = estimate(groups_of(tmp_path), {"": str(tmp_path)}, ROWS)
    assert found.n_records == pytest.approx(400, rel=0.15)
    assert 400 * 4 * 451 < found.bytes_out < 2 * 400 * 4 * (8192 + 451)
    assert found.features_s > 0
    assert found.on_cores(2) == pytest.approx((found.features_s + found.other_s) / 2)


def test_forms_that_differ_are_counted_apart(tmp_path: Path) -> None:
    packed(tmp_path)
    long(tmp_path)
    groups = groups_of(tmp_path, group_bytes=1)
    found = estimate(groups, {"": str(tmp_path)}, ROWS)
    assert found.n_records == pytest.approx(800, rel=0.05)


def test_lines_that_are_no_records_do_not_count(tmp_path: Path) -> None:
    write_archive(
        tmp_path, {"a.jsonl": [text for good in LINES[:50] for text in (good, b"{" + good[1:].lower()[:-9])]}
    )
    assert estimate(groups_of(tmp_path), {"": str(tmp_path)}, ROWS).n_records == pytest.approx(50, rel=0.05)


def test_parts_of_a_long_file_are_sampled_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xfmr.archive.plan.SMALLEST_GROUP", 20_000)
    monkeypatch.setattr(sampling, "_PIECE_BYTES", 12_000)
    long(tmp_path)
    groups = groups_of(tmp_path, group_bytes=1)
    assert len(groups) > 20
    sample = read_sample(groups, {"": str(tmp_path)}, record_length=8192)
    minutes = {record.data_time for batch in sample.batches for _, record in batch.records}
    assert len(minutes) == sample.n_records == sample.lines[False]
    assert max(minutes) - min(minutes) > 300 * (sorted(minutes)[1] - min(minutes))


def test_a_sample_without_a_record_is_an_error(tmp_path: Path) -> None:
    write_archive(tmp_path, {"a.jsonl": [b"{"] * 5})
    with pytest.raises(XfmrError, match="no usable record among 5 lines"):
        estimate(groups_of(tmp_path), {"": str(tmp_path)}, ROWS)


def test_a_gpu_is_measured_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long(tmp_path)
    assert estimate(groups_of(tmp_path), {"": str(tmp_path)}, ROWS).on_gpus(1) is None
    monkeypatch.setattr(estimating, "gpu", lambda: "cupy")
    found = estimate(groups_of(tmp_path), {"": str(tmp_path)}, ROWS)
    assert found.gpu_s is not None
    assert found.features_s > 0


def test_a_gpu_needs_cores_beside_it() -> None:
    found = Estimate(n_records=1e6, bytes_out=1, features_s=1000, gpu_s=100, other_s=250, n_sampled=1)
    assert found.on_gpus(1) == (100, 3)
    assert found.on_gpus(4) == (25, 10)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.42, "0.4 s"),
        (59.6, "60 s"),
        (99, "99 s"),
        (120, "2.0 min"),
        (3000, "50 min"),
        (12600, "3.5 h"),
        (90000, "25 h"),
        (3e5, "3.5 days"),
    ],
)
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said
