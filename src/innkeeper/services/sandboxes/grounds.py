"""What sandboxes stand on: the programs and packages of a template, made once, mounted read-only."""

import asyncio
import contextlib
import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from innkeeper.engines.images.image import ImageError
from innkeeper.engines.images.roots import Roots
from innkeeper.engines.sandbox.sandbox import Mount, SandboxSpec
from innkeeper.kernel.errors import NotFound, Unavailable
from innkeeper.services.builder.model import DENO_FOLDER, TASK_FOLDER, Build, BuildFailed, Layer
from innkeeper.services.builder.service import Builder
from innkeeper.services.sandboxes.install_scripts import InstallScripts
from innkeeper.services.sandboxes.model import BASE_TEMPLATE, BUILT_IN, CODE_TEMPLATE, HOME, TemplateSpec

_BIN = "/opt/innkeeper-bin"
_MODULES = "/node_modules"  # at the root, where Node.js finds it from every folder
_PYTHON, _NODE = "PYTHON_3_12", "NODE_22"
_NODE_FILES = {"start.js": ""}
# The members of a template that make its ground.
_GROUND = ("base", "pip", "npm", "apt", "image", "start", "ready")
# Those that are named only where they are not as they were before there was a choice.
_CHOSEN = ("home", "folders", "working_directory", "scripts")
_PLAIN = TemplateSpec()
_ENVIRONMENT = {
    # What is installed inside goes into a folder of its own, and counts.
    "PYTHONNOUSERSITE": "",
    "PIP_USER": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "MPLCONFIGDIR": "/tmp/matplotlib",  # noqa: S108 (the sandbox's own)
}


@dataclass(frozen=True, slots=True)
class Ground:
    """`start` and `ready` are the commands of a template's sandboxes that have no processes yet; `layers` the
    packages, by who manages them, that were installed for it."""

    mounts: Sequence[Mount]
    environment: Mapping[str, str]
    start: str = ""
    ready: str = ""
    layers: Mapping[str, Layer] = field(default_factory=dict)
    working_directory: str = HOME
    folders: Sequence[str] = (HOME,)

    @property
    def over(self) -> list[Path]:
        """What is laid over the host's programs."""
        return [self.layers["apt"].path] if "apt" in self.layers else []

    @property
    def root(self) -> Path | None:
        """What is in their place."""
        return self.layers["image"].path if "image" in self.layers else None


class Grounds:
    """`root` holds the programs that we write for sandboxes; `packages` are those of `code-interpreter`, and
    `programs` a folder of the host that it has at `/opt/innkeeper`."""

    def __init__(
        self,
        builder: Builder,
        scripts: InstallScripts,
        images: Roots,
        root: Path,
        packages: Sequence[str],
        programs: Path,
    ) -> None:
        self._builder = builder
        self._scripts = scripts
        self._images = images
        self._bin = root / "bin"
        self._declared = root / "grounds"
        self._packages = packages
        self._programs = programs
        self._making: dict[str, asyncio.Task[Ground]] = {}

    async def find(self, template: str) -> Ground:
        """Found, or made now: the first time may take minutes. Raises NotFound, Unavailable.

        A caller who gives up does not end the work for the others.
        """
        making = self._making.get(template)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            spec = await asyncio.to_thread(self._spec, template)
            self._making[template] = making = asyncio.create_task(self._make(spec))
        try:
            return await asyncio.shield(making)
        except (BuildFailed, ImageError) as error:
            raise Unavailable(f"Template {template} could not be made: {error}") from error

    async def declare(self, spec: TemplateSpec) -> str:
        """The ground of a template, to be found by what this gives. The same for the same packages and
        commands; it is on disk, so that sandboxes that stand on it outlive the server."""
        members = [*_GROUND, *(one for one in _CHOSEN if getattr(spec, one) != getattr(_PLAIN, one))]
        members += ["network"] if spec.scripts else []  # they have the template's
        told = json.dumps({member: getattr(spec, member) for member in members})
        name = f"{spec.base}-{hashlib.sha256(told.encode()).hexdigest()[:20]}"
        await asyncio.to_thread(_declare, self._declared / name, told)
        return name

    async def images(self, grounds: Iterable[str]) -> set[str]:
        """The digests of the container images among these grounds."""
        return await asyncio.to_thread(lambda: {self._spec(one).image for one in grounds if self._known(one)})

    async def prune(self, grounds: set[str]) -> int:
        """Remove the packages that neither these nor the built-in ones stand on; their bytes. Nothing may be
        declared meanwhile. Raises BuildFailed where it cannot be known."""
        if await self._builder.is_empty():
            return 0
        keep: set[str] = set()
        for spec in await asyncio.to_thread(lambda: [self._spec(one) for one in grounds if self._known(one)]):
            keep |= await self._names(spec)
        for name in BUILT_IN:
            keep |= await self._names(TemplateSpec(name))
        for name in self._making.keys() - grounds - {*BUILT_IN}:
            del self._making[name]  # it may be made anew, for another template with the same packages
        removed = await self._builder.prune(keep, 0)
        if removed:
            await self._builder.forget_fetched()
        return removed

    async def _names(self, spec: TemplateSpec) -> set[str]:
        if spec.image:
            return set()
        names = await self._builder.layer_names(spec.npm, _kind(spec), spec.apt)
        names.add(await self._builder.name(self._python(spec), _PYTHON))
        names.add(await self._builder.deno_name())
        with contextlib.suppress(BuildFailed):  # there is no Node.js, so there is no build for it
            names.add(await self._builder.name(_NODE_FILES, _NODE))
        return names

    def _python(self, spec: TemplateSpec) -> dict[str, str]:
        """The files of its Python's build."""
        packages = [*(self._packages if spec.base == CODE_TEMPLATE else ()), *spec.pip]
        return {"start.py": "", "requirements.txt": "\n".join(packages)}

    async def close(self) -> None:
        for making in self._making.values():
            making.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)

    def _known(self, ground: str) -> bool:
        return ground in BUILT_IN or bool(ground and (self._declared / ground).is_file())

    def _spec(self, template: str) -> TemplateSpec:
        if template in BUILT_IN:
            return TemplateSpec(template)
        try:
            told = json.loads((self._declared / template).read_text("utf-8"))
        except FileNotFoundError as error:
            raise NotFound(f"Template or snapshot {template} does not exist") from error
        return TemplateSpec.of(told)

    async def _run_scripts(self, network: str, folder: Path) -> Sequence[str]:
        base = await self.find(BASE_TEMPLATE)
        told = SandboxSpec("base", mounts=base.mounts, environment=base.environment)
        return await self._scripts.run(told, network, folder)

    async def _of_image(self, spec: TemplateSpec) -> Ground:
        root = await self._images.find(spec.image)
        image = root.image
        layer = Layer(root.path, image.size_bytes, {"digest": f"sha256:{image.digest}"}, image.notes)
        folder = image.defaults.working_directory
        return Ground(
            [],
            image.defaults.environment,
            spec.start,
            spec.ready,
            {"image": layer},
            spec.working_directory or (folder if folder.startswith("/") and folder != "/" else HOME),
            (HOME, *spec.folders),
        )

    async def _make(self, spec: TemplateSpec) -> Ground:
        if spec.image:
            return await self._of_image(spec)
        python = await self._builder.prepare(self._python(spec), _PYTHON, "start.py")
        programs = python.launch.argv[0]
        needed = set(python.launch.mounts)
        node: Build | None = None
        with contextlib.suppress(BuildFailed):  # a host without Node.js has sandboxes without it
            node = await self._builder.prepare(_NODE_FILES, _NODE, "start.js")
            needed.update(node.launch.mounts)
        folder = self._bin / spec.base
        mounts = [Mount(python.path, TASK_FOLDER), Mount(folder, _BIN)]
        others = {"node": node.launch.argv[0]} if node else {}
        with contextlib.suppress(BuildFailed):  # then its TypeScript is Node.js's
            deno = await self._builder.deno()
            needed.update(deno.launch.mounts)
            mounts.append(Mount(deno.path, DENO_FOLDER))
            others["deno"] = deno.launch.argv[0]
        await asyncio.to_thread(_write_programs, folder, programs, others)
        mounts += [Mount(folder, str(folder)) for folder in sorted(needed)]
        if spec.base == CODE_TEMPLATE:
            mounts.append(Mount(self._programs, "/opt/innkeeper"))
        layers: dict[str, Layer] = {}
        if spec.pip:
            layers["pip"] = await self._builder.packages(python)
        if spec.npm:
            scripts = partial(self._run_scripts, spec.network) if spec.scripts else None
            layers["npm"] = await self._builder.npm(spec.npm, _kind(spec), scripts)
            mounts.append(Mount(layers["npm"].path / "node_modules", _MODULES))
        if spec.apt:
            layers["apt"] = await self._builder.apt(spec.apt)
        for mount in mounts:
            if any(mount.target.startswith(f"{folder}/") for folder in spec.folders):
                raise BuildFailed(f"{mount.target} is the system's own: write to another folder")
        environment = {**python.launch.environment, **_environment(spec.home)}
        folder_inside = spec.working_directory or spec.home
        folders = (spec.home, *spec.folders)
        return Ground(mounts, environment, spec.start, spec.ready, layers, folder_inside, folders)


def _environment(home: str) -> dict[str, str]:
    path = f"{_BIN}:{home}/.local/bin:{_MODULES}/.bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return {**_ENVIRONMENT, "PATH": path, "HOME": home, "PYTHONUSERBASE": f"{home}/.local"}


def _kind(spec: TemplateSpec) -> str:
    """How install scripts are run, if they are."""
    return f"-scripts-{spec.network}" if spec.scripts else ""


def _declare(path: Path, told: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}-{uuid4().hex}")
        draft.write_text(told, "utf-8")
        draft.rename(path)


_SUDO = """#!/bin/sh
# There is one user inside, and nothing gives more rights: the command runs as that one.
while [ $# -gt 0 ]; do
    case "$1" in
        -u | --user)
            case "$2" in root | user | agent) shift ;; *) echo "sudo: unknown user: $2" >&2; exit 1 ;; esac ;;
        --) shift; break ;;
        -*) ;;
        *=*) export "$1" ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- /bin/sh
exec "$@"
"""


def _write_programs(folder: Path, python: str, others: Mapping[str, str]) -> None:
    """Interpreters as people call them, wherever they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    programs = {"python": [python], "python3": [python], "pip": [python, "-m", "pip"]}
    programs |= {"pip3": programs["pip"], **{name: [path] for name, path in others.items()}}
    texts = {name: f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n' for name, words in programs.items()}
    for name, text in {**texts, "sudo": _SUDO}.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            draft = folder / f".{name}"
            draft.write_text(text)
            draft.chmod(0o755)
            draft.rename(path)
