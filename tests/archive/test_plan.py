"""Archives are cut into groups, whatever the order in which files are met."""

import pyarrow as pa
from archives import MB, many
from hypothesis import given, settings
from hypothesis import strategies as st

from xfmr.archive import ArchiveFile
from xfmr.archive.plan import (
    FEWEST_GROUPS,
    SMALLEST_GROUP,
    Group,
    from_table,
    numbered,
    plan_groups,
    to_table,
    uncounted,
)
from xfmr.records import can_be_cut

NAMES = st.text("ab/ü.", min_size=1, max_size=6)
files = st.builds(
    ArchiveFile,
    fleet=st.sampled_from(["", "north", "süd"]),
    path=st.builds(
        str.__add__, st.text("ab/ü.", min_size=1, max_size=6), st.sampled_from([".json", ".jsonl", ".jsonl.gz"])
    ),
    size=st.integers(0, 9 * MB),
    mtime_ns=st.integers(0, 2**62),
)
archives_of_files = st.lists(files, min_size=1, max_size=30, unique_by=lambda file: (file.fleet, file.path))


def files_of(groups: list[Group]) -> list[ArchiveFile]:
    """Return the files in order, one that is cut once for all its parts, which must follow each other."""
    found, read = [], 0
    for group in groups:
        if group.part:
            assert (group.part.start, len(group.files)) == (read, 1)
            read = group.part.stop % group.files[0].size
        found += group.files if read == 0 else []
    assert read == 0
    return found


@given(archive=archives_of_files, group_bytes=st.integers(1, 10 * MB), data=st.data())
@settings(max_examples=50, deadline=None)
def test_every_file_is_in_one_group_whatever_the_order(
    archive: list[ArchiveFile], group_bytes: int, data: st.DataObject
) -> None:
    groups = plan_groups(archive, key="k", group_bytes=group_bytes)
    assert sorted(files_of(groups)) == sorted(archive)
    assert len({group.name for group in groups}) == len(groups)
    assert all(group.n_bytes - group.files[-1].size < group_bytes for group in groups if not group.part)
    shuffled = data.draw(st.permutations(archive))
    assert plan_groups(shuffled, key="k", group_bytes=group_bytes) == groups


@given(archive=archives_of_files, other=st.text(max_size=5).filter(lambda text: text != "k"))
@settings(max_examples=30, deadline=None)
def test_names_depend_on_the_key(archive: list[ArchiveFile], other: str) -> None:
    names = [{g.name for g in plan_groups(archive, key=key, group_bytes=MB)} for key in ("k", other)]
    assert not names[0] & names[1]


@given(
    archive=archives_of_files,
    which=st.integers(0, 29),
    field=st.sampled_from(["fleet", "path", "size", "mtime_ns"]),
)
@settings(max_examples=50, deadline=None)
def test_only_the_group_of_a_changed_file_is_planned_anew(archive: list[ArchiveFile], which: int, field: str) -> None:
    before = plan_groups(archive, key="k", group_bytes=2 * MB)
    old = archive[which % len(archive)]
    value = getattr(old, field)
    changed = old._replace(**{field: value + (1 if isinstance(value, int) else "changed")})
    now = [changed if file == old else file for file in archive]
    after = plan_groups(now, known=before, key="k", group_bytes=2 * MB)
    untouched = {group.name for group in before if old not in group.files}
    assert all(group.part for group in before if old in group.files) or len(untouched) == len(before) - 1
    assert untouched < {group.name for group in after}
    assert sorted(files_of(after)) == sorted(now)


@given(archive=archives_of_files, new=archives_of_files)
@settings(max_examples=30, deadline=None)
def test_appended_files_leave_the_old_groups(archive: list[ArchiveFile], new: list[ArchiveFile]) -> None:
    before = plan_groups(archive, key="k", group_bytes=2 * MB)
    later = [file._replace(fleet="later") for file in new]
    after = plan_groups([*later, *archive], known=before, key="k", group_bytes=2 * MB)
    assert set(before) <= set(after)
    assert sorted(files_of(after)) == sorted([*archive, *later])
    assert plan_groups([*archive, *later], known=after, key="k", group_bytes=MB) == after


def test_groups_are_balanced_by_bytes() -> None:
    groups = plan_groups(many(1000, MB), key="", group_bytes=50 * MB)
    assert [group.n_bytes for group in groups] == [50 * MB] * 20
    uneven = [file._replace(size=(i % 7) * MB) for i, file in enumerate(many(1000, MB))]
    sizes = [group.n_bytes for group in plan_groups(uneven, key="", group_bytes=50 * MB)]
    assert all(50 * MB <= size < 56 * MB for size in sizes[:-1])


def test_a_small_archive_still_makes_enough_groups() -> None:
    assert len(plan_groups(many(320, MB), key="", group_bytes=100 * MB)) == FEWEST_GROUPS


def test_a_tiny_archive_makes_no_tiny_groups() -> None:
    groups = plan_groups(many(40, MB // 10), key="", group_bytes=100 * MB)
    assert [group.n_bytes for group in groups] == [SMALLEST_GROUP, SMALLEST_GROUP]


@given(archive=archives_of_files)
@settings(max_examples=30, deadline=None)
def test_a_group_survives_the_way_to_a_worker(archive: list[ArchiveFile]) -> None:
    for group in plan_groups(archive, key="k", group_bytes=MB):
        assert Group.from_json(group.to_json()) == group


def test_known_groups_of_another_key_are_planned_anew() -> None:
    files = [ArchiveFile("", "a.jsonl", 1, 1)]
    before = plan_groups(files, key="features 1", group_bytes=1)
    assert plan_groups(files, known=before, key="features 2", group_bytes=1) == plan_groups(
        files, key="features 2", group_bytes=1
    )


@given(archive=archives_of_files, group_bytes=st.integers(1, 10 * MB))
@settings(max_examples=50, deadline=None)
def test_only_long_files_of_plain_lines_are_cut(archive: list[ArchiveFile], group_bytes: int) -> None:
    for group in plan_groups(archive, key="k", group_bytes=group_bytes):
        if group.part:
            assert len(group.files) == 1
            assert can_be_cut(group.files[0].path)
            assert SMALLEST_GROUP / 2 <= group.n_bytes <= max(group_bytes, SMALLEST_GROUP)


def test_a_huge_file_is_cut_into_groups_of_the_size_asked_for() -> None:
    groups = plan_groups([ArchiveFile("", "a.jsonl", 60_000 * MB, 1)], key="", group_bytes=100 * MB)
    assert [group.n_bytes for group in groups] == [100 * MB] * 600
    assert len({group.name for group in groups}) == 600


def test_parts_learn_how_many_lines_precede_them() -> None:
    names = ["a.jsonl", "b.jsonl", "c.json"]
    groups = plan_groups([ArchiveFile("", name, 4 * MB, 1) for name in names], key="", group_bytes=MB)
    assert [group.files[0].path for group in uncounted(groups)] == ["a.jsonl"] * 2 + ["b.jsonl"] * 2
    known = numbered(groups, {group.name: 10 + i for i, group in enumerate(uncounted(groups))})
    assert [group.part and group.part.lines_before for group in known] == [0, 10, 0, 12, None]
    assert [group.name for group in known] == [group.name for group in groups]
    assert uncounted(known) == []
    assert (
        plan_groups([file for group in groups for file in group.files], known=known, key="", group_bytes=MB) == known
    )


@given(archive=archives_of_files)
@settings(max_examples=30, deadline=None)
def test_a_plan_survives_as_a_table(archive: list[ArchiveFile]) -> None:
    groups = plan_groups(archive, key="k", group_bytes=MB)
    counted = numbered(groups, {group.name: i for i, group in enumerate(uncounted(groups))})
    for plan in (groups, counted, []):
        assert from_table(to_table(plan, set_name="s")) == plan
    both = pa.concat_tables([to_table(groups, set_name="a"), to_table(counted, set_name="b")])
    assert from_table(both.slice(len(groups))) == counted


def test_a_packed_file_counts_as_what_it_unpacks_to() -> None:
    plain, packed = ArchiveFile("", "a.jsonl", 2 * MB, 7), ArchiveFile("", "b.JSONL.GZ", MB, 7)
    (one,), (other,) = (plan_groups([file], key="k", group_bytes=10 * MB) for file in (plain, packed))
    assert one.n_text_bytes == one.n_bytes == 2 * MB
    assert other.n_bytes == MB
    assert other.n_text_bytes > one.n_text_bytes
