"""An agent asks for an interpreter by AgentCore's name and gets a real one, or is told what to install."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import BuildFailed

OWN = f"PYTHON_3_{sys.version_info[1]}"


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose PATH, pyenv and uv hold only what the test puts there."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    return tmp_path


def install(path: Path, version: str, usable: bool = True) -> Path:
    """A program that answers like an interpreter."""
    facts = {"path": str(path), "version": version, "usable": usable, "folders": [str(path.parent.parent)]}
    return script(path, f"echo '{json.dumps(facts)}'")


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


async def test_the_servers_own_python_is_found_outside_of_its_environment() -> None:
    found = await Interpreters().find(OWN)
    assert found.version == ".".join(str(part) for part in sys.version_info[:3])
    assert found.notes == ()
    assert not found.path.is_relative_to(sys.prefix) or sys.prefix == sys.base_prefix
    for needed in (found.path, Path(json.__file__).resolve()):
        assert any(needed.is_relative_to(folder) for folder in (*found.mounts, Path("/usr")))
    run = subprocess.run([found.path, "-I", "-c", "import ssl, ctypes; print(6)"], capture_output=True)
    assert run.stdout == b"6\n"


async def test_a_virtual_environments_python_is_the_one_beneath(bare_machine: Path) -> None:
    made = bare_machine / "made"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    (bare_machine / "path").rmdir()
    (bare_machine / "path").symlink_to(made / "bin")
    found = await Interpreters().find(OWN)
    assert not any(folder.is_relative_to(bare_machine) for folder in found.mounts)


async def test_a_broken_shim_is_passed_over_for_the_newest_real_one(bare_machine: Path) -> None:
    script(bare_machine / "path/python3.19", "echo pyenv: command not found >&2; exit 127")
    for version in ("3.19.2", "3.19.10", "3.19.9"):
        install(bare_machine / f"pyenv/versions/{version}/bin/python3.19", version)
    found = await Interpreters().find("PYTHON_3_19")
    assert found.version == "3.19.10"
    assert found.mounts == (bare_machine / "pyenv/versions/3.19.10",)


async def test_uvs_pythons_are_found(bare_machine: Path) -> None:
    install(bare_machine / "uv/cpython-3.19.1-linux-x86_64-gnu/bin/python3.19", "3.19.1")
    assert (await Interpreters().find("PYTHON_3_19")).version == "3.19.1"


async def test_the_nearest_newer_one_stands_in_and_says_so(bare_machine: Path) -> None:
    install(bare_machine / "path/python3.19", "3.19.0")
    install(bare_machine / "path/python3.20", "3.20.0")
    found = await Interpreters().find("PYTHON_3_18")
    assert found.version == "3.19.0"
    assert found.notes == ("Python 3.18 is not installed on this server; running on 3.19.0",)


async def test_without_a_newer_one_the_nearest_older_stands_in(bare_machine: Path) -> None:
    install(bare_machine / "path/python3.18", "3.18.3")
    assert (await Interpreters().find("PYTHON_3_20")).version == "3.18.3"


async def test_exactness_can_be_asked_for(bare_machine: Path) -> None:
    install(bare_machine / "path/python3.19", "3.19.0")
    assert await Interpreters(python_exact=True).find("PYTHON_3_19")
    with pytest.raises(BuildFailed, match=r"uv python install 3\.18"):
        await Interpreters(python_exact=True).find("PYTHON_3_18")


async def test_odd_and_hanging_programs_are_no_interpreters(
    bare_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.services.builder.interpreters._PROBE_TIMEOUT_SECONDS", 0.3)
    sleep = shutil.which("sleep", path="/usr/bin:/bin")
    script(bare_machine / "path/python3.19", f"exec {sleep} 60")
    install(bare_machine / "pyenv/versions/3.19.1/bin/python3.19", "3.19.1", usable=False)
    script(bare_machine / "pyenv/versions/3.19.2/bin/python3.19", "echo hello")
    install(bare_machine / "uv/cpython-3.19.3-linux/bin/python3.19", "3.12.0")
    with pytest.raises(BuildFailed):
        await Interpreters(python_exact=True).find("PYTHON_3_19")


async def test_node_is_what_the_path_has(bare_machine: Path) -> None:
    with pytest.raises(BuildFailed, match="put node 22 on its PATH"):
        await Interpreters().find("NODE_22")
    node = bare_machine / "path/node"
    script(node, f"echo '{node} 22.9.0'")
    assert (await Interpreters().find("NODE_22")).version == "22.9.0"
    script(node, f"echo '{node} 20.1.0'")
    assert (await Interpreters().find("NODE_22")).notes


@pytest.mark.parametrize("runtime", ["", "PYTHON_2_7", "PYTHON_3_12; rm", "RUBY_3", "python_3_12"])
async def test_unknown_runtimes_are_refused(runtime: str) -> None:
    with pytest.raises(BuildFailed, match="use PYTHON_3_10"):
        await Interpreters().find(runtime)
