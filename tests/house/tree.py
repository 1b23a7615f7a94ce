"""The source tree as the rules of the house see it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
CODE_FOLDERS = ("src", "tests", "scripts", "benchmarks", "examples", "migrations")


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the product: its dotted name, its path, and the modules of ours that it imports."""

    name: str
    path: Path
    imports: frozenset[str]


def python_files() -> Iterator[Path]:
    for folder in CODE_FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules() -> list[Module]:
    paths = sorted(SOURCE.rglob("*.py"))
    known = {module_name(path) for path in paths}
    return [Module(module_name(path), path, frozenset(_imports(path, known))) for path in paths]


def _imports(path: Path, known: set[str]) -> Iterator[str]:
    """Late imports and those for types only count as well: they too are knowledge of the other module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            nested = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in nested]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "innkeeper")
