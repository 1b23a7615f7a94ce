"""Imports go one way, services meet only through `service.py`, and only `app.py` knows the drivers."""

import ast
from collections.abc import Callable

import pytest

from tests.house.tree import SOURCE, Module, modules

# What each layer may import of ours. `settings` is part of the wiring: it is handed down as plain values.
LAYERS = {
    "kernel": {"kernel"},
    "aws": {"aws", "kernel"},
    "engines": {"engines", "kernel"},
    "services": {"services", "engines", "kernel"},
    "settings": {"settings"},
    "app": {"app", "aws", "settings", "services", "engines", "kernel"},
    "console": {"console", "app", "settings", "services", "engines", "kernel"},
    "cli": {"cli", "app", "settings", "services", "engines", "kernel"},
    "__main__": {"cli"},
    "": set(),
}

# The module of each engine that everyone may know; all others beside it are drivers.
PROTOCOLS = {
    "store": "database",
    "jobs": "jobs",
    "cluster": "cluster",
    "sandbox": "sandbox",
    "models": "model",
    "embedders": "embedder",
    "blobs": "blobs",
    "vault": "vault",
}

# `doctor` looks at the machine when there is no server to ask.
KNOWS_DRIVERS = {"innkeeper.app", "innkeeper.cli.machine"}

# Inside a service: the modules of its own folder, and the engines, that each file may import. A file that is
# not listed is a noun of its own, and stands beside `service`.
EDGE = {"service", "model", "NOUN"}
SERVICE_FILES = {
    "model": ({"NOUN"}, False),
    "store": ({"model", "NOUN"}, True),
    "service": ({"model", "store", "NOUN"}, True),
    "operations": (EDGE, False),
    "routes": (EDGE, False),
    "jobs": (EDGE, True),
    "NOUN": ({"model", "store", "NOUN"}, True),
}

ALL = modules()


def _part(name: str, index: int) -> str:
    return (name.split(".") + [""] * 4)[index]


def _breaches(rule: Callable[[Module, str], bool]) -> list[str]:
    return [
        f"{module.name} imports {imported}"
        for module in ALL
        for imported in sorted(module.imports)
        if not rule(module, imported)
    ]


def test_imports_go_one_way() -> None:
    def allowed(module: Module, imported: str) -> bool:
        return _part(imported, 1) in LAYERS[_part(module.name, 1)]

    assert _breaches(allowed) == []


def test_only_the_wiring_knows_drivers() -> None:
    def allowed(module: Module, imported: str) -> bool:
        engine, word = _part(imported, 2), _part(imported, 3)
        return (
            _part(imported, 1) != "engines"
            or module.name in KNOWS_DRIVERS
            or module.name.startswith(f"innkeeper.engines.{engine}.")
            or word == PROTOCOLS[engine]
        )

    assert _breaches(allowed) == []


def test_services_meet_only_through_their_service_and_model() -> None:
    def allowed(module: Module, imported: str) -> bool:
        if _part(module.name, 1) != "services" or _part(imported, 1) != "services":
            return True
        same = _part(module.name, 2) == _part(imported, 2)
        return same or _part(imported, 3) in {"service", "model"}

    assert _breaches(allowed) == []


def test_each_file_of_a_service_keeps_to_its_place() -> None:
    def allowed(module: Module, imported: str) -> bool:
        if _part(module.name, 1) != "services":
            return True
        own, engines = SERVICE_FILES.get(_part(module.name, 3), SERVICE_FILES["NOUN"])
        if _part(imported, 1) == "engines":
            return engines
        if _part(imported, 1) != "services" or _part(imported, 2) != _part(module.name, 2):
            return True
        word = _part(imported, 3)
        return (word if word in SERVICE_FILES else "NOUN") in own

    assert _breaches(allowed) == []


@pytest.mark.parametrize("folder", sorted(path.name for path in (SOURCE / "innkeeper/services").glob("*/")))
def test_every_service_introduces_itself(folder: str) -> None:
    if folder != "__pycache__":
        assert (SOURCE / "innkeeper/services" / folder / "README.md").is_file()


def test_nothing_is_exported_twice() -> None:
    for path in SOURCE.rglob("__init__.py"):
        statements = ast.parse(path.read_text()).body
        assert all(isinstance(node, ast.Expr) for node in statements), f"{path} holds more than a docstring"


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [module.name for module in ALL if drawers & set(module.name.split("."))] == []
