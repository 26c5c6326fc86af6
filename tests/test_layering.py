"""Who may import whom: read from the source, so that an import that is never run counts as well."""

from graphlib import TopologicalSorter

import pytest
from sources import ROOT, imports, parameters, reachable, relative, sources

STAGE_ONE = ("normal", "views", "history", "detectors", "training", "networks")
AFTER_STAGE_ONE = ("labels", "scores", "faults", "evaluation", "diagnosis")


def importing(*modules: str, within: str = "") -> set[str]:
    """Return the sources below a path that import one of the modules."""
    return {
        relative(path)
        for path in sources(within)
        if any(f"{name}.".startswith(f"{module}.") for name in imports(path) for module in modules)
    }


def imported_by(within: str) -> set[str]:
    """Return what the sources below a path import of the package, as ``xfmr.module``."""
    names = {name for path in sources(within) for name in imports(path)}
    return {".".join(name.split(".")[:2]) for name in names if name.startswith("xfmr.")}


def house() -> set[str]:
    """Return the names of the package's folders and loose files."""
    return {path.stem for path in (ROOT / "xfmr").iterdir() if path.is_dir() or path.suffix == ".py"}


def test_the_sources_are_found() -> None:
    assert "xfmr/cluster.py" in importing("ray")
    assert imported_by("xfmr/rows/") > {"xfmr.archive", "xfmr.records", "xfmr.features"}
    assert house() > {*STAGE_ONE, *AFTER_STAGE_ONE}


def test_ray_stays_in_jobs_training_and_cluster() -> None:
    assert importing("ray", within="xfmr/") - importing("ray", within="xfmr/training/") == {"xfmr/cluster.py"}


@pytest.mark.parametrize("folder", STAGE_ONE)
def test_stage_one_cannot_see_a_label(folder: str) -> None:
    """Neither by an import of its own nor through anything that it imports, however far away."""
    assert sources(f"xfmr/{folder}/")
    seen = {path for source in sources(f"xfmr/{folder}/") for path in reachable(source)}
    assert {path for path in seen if path.removesuffix(".py").split("/")[1] in AFTER_STAGE_ONE} == set()


@pytest.mark.parametrize("folder", STAGE_ONE)
def test_stage_one_is_handed_no_label(folder: str) -> None:
    names = {name for source in sources(f"xfmr/{folder}/") for name in parameters(source)}
    assert {name for name in names if "label" in name} == set()


def test_the_guard_sees_what_it_forbids() -> None:
    (labels,) = sources("xfmr/labels.py")
    assert "labels" in parameters(labels)
    (pretrain,) = sources("jobs/pretrain.py")
    assert {"xfmr/labels.py", "xfmr/storage/store.py"} <= reachable(pretrain)


@pytest.mark.parametrize(
    ("within", "allowed"),
    [
        ("xfmr/errors.py", set()),
        ("xfmr/schema.py", set()),
        ("xfmr/features/", {"features"}),
        ("xfmr/normal/", {"normal", "schema"}),
        ("xfmr/networks/", {"networks", "errors"}),
        ("xfmr/storage/", {"storage", "schema", "errors"}),
        ("xfmr/records/", {"records", "schema"}),
        ("xfmr/archive/", {"archive", "records", "storage", "schema", "errors"}),
    ],
)
def test_arrows_run_one_way(within: str, allowed: set[str]) -> None:
    assert sources(within)
    assert {name.removeprefix("xfmr.") for name in imported_by(within)} <= allowed


def test_no_circle_of_folders() -> None:
    uses = {f"xfmr.{name}": imported_by(f"xfmr/{name}") - {f"xfmr.{name}"} for name in house()}
    TopologicalSorter(uses).prepare()  # raises if there is one


def test_features_need_neither_torch_nor_pydantic() -> None:
    assert importing("torch", "pydantic", "pydantic_settings", within="xfmr/features/") == set()


def test_the_library_does_not_know_the_jobs() -> None:
    assert importing("jobs", within="xfmr/") == set()
