"""What this machine offers a server, found by looking and trying, with or without a server running."""

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from innkeeper.cli import server

if TYPE_CHECKING:
    from innkeeper.engines.sandbox.sandbox import Capabilities, SandboxDriver
    from innkeeper.settings import Settings

PROBE_TIMEOUT_SECONDS = 30.0
DISK_FREE_GIB = 2.0


class State(StrEnum):
    """`WARNING`: the server runs, with less; `MISSING`: it cannot host agents."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    detail: str
    fix: str = ""


def checks(settings: "Settings") -> Iterator[Check]:
    yield _python()
    yield _program("bwrap", "bubblewrap", State.MISSING)
    yield _program("slirp4netns", "slirp4netns", State.WARNING)
    yield _program("nft", "nftables", State.WARNING)
    yield from _sandbox(settings.sandbox_driver, settings.untrusted_code_in_namespaces)
    yield _uv()
    yield _postgresql()
    yield _disk(settings.data_dir)
    yield _server(settings.data_dir)
    yield from _models(settings)


def _python() -> Check:
    return Check("python", State.OK, f"{platform.python_version()} at {sys.executable}")


def _program(name: str, package: str, otherwise: State) -> Check:
    # Some are for administrators, whose folders are not on everybody's path.
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path:
        return Check(name, State.OK, path)
    return Check(name, otherwise, "not found", f"apt-get install {package}")


def _sandbox(name: str, shared_kernel: bool) -> Iterator[Check]:
    """Really starts an empty sandbox, the only honest way to know whether this kernel allows one."""
    drivers = {entry.name: entry for entry in entry_points(group="innkeeper.sandbox_drivers")}
    if name not in drivers:
        fix = f"set INNKEEPER_SANDBOX_DRIVER to one of: {', '.join(sorted(drivers))}"
        yield Check("sandbox", State.MISSING, f"no driver {name} is installed", fix)
        return
    try:
        used, found = asyncio.run(_probe(drivers[name]))
    except (TimeoutError, OSError) as error:
        yield Check("sandbox", State.MISSING, f"the trial failed: {error or type(error).__name__}")
        return
    problems = "; ".join(found.problems)
    if not found.usable:
        yield Check("sandbox", State.MISSING, "no sandbox starts here", problems)
        return
    networks = ", ".join(sorted(found.networks))
    state = State.WARNING if problems else State.OK
    yield Check("sandbox", state, f"{used}, {found.isolation}; networks: {networks}", problems)
    yield _strangers(found, shared_kernel)
    if found.enforces_limits and found.measures_usage:
        yield Check("limits", State.OK, "CPU and memory are limited and measured")
    else:
        yield Check("limits", State.WARNING, "CPU and memory are not fully limited and measured", problems)


def _strangers(found: "Capabilities", shared_kernel: bool) -> Check:
    """Whether the code interpreter and named sandboxes may be had here."""
    from innkeeper.engines.sandbox.sandbox import Isolation
    from innkeeper.engines.sandbox.trust import CURE

    if found.isolation is not Isolation.KERNEL_SHARED:
        return Check("untrusted", State.OK, "runs behind a kernel of its own")
    if shared_kernel:
        return Check("untrusted", State.OK, "runs on the host's kernel: you have said that it may")
    detail = "is refused: no code interpreter and no named sandboxes, for sandboxes share the host's kernel"
    return Check("untrusted", State.WARNING, detail, CURE)


async def _probe(entry: EntryPoint) -> tuple[str, "Capabilities"]:
    """The name of the driver that is used, and what it can do here."""
    with tempfile.TemporaryDirectory(prefix="innkeeper-doctor-") as folder:
        driver: SandboxDriver = entry.load()(Path(folder))
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            capabilities = await driver.probe()
        await driver.close()
    return driver.name, capabilities


def _uv() -> Check:
    import uv

    try:
        return Check("uv", State.OK, uv.find_uv_bin())
    except FileNotFoundError:
        return Check("uv", State.MISSING, "not found", "pip install --force-reinstall uv")


def _postgresql() -> Check:
    found = [*Path("/usr/lib/postgresql").glob("*/bin/postgres"), *filter(None, [shutil.which("postgres")])]
    if found:
        return Check("postgresql", State.OK, str(found[0]))
    fix = "apt-get install postgresql; only the tests and a shared database need it"
    return Check("postgresql", State.WARNING, "not found", fix)


def _disk(folder: Path) -> Check:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free_gib = shutil.disk_usage(existing).free / 2**30
    detail = f"{free_gib:.1f} GiB free for {folder}"
    if not os.access(existing, os.W_OK):
        fix = "make it writable, or choose another: --data-dir FOLDER"
        return Check("disk", State.MISSING, f"{existing} is not writable", fix)
    if free_gib < DISK_FREE_GIB:
        return Check("disk", State.WARNING, detail, f"keep {DISK_FREE_GIB:.0f} GiB free for builds and logs")
    return Check("disk", State.OK, detail)


def _server(folder: Path) -> Check:
    found = server.running(folder)
    if found:
        return Check("server", State.OK, f"{found.version} at {found.url}")
    return Check("server", State.WARNING, f"none on {folder}", "innkeeper up --detach")


def _models(settings: "Settings") -> Iterator[Check]:
    if not settings.models:
        fix = "set INNKEEPER_MODELS and INNKEEPER_MODEL_IDS; see docs/guide/models.md"
        yield Check("models", State.WARNING, "none; agents that call a model are told so", fix)
    for name, provider in settings.models.items():
        variable = provider.api_key_variable
        if variable and not os.environ.get(variable):
            fix = f"export {variable}=… before innkeeper up"
            yield Check(f"model {name}", State.WARNING, f"{provider.kind}, without its key", fix)
        else:
            yield Check(f"model {name}", State.OK, provider.kind)
    learner = settings.memory_model
    detail = f"learns by {learner}" if learner else "learns extractively; see docs/guide/memory.md"
    yield Check("memory", State.OK, detail)
