"""A developer's code archive becomes a folder that runs in a sandbox, with the packages it needs."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from innkeeper.services.builder.interpreters import Interpreters
from innkeeper.services.builder.model import Build, BuildFailed, BuildLimits
from innkeeper.services.builder.service import Builder
from innkeeper.services.builder.unpack import unpack
from tests.services.builder.wheels import FOREIGN_TAG, package_files, write_wheel, zipped

RUNTIME = f"PYTHON_3_{sys.version_info[1]}"
MAIN = ["main.py"]


class Bench:
    """A builder, a folder of wheels that is its only package index, and archives to build."""

    def __init__(self, folder: Path, limits: BuildLimits) -> None:
        self.root = folder / "root"
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        self.builder = Builder(self.root, limits, Interpreters())
        self._archives = folder / "archives"
        self._archives.mkdir()

    def archive(self, files: Mapping[str, str]) -> Path:
        path = self._archives / f"{len(list(self._archives.iterdir()))}.zip"
        path.write_bytes(zipped(files))
        return path

    async def build(self, files: Mapping[str, str], entry_point: list[str] | None = None) -> Build:
        return await self.builder.build(self.archive(files), RUNTIME, entry_point or MAIN)

    async def refusal(self, files: Mapping[str, str], entry_point: list[str] | None = None) -> str:
        with pytest.raises(BuildFailed) as caught:
            await self.build(files, entry_point)
        return caught.value.message

    def builds(self) -> list[str]:
        folder = self.root / "builds"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def unfinished(self) -> list[Path]:
        folder = self.root / "unfinished"
        return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tmp_path, BuildLimits(unpacked_bytes=1_000_000))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(bench.wheels))
    return bench


def run_inside(build: Build) -> str:
    """What the build says when it is started the way its launch tells, seeing nothing else of the host."""
    if shutil.which("bwrap") is None:
        pytest.skip("needs bubblewrap")
    system = [part for name in ("/lib", "/lib64", "/bin") for part in ("--ro-bind-try", name, name)]
    mounts = [part for path in build.launch.mounts for part in ("--ro-bind", str(path), str(path))]
    argv = ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", *system, *mounts]
    argv += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    argv += ["--ro-bind", str(build.path), "/var/task", "--chdir", "/var/task", "--", *build.launch.argv]
    done = subprocess.run(
        argv, env=dict(build.launch.environment), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_plain_code_runs_from_its_folder(bench: Bench) -> None:
    files = {
        "main.py": "import ssl, helper; print(helper.where())",
        "helper.py": "def where(): return __file__",
    }
    build = await bench.build(files)
    assert run_inside(build) == "/var/task/helper.py"
    assert build.notes == ()
    assert bench.unfinished() == []


async def test_it_is_compiled_beforehand_under_its_name_inside(bench: Bench) -> None:
    build = await bench.build(
        {"main.py": "import helper; print(helper.f.__code__.co_filename)", "helper.py": "def f(): 0"}
    )
    assert [path.name for path in (build.path / "__pycache__").glob("helper.*.pyc")]
    assert run_inside(build) == "/var/task/helper.py"


async def test_code_that_does_not_compile_is_still_built(bench: Bench) -> None:
    build = await bench.build({"main.py": "print(1)", "broken.py": "def"})
    assert run_inside(build) == "1"


async def test_vendored_packages_that_fit_are_used_as_they_are(bench: Bench) -> None:
    vendored = package_files("greeter", "1.0", {"greeter/__init__.py": "word = 'vendored'"})
    build = await bench.build({"main.py": "import greeter; print(greeter.word)", **vendored})
    assert run_inside(build) == "vendored"
    assert build.notes == ()


async def test_packages_of_another_platform_are_replaced_by_the_same_version(bench: Bench) -> None:
    write_wheel(bench.wheels, "greeter", "1.0", {"greeter/__init__.py": "word = 'for this machine'"})
    write_wheel(bench.wheels, "greeter", "2.0", {"greeter/__init__.py": "word = 'too new'"})
    foreign = {"greeter/__init__.py": "word = 'foreign'", "greeter/native-s390x.so": "ELF"}
    pure = package_files("pure", "3.0", {"pure.py": "word = 'kept'"})
    build = await bench.build(
        {
            "main.py": "import greeter, pure; print(greeter.word, pure.word)",
            **package_files("greeter", "1.0", foreign, FOREIGN_TAG),
            **pure,
        }
    )
    assert run_inside(build) == "for this machine kept"
    assert not (build.path / "greeter/native-s390x.so").exists()
    assert [note for note in build.notes if "greeter==1.0" in note and "pure" not in note]


async def test_the_developers_own_files_outlive_a_replacement(bench: Bench) -> None:
    fresh = {"tests/__init__.py": "whose = 'package'", "greeter.py": "", "docs": "a file", "extra/x.py": ""}
    write_wheel(bench.wheels, "greeter", "1.0", fresh)
    foreign = package_files("greeter", "1.0", {"tests/__init__.py": "whose = 'package'"}, FOREIGN_TAG)
    own = {"tests/__init__.py": "whose = 'mine'", "docs/index.md": "mine", "extra": "mine", "main.py": ""}
    build = await bench.build({**foreign, **own})
    assert (build.path / "tests/__init__.py").read_text() == "whose = 'mine'"
    assert (build.path / "docs/index.md").read_text() == "mine"
    assert (build.path / "extra").read_text() == "mine"
    assert (build.path / "greeter.py").exists()


async def test_a_version_that_cannot_be_had_fails_with_the_installers_reason(bench: Bench) -> None:
    foreign = package_files("greeter", "1.0", {"greeter.py": ""}, FOREIGN_TAG)
    message = await bench.refusal({"main.py": "", **foreign})
    assert "greeter" in message
    assert "requirements are unsatisfiable" in message
    assert str(bench.root) not in message
    assert bench.builds() == []
    assert bench.unfinished() == []


async def test_a_record_cannot_reach_out_of_the_folder(bench: Bench) -> None:
    write_wheel(bench.wheels, "greeter", "1.0", {"greeter.py": ""})
    victim = bench.root.parent / "victim.txt"
    victim.write_text("precious")
    for path in (str(victim), f"x/../../../../../../../../../../{victim}"):
        foreign = package_files("greeter", "1.0", {path: "precious"}, FOREIGN_TAG)
        files = {"main.py": "", **{name: text for name, text in foreign.items() if name != path}}
        await bench.build(files)
        assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["-r /etc/passwd", "x\n-r /etc/passwd", "", "x @ file:///etc/passwd"])
async def test_a_vendored_name_that_is_no_name_is_refused(bench: Bench, name: str) -> None:
    foreign = {"x-1.0.dist-info/METADATA": f"Name: {name}\nVersion: 1.0\n\n", "main.py": ""}
    message = await bench.refusal(foreign)
    assert "root:" not in message


async def test_requirements_are_installed_with_what_they_need(bench: Bench) -> None:
    write_wheel(
        bench.wheels, "greeter", "1.5", {"greeter.py": "import words\nword = words.hello"}, "words>=2"
    )
    write_wheel(bench.wheels, "words", "2.1", {"words.py": "hello = 'hello'"})
    build = await bench.build(
        {"main.py": "import greeter; print(greeter.word)", "requirements.txt": "greeter>1"}
    )
    assert run_inside(build) == "hello"
    assert build.notes == ("installed the packages of requirements.txt",)


async def test_a_projects_dependencies_are_installed_beside_its_files(bench: Bench) -> None:
    write_wheel(bench.wheels, "greeter", "1.0", {"greeter.py": "", "config.py": "whose = 'package'"})
    project = '[project]\nname = "agent"\nversion = "1"\ndependencies = ["greeter"]\n[tool.uv]\nno-index = 3'
    main = "import greeter, config; print(config.whose)"
    build = await bench.build({"main.py": main, "config.py": "whose = 'mine'", "pyproject.toml": project})
    assert run_inside(build) == "mine"


async def test_an_archive_cannot_bring_records_into_the_packages_folder(bench: Bench) -> None:
    write_wheel(bench.wheels, "greeter", "1.0", {"greeter.py": ""})
    files = {"main.py": "", "requirements.txt": "greeter", ".innkeeper-packages/greeter.py": ""}
    assert ".innkeeper-packages" in await bench.refusal(files)


async def test_source_packages_are_not_run_on_the_server(bench: Bench) -> None:
    marker = bench.root.parent / "ran"
    source = bench.root.parent / "greeter-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w')")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: greeter\nVersion: 1.0\n")
    packed = shutil.make_archive(str(bench.wheels / "greeter-1.0"), "gztar", source.parent, "greeter-1.0")
    assert Path(packed).exists()
    message = await bench.refusal({"main.py": "", "requirements.txt": "greeter"})
    assert "building from source is disabled" in message
    assert not marker.exists()


async def test_opentelemetrys_launcher_wraps_the_program(bench: Bench) -> None:
    launcher = "import os, sys; print('traced', flush=True); os.execv(sys.argv[1], sys.argv[1:])"
    distro = package_files("opentelemetry_distro", "1.0", {"bin/opentelemetry-instrument": launcher})
    entry = ["opentelemetry-instrument", "main.py"]
    traced = await bench.build({"main.py": "print('main')", **distro}, entry)
    assert run_inside(traced).split() == ["traced", "main"]
    plain = await bench.build({"main.py": "print('main')"}, entry)
    assert run_inside(plain) == "main"
    assert [note for note in plain.notes if "opentelemetry-distro" in note]


@pytest.mark.parametrize(
    "entry_point",
    [["app.py"], ["../main.py"], ["/etc/passwd"], ["pkg"], ["sh", "main.py"], ["a\0b"], [""]],
)
async def test_an_entry_point_that_is_not_there_is_refused(bench: Bench, entry_point: list[str]) -> None:
    message = await bench.refusal({"main.py": "", "pkg/__init__.py": ""}, entry_point)
    assert "main.py" in message or "entryPoint must be" in message


async def test_limits_hold_for_the_archive_and_for_its_packages(tmp_path: Path, bench: Bench) -> None:
    write_wheel(bench.wheels, "big", "1.0", {"big.py": "#" * 2_000_000})
    message = await bench.refusal({"main.py": "", "requirements.txt": "big"})
    assert "with its packages" in message
    small = Builder(bench.root, BuildLimits(archive_bytes=10), Interpreters())
    with pytest.raises(BuildFailed, match="10 are allowed"):
        await small.build(bench.archive({"main.py": ""}), RUNTIME, MAIN)


async def test_the_same_archive_is_built_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []

    def counted(archive: Path, target: Path, limits: BuildLimits) -> None:
        unpacked.append(archive)
        unpack(archive, target, limits)

    monkeypatch.setattr("innkeeper.services.builder.service.unpack", counted)
    files = {"main.py": "print(1)"}
    builds = await asyncio.gather(*(bench.build(files) for _ in range(5)))
    again = await bench.build(files)
    assert len(unpacked) == 1
    assert {build.path for build in (*builds, again)} == {again.path}


async def test_a_build_is_found_again_without_its_archive(bench: Bench) -> None:
    built = await bench.build({"main.py": ""})
    restarted = Builder(bench.root, BuildLimits(), Interpreters())
    assert await restarted.find(built.digest, RUNTIME, MAIN) == built
    assert await restarted.find("0" * 64, RUNTIME, MAIN) is None


async def test_a_build_that_hangs_is_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.delenv("UV_NO_INDEX")
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        builder = Builder(bench.root, BuildLimits(timeout_seconds=2), Interpreters())
        archive = bench.archive({"main.py": "", "requirements.txt": "greeter"})
        with pytest.raises(BuildFailed, match="longer than 2 s"):
            await builder.build(archive, RUNTIME, MAIN)
        task = asyncio.create_task(builder.build(archive, RUNTIME, MAIN))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert bench.unfinished() == []
    assert bench.builds() == []


async def test_what_a_crash_left_is_swept(bench: Bench) -> None:
    left = bench.root / "unfinished/abc/build/code"
    left.mkdir(parents=True)
    await bench.builder.sweep()
    assert bench.unfinished() == []
    await bench.builder.sweep()


async def test_old_unused_builds_are_pruned(bench: Bench) -> None:
    kept, old, recent = [await bench.build({"main.py": f"print({number})"}) for number in range(3)]
    for build in (kept, old):
        os.utime(build.path.parent, (0, 0))
    await bench.builder.prune({kept.digest})
    assert bench.builds() == sorted((kept.digest, recent.digest))
    assert bench.unfinished() == []


async def test_node_code_runs_with_what_it_brings(bench: Bench) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node.js")
    files = {
        "main.js": "console.log(require('greeter'))",
        "node_modules/greeter/index.js": "module.exports = 'hi'",
    }
    build = await bench.builder.build(bench.archive(files), "NODE_22", ["main.js"])
    assert run_inside(build) == "hi"
