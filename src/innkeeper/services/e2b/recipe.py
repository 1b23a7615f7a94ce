"""What a template build of E2B's SDK asks for, and what of it is packages, folders and commands to us.

Packages that its steps install by name become part of the template's ground, like those of any template: only
the other steps run inside, where the system's own folders cannot be written.
"""

import posixpath
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.e2b.installs import APT, NPM, PIP, installed
from innkeeper.services.e2b.model import BUILT_IN, HOME, check_user, template_of
from innkeeper.services.sandboxes.model import BASE_TEMPLATE, TemplateSpec

OURS = {"e2bdev/base": BASE_TEMPLATE, "e2bdev/code-interpreter": template_of("code-interpreter-v1")}
STAND_INS = ("python", "node", "debian", "ubuntu")
"""Images whose programs the server's own can stand in for."""

_STEPS_MAX = 500
_FOLDERS_MAX = 16
_TEXT_MAX = 16_384
_HASH = re.compile(r"[0-9a-f]{64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_MODE = re.compile(r"0?[0-7]{3,4}")
_PLACE = re.compile(r"(?<![\w.:/~$}-])/([A-Za-z0-9][A-Za-z0-9._-]{0,62})")
_SYSTEMS = frozenset(
    [
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "node_modules",
        "opt",
        "proc",
        "root",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
    ]
)
_PORT_READY = re.compile(r'\[ -n "\$\(ss -Htuln sport = :(\d{1,5})\)" \]')


@dataclass(frozen=True, slots=True)
class Step:
    """`number` is what its author's SDK knows it by."""

    number: str
    kind: str
    args: tuple[str, ...]
    files: str = ""

    @property
    def shown(self) -> str:
        return f"{self.kind} {' '.join(self.args)}".rstrip()


@dataclass(frozen=True, slots=True)
class Recipe:
    """`image` and `template` are what it begins from; of a template that was built from a recipe, its steps
    are `inherited` and run anew."""

    image: str = ""
    template: str = ""
    steps: tuple[Step, ...] = ()
    start: str = ""
    ready: str = ""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Recipe":
        """Out of the SDK's JSON. Raises InvalidRequest naming what cannot be done."""
        registry = body.get("fromImageRegistry")
        if registry:
            raise InvalidRequest("images of private registries are not pulled: `innkeeper templates import`")
        steps = body.get("steps") or []
        if not isinstance(steps, list) or len(steps) > _STEPS_MAX:
            raise InvalidRequest(f"`steps` must be a list of at most {_STEPS_MAX}")
        image, template = _text(body, "fromImage"), _text(body, "fromTemplate")
        if bool(image) == bool(template):
            raise InvalidRequest("one of `fromImage` and `fromTemplate` is needed")
        read = tuple(_step(number, told) for number, told in enumerate(steps, 1))
        return cls(image, template, read, _text(body, "startCmd"), _text(body, "readyCmd"))

    @classmethod
    def kept(cls, told: Mapping[str, Any]) -> "Recipe":
        """Out of JSON that one was put into."""
        steps = (Step(**{**step, "args": tuple(step["args"])}) for step in told["steps"])
        return cls(**{**told, "steps": tuple(steps)})

    def after(self, parent: "Recipe") -> "Recipe":
        """With all that another does before it."""
        inherited = (replace(step, number="base") for step in parent.steps)
        start = self.start or self.ready
        return Recipe(
            parent.image,
            parent.template,
            (*inherited, *self.steps),
            self.start if start else parent.start,
            self.ready if start else parent.ready,
        )

    @property
    def files(self) -> set[str]:
        return {step.files for step in self.steps if step.files}


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` are those that run inside, `notes` what is not as its author may think."""

    spec: TemplateSpec
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Setting:
    """What steps before it have set for a step."""

    folder: str = HOME
    variables: dict[str, str] = field(default_factory=dict)

    def take(self, step: Step) -> bool:
        """Whether it was such a step, and nothing else."""
        if step.kind == "ENV":
            self.variables |= dict(zip(step.args[::2], step.args[1::2], strict=True))
        elif step.kind == "WORKDIR":
            self.folder = self.inside(step.args[0])
        return step.kind in ("ENV", "USER")

    def inside(self, path: str) -> str:
        """An absolute path."""
        path = HOME + path[1:] if path == "~" or path.startswith("~/") else path
        return posixpath.normpath(posixpath.join(self.folder, path))


def plan(recipe: Recipe) -> Plan:
    """Raises InvalidRequest for what it begins from."""
    base, note = _base(recipe)
    packages: dict[str, list[str]] = {PIP: [], NPM: [], APT: []}
    steps = []
    setting = Setting()
    places: dict[str, None] = {}
    for step in recipe.steps:
        setting.take(step)
        lifted = installed(step.args[0]) if step.kind == "RUN" else None
        if lifted is None:
            steps.append(step)
            places |= dict.fromkeys(_places(step, setting))
            continue
        for manager, names in lifted.items():
            packages[manager] += [name for name in names if name not in packages[manager]]
    places |= dict.fromkeys(_PLACE.findall(recipe.start))
    folders = [f"/{name}" for name in places if name not in _SYSTEMS]
    if len(folders) > _FOLDERS_MAX:
        raise InvalidRequest(f"the steps write to more than {_FOLDERS_MAX} folders of the root")
    notes = [note, *(f"{manager}: {', '.join(names)}" for manager, names in packages.items() if names)]
    spec = TemplateSpec(
        base=base,
        pip=tuple(packages[PIP]),
        npm=tuple(packages[NPM]),
        apt=tuple(packages[APT]),
        start=_begun(recipe.start, setting),
        ready=_begun(_PORT_READY.sub(r"(exec 3<>/dev/tcp/127.0.0.1/\1) 2> /dev/null", recipe.ready), setting),
        network="public",
        home=HOME,
        folders=tuple(folders),
        working_directory=setting.folder,
    )
    return Plan(spec, tuple(steps), tuple(filter(None, notes)))


def _base(recipe: Recipe) -> tuple[str, str]:
    """A built-in template, and what is to be said of it."""
    if recipe.template:
        base = template_of(recipe.template)
        if base not in BUILT_IN:
            raise InvalidRequest(
                f"a template can begin from those of E2B's SDK and {', '.join(BUILT_IN)}, not {base[:64]}"
            )
        return base, ""
    name, _, tag = recipe.image.removeprefix("docker.io/").removeprefix("library/").partition(":")
    if name in OURS:
        return OURS[name], ""
    if name in STAND_INS:
        return (
            BASE_TEMPLATE,
            f"{name}:{tag or 'latest'} is not pulled: this server's own programs stand in for it",
        )
    raise InvalidRequest(
        f"the image {recipe.image[:128]!r} is not pulled: begin from {', '.join((*OURS, *STAND_INS))}; "
        "`innkeeper templates import` makes a template of it, which E2B's SDK can use but not build on"
    )


def _begun(command: str, setting: Setting) -> str:
    """With what the steps have set."""
    if not command:
        return ""
    exports = (f"export {name}={shlex.quote(value)}" for name, value in setting.variables.items())
    return "\n".join((*exports, f"cd {shlex.quote(setting.folder)} || exit", command))


def _places(step: Step, setting: Setting) -> list[str]:
    """Names at the root that a step may write to."""
    if step.kind == "WORKDIR":
        return _PLACE.findall(setting.folder)
    if step.kind == "COPY":
        return _PLACE.findall(setting.inside(step.args[1]))
    return _PLACE.findall(step.args[0]) if step.kind == "RUN" else []


def _step(number: int, told: Any) -> Step:
    if not isinstance(told, dict):
        raise InvalidRequest("a step must be an object")
    args = told.get("args") or []
    if not isinstance(args, list) or not all(isinstance(one, str) and "\0" not in one for one in args):
        raise InvalidRequest("the arguments of a step must be texts")
    step = Step(str(number), str(told.get("type")), tuple(args), _text(told, "filesHash"))
    if any(len(one) > _TEXT_MAX for one in args):
        raise InvalidRequest(f"step {number}: an argument has at most {_TEXT_MAX} characters")
    wrong = _wrong(step)
    if wrong:
        raise InvalidRequest(f"step {number}, {step.kind[:16]}: {wrong}")
    if (step.kind == "USER" or (len(args) > 1 and step.kind == "RUN")) and args[-1]:
        check_user(args[-1])
    return step


def _wrong(step: Step) -> str:
    """Why it cannot be done, if it cannot."""
    count = len(step.args)
    if step.kind == "COPY":
        if count < 2 or not all(step.args[:2]) or not _HASH.fullmatch(step.files):
            return "needs a source, a destination and its files"
        mode = step.args[3] if count > 3 else ""
        return "" if not mode or _MODE.fullmatch(mode) else "the mode must be octal, such as 0755"
    if step.kind == "ENV":
        named = all(map(_VARIABLE.fullmatch, step.args[::2]))
        return "" if count % 2 == 0 and named else "needs names of variables, each with a value"
    if step.kind in ("RUN", "WORKDIR", "USER"):
        return "" if count and step.args[0] else "needs an argument"
    return "is not supported; use COPY, ENV, RUN, USER or WORKDIR"


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name) or ""
    if not isinstance(value, str) or "\0" in value or len(value) > _TEXT_MAX:
        raise InvalidRequest(f"`{name}` must be a text of at most {_TEXT_MAX} characters")
    return value
