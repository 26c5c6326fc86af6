"""The package's own source as a tree of imports and parameters, for tests of who may know what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def sources(within: str = "") -> list[Path]:
    """Return the files of the package and the jobs whose path begins with ``within``."""
    paths = [path for folder in ("xfmr", "jobs") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in paths if relative(path).startswith(within)]


def relative(path: Path) -> str:
    """Return a source's path within the repository."""
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Yield the full name of every module that a file imports, wherever in it, and of all it takes from one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute in this project"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def reachable(path: Path) -> set[str]:
    """Return the package's files that a file imports, and those that these import, and so on."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        for name in imports(waiting.pop()):
            for file in files_of(name):
                if relative(file) not in found:
                    found.add(relative(file))
                    waiting.append(file)
    return found


def files_of(name: str) -> list[Path]:
    """Return the files that are run when a module, or a name in one, is imported: its packages' own as well."""
    parts = name.split(".")
    places = [ROOT.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]


def parameters(path: Path) -> set[str]:
    """Return the names of all parameters of a file's functions and of all annotated fields of its classes."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names
