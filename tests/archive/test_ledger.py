"""The ledger: plans of several sets, and receipts that count only while their group is planned."""

from pathlib import Path

from archives import MB, many

from xfmr.archive.ledger import Ledger, Receipt
from xfmr.archive.plan import plan_groups
from xfmr.storage import Store


def test_ledger_round_trip(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    assert ledger.read_plan() == []
    assert ledger.receipts() == {}
    groups = plan_groups(many(40, MB), key="k", group_bytes=10 * MB)
    ledger.write_plan(groups, "k")
    assert ledger.read_plan() == groups
    receipt = Receipt(groups[1].name, lines=5, records=3, quarantined=2)
    ledger.sign(receipt)
    assert ledger.receipts() == {groups[1].name: receipt}


def test_a_receipt_counts_only_while_its_group_is_planned(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    groups = plan_groups(many(40, MB), key="k", group_bytes=10 * MB)
    ledger.write_plan(groups, "k")
    for group in groups:
        ledger.sign(Receipt(group.name, 1, 1, 0))
    ledger.write_plan(groups[1:], "k")
    assert set(ledger.receipts()) == {group.name for group in groups[1:]}


def test_plans_of_several_sets_stand_beside_each_other(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    plans = {key: plan_groups(many(40, MB), key=key, group_bytes=10 * MB) for key in "ab"}
    for key, groups in plans.items():
        ledger.write_plan(groups, key)
    assert ledger.latest == "b"
    assert ledger.read_plan() == ledger.read_plan("b") == plans["b"]
    assert ledger.read_plan("a") == plans["a"]
    ledger.write_plan(plans["a"][:2], "a")
    assert (ledger.latest, ledger.read_plan(), ledger.read_plan("b")) == ("a", plans["a"][:2], plans["b"])
    ledger.forget_other_sets()
    assert (ledger.latest, ledger.read_plan(), ledger.read_plan("b")) == ("a", plans["a"][:2], [])


def test_a_plan_that_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    ledger = Ledger(Store(str(tmp_path)))
    groups = plan_groups(many(40, MB), key="k", group_bytes=10 * MB)
    ledger.write_plan(groups, "k")
    before = (tmp_path / "manifest.parquet").stat().st_mtime_ns
    ledger.write_plan(groups, "k")
    assert (tmp_path / "manifest.parquet").stat().st_mtime_ns == before
