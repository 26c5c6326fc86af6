"""Who may import whom: read from the source, so that an import that is never run counts as well."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for folder in ("xfmr", "jobs") for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module a file imports, and of everything it takes from one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute in this project"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def below(within: str) -> list[Path]:
    """Return the sources whose path begins with ``within``."""
    return [path for path in SOURCES if path.relative_to(ROOT).as_posix().startswith(within)]


def importing(*modules: str, within: str = "") -> set[str]:
    """Return the sources below a path that import one of the modules."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in below(within)
        if any(f"{name}.".startswith(f"{module}.") for name in imports(path) for module in modules)
    }


def imported_by(within: str, *, of: str) -> set[str]:
    """Return the modules of a package that the sources below a path import, as ``package.module``."""
    names = {name for path in below(within) for name in imports(path)}
    return {".".join(name.split(".")[:2]) for name in names if name.startswith(f"{of}.")}


def test_the_sources_are_found() -> None:
    assert "xfmr/cluster.py" in importing("ray")
    assert imported_by("xfmr/featurizer.py", of="xfmr") > {"xfmr.archive", "xfmr.records"}


def test_ray_stays_in_jobs_training_and_cluster() -> None:
    assert {name for name in importing("ray", within="xfmr/") if not name.startswith("xfmr/training/")} == {
        "xfmr/cluster.py"
    }


@pytest.mark.parametrize(
    ("within", "allowed"),
    [
        ("xfmr/features/", {"xfmr.features"}),
        ("xfmr/models/", {"xfmr.models", "xfmr.errors"}),
        ("xfmr/records/", {"xfmr.records", "xfmr.schema"}),
        ("xfmr/schema.py", set()),
        ("xfmr/errors.py", set()),
    ],
)
def test_arrows_run_one_way(within: str, allowed: set[str]) -> None:
    assert imported_by(within, of="xfmr") <= allowed


def test_features_need_neither_torch_nor_pydantic() -> None:
    assert importing("torch", "pydantic", "pydantic_settings", within="xfmr/features/") == set()


def test_the_library_does_not_know_the_jobs() -> None:
    assert importing("jobs", within="xfmr/") == set()
