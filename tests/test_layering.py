"""Who may import whom: read from the source, so that an import that is never run counts as well."""

from graphlib import TopologicalSorter

import pytest
from sources import ROOT, imports, relative, sources


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


def test_the_sources_are_found() -> None:
    assert "xfmr/cluster.py" in importing("ray")
    assert imported_by("xfmr/featurizing/featurizer.py") > {"xfmr.archive", "xfmr.records", "xfmr.features"}


def test_ray_stays_in_jobs_training_and_cluster() -> None:
    assert importing("ray", within="xfmr/") - importing("ray", within="xfmr/training/") == {"xfmr/cluster.py"}


@pytest.mark.parametrize(
    ("within", "allowed"),
    [
        ("xfmr/features/", {"xfmr.features"}),
        ("xfmr/models/", {"xfmr.models", "xfmr.errors"}),
        ("xfmr/records/", {"xfmr.records", "xfmr.schema"}),
        ("xfmr/storage/", {"xfmr.storage", "xfmr.errors"}),
        ("xfmr/archive/", {"xfmr.archive", "xfmr.records", "xfmr.storage", "xfmr.errors"}),
        ("xfmr/normal/", {"xfmr.normal", "xfmr.features", "xfmr.schema"}),
        ("xfmr/schema.py", set()),
        ("xfmr/errors.py", set()),
    ],
)
def test_arrows_run_one_way(within: str, allowed: set[str]) -> None:
    assert sources(within)
    assert imported_by(within) <= allowed


def test_no_circle_of_folders() -> None:
    names = {f"xfmr.{path.stem}" for path in (ROOT / "xfmr").iterdir()}
    uses = {name: imported_by(name.replace(".", "/")) - {name} for name in names}
    TopologicalSorter(uses).prepare()  # raises where there is one


def test_features_need_neither_torch_nor_pydantic() -> None:
    assert importing("torch", "pydantic", "pydantic_settings", within="xfmr/features/") == set()


def test_the_library_does_not_know_the_jobs() -> None:
    assert importing("jobs", within="xfmr/") == set()
