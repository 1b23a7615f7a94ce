"""Imports go one way, services meet through `service.py`, and `wiring/engines.py` alone knows the drivers."""

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
    "migrations": {"migrations", "services", "engines", "kernel"},
    "model_provider": set(),
    "memory_settings": set(),
    "settings": {"settings", "memory_settings", "model_provider"},
    "native": {"aws", "kernel"},
    "wiring": {"wiring", "native", "aws", "settings", "services", "engines", "kernel"},
    "app": {"app", "wiring", "native", "aws", "settings", "services", "engines", "kernel"},
    "bounded_http": set(),
    "master_key": {"master_key", "server", "wiring", "settings", "services", "engines", "kernel"},
    "server": {"server", "bounded_http", "app", "settings", "services", "engines", "kernel"},
    "console": {"console", "server", "app", "settings", "services", "engines", "kernel"},
    "cli": {"cli", "master_key", "server", "app", "settings", "services", "engines", "kernel"},
    "__main__": {"cli"},
    "": set(),
}

# The modules of each engine that everyone may know; all others beside them belong to drivers.
PROTOCOLS = {
    "store": {"database", "client_tokens", "migration"},
    "jobs": {"jobs"},
    "cluster": {"cluster"},
    "sandbox": {"sandbox", "pool", "client", "bridge", "images", "trust", "authorities", "egress"},
    "images": {"image", "roots", "tree"},
    "models": {"model"},
    "embedders": {"embedder", "minilm_install"},
    "search": {"search", "ranking", "veil", "words"},
    "extraction": {"extractor"},
    "blobs": {"blobs"},
    "vault": {"vault", "columns", "rewrapping", "tokens"},
    "vetting": {"vetting"},
}

# Inside a service, by the last word of a file's name: the kinds of files of its own folder that it may
# import, and whether it may know engines. All other files are nouns of their own, and stand beside `service`.
INSIDE = {
    "model": ({"model", "noun"}, False),
    "store": ({"model", "store", "noun"}, True),
    "service": ({"model", "store", "service", "noun"}, True),
    "noun": ({"model", "store", "service", "noun"}, True),
    "operations": ({"model", "service", "noun", "operations"}, False),
    "handler": ({"model", "service", "noun", "operations"}, False),
    "routes": ({"model", "service", "noun", "routes"}, False),
    "jobs": ({"model", "service", "noun"}, True),
}

ALL = modules()


def _part(name: str, index: int) -> str:
    return (name.split(".") + [""] * 4)[index]


def _file(name: str) -> str:
    """Of a service or of a room of its own in one, where the same plan holds again."""
    return name.rpartition(".")[2]


def _kind(name: str) -> str:
    last = _file(name).rpartition("_")[2]
    return last if last in INSIDE else "noun"


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
            or module.name == "innkeeper.wiring.engines"
            or module.name.startswith(f"innkeeper.engines.{engine}.")
            or not word
            or word in PROTOCOLS[engine]
        )

    assert _breaches(allowed) == []


def test_services_meet_only_through_their_service_and_model() -> None:
    def allowed(module: Module, imported: str) -> bool:
        if _part(module.name, 1) != "services" or _part(imported, 1) != "services":
            return True
        same = _part(module.name, 2) == _part(imported, 2)
        return same or _file(imported) in {"service", "model"}

    assert _breaches(allowed) == []


def test_each_file_of_a_service_keeps_to_its_place() -> None:
    def allowed(module: Module, imported: str) -> bool:
        if _part(module.name, 1) != "services":
            return True
        own, engines = INSIDE[_kind(module.name)]
        if _part(imported, 1) == "engines":
            return engines
        if _part(imported, 1) != "services" or _part(imported, 2) != _part(module.name, 2):
            return True
        return _kind(imported) in own

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
