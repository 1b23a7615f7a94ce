"""Sandboxes that people and agents ask for by themselves, their snapshots, and the rules for both."""

import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from innkeeper.kernel.errors import FieldError, InvalidRequest

BASE_TEMPLATE = "base"
CODE_TEMPLATE = "code-interpreter"
IMAGE_TEMPLATE = "image"
BUILT_IN = (BASE_TEMPLATE, CODE_TEMPLATE)
HOME, OTHER_HOME = "/home/agent", "/home/user"
"""Where a sandbox's home can be. The other is then a link to it."""
DEFAULT_TIMEOUT_SECONDS = 300
FORKS_MAX = 100

_ID_CHARACTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 20
_NETWORKS = ("none", "public", "listed")
_TEXTS_MAX = 64
_TEXT_MAX_CHARACTERS = 4096
_KEY = re.compile(r'[^"\\\x00-\x1f]{1,128}')
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PIP_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?([=<>!~]=?[A-Za-z0-9.*+!,=<>~]+)?"
)
_NPM_PACKAGE = re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-zA-Z0-9][a-zA-Z0-9._-]*(@[A-Za-z0-9.*+<>=^~-]+)?")
_APT_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](=[A-Za-z0-9.+:~-]+)?")
_SCRIPT_MAX_CHARACTERS = 16_384
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class SandboxState(StrEnum):
    """`PAUSED` keeps its memory and uses no processor; `HIBERNATED` is on disk alone."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    HIBERNATED = "HIBERNATED"
    TERMINATED = "TERMINATED"


class OnTimeout(StrEnum):
    """What happens when a sandbox's time is over. `WAKE`: it is paused, and whatever E2B's clients do in it
    wakes it, as all that other clients do wakes any."""

    KILL = "kill"
    PAUSE = "pause"
    WAKE = "wake"


class SnapshotKind(StrEnum):
    """`MEMORY`: processes, memory and files. `FILES`: what is in its own folders and /tmp."""

    MEMORY = "memory"
    FILES = "files"


class TemplateState(StrEnum):
    BUILDING = "BUILDING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    cpu_cores: float
    memory_mib: int


@dataclass(frozen=True, slots=True)
class NewSandbox:
    """`template` is a template's name, or a snapshot's name or id. `network` is `none`, `public` or
    `listed`; without, it is that of the snapshot, or `none`. Without `limits` it gets all that the operator
    allows. `home` is where a built-in template has it."""

    template: str = BASE_TEMPLATE
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    metadata: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str | None = None
    limits: SandboxLimits | None = None
    on_timeout: OnTimeout = OnTimeout.KILL
    home: str = HOME


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    """`template` is the name that it was made from, `ground` what it stands on; `image` is what it can be
    woken from, on disk; `environment` and `egress` are sealed. CPU seconds and memory are those until it was
    last hibernated or ended: `Sandboxes.usage` knows those of now."""

    account: str
    id: str
    template: str
    ground: str
    state: SandboxState
    metadata: Mapping[str, str]
    network: str
    limits: SandboxLimits
    on_timeout: OnTimeout
    timeout_seconds: int
    host: str
    started_at: datetime
    ends_at: datetime
    changed_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None
    image: str | None = None
    image_bytes: int = 0
    environment: bytes | None = field(default=None, repr=False)
    egress: bytes | None = field(default=None, repr=False)
    cpu_seconds: float = 0.0
    memory_peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A durable copy of a sandbox. `template` and `ground` are those of that one."""

    account: str
    id: str
    name: str | None
    sandbox: str
    template: str
    ground: str
    network: str
    kind: SnapshotKind
    size_bytes: int
    image: str
    created_at: datetime
    egress: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """`base` is a built-in template; `pip`, `npm` and `apt` name packages of Python, of Node.js and of the
    host's distribution; `scripts` is whether those that npm's have for their installation are run, in a
    sandbox with this network; `files` are texts by their paths. `set_up` runs before `start`, which goes on
    in the background until `ready` succeeds; then runs `warm_up`. All four are shell commands. `image`, in
    the place of base and packages, is where an image's archive lies (`s3://BUCKET/KEY`), then its digest.
    Sandboxes have their home and other `folders` of their own (`/app`), and begin in `working_directory`."""

    base: str = BASE_TEMPLATE
    pip: tuple[str, ...] = ()
    npm: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    scripts: bool = False
    image: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    set_up: str = ""
    start: str = ""
    ready: str = ""
    warm_up: str = ""
    network: str = "none"
    home: str = HOME
    folders: tuple[str, ...] = ()
    working_directory: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "TemplateSpec":
        """Out of JSON that one was put into."""
        lists = {name: tuple(value) for name, value in told.items() if isinstance(value, list)}
        return cls(**{**told, **lists})


@dataclass(frozen=True, slots=True)
class TemplateRecord:
    """`ground` names its packages and its start command; `kind` and `image` are there once it is ready, and
    `resolved`: by package manager, the packages that it got, with their versions and checksums."""

    account: str
    name: str
    id: str
    spec: TemplateSpec
    ground: str
    state: TemplateState
    log: str
    created_at: datetime
    kind: SnapshotKind | None = None
    image: str | None = None
    image_bytes: int = 0
    resolved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """What a new sandbox begins from: a template, the ground that it stands on, and perhaps an image."""

    template: str
    ground: str
    network: str = "none"
    kind: SnapshotKind | None = None
    image: str | None = None
    egress: bytes | None = field(default=None, repr=False)


def network_of(wanted: str | None, source: Source) -> str:
    """The network of a new sandbox. Raises InvalidRequest: that of an image of memory is set."""
    if source.kind is SnapshotKind.MEMORY and wanted not in (None, source.network):
        raise invalid("network", f"the template has network {source.network}, which cannot be changed")
    return wanted or source.network


def check_template(name: str, spec: TemplateSpec) -> None:
    """Raises InvalidRequest naming the member and the rule."""
    check_name(name)
    if spec.image and (spec.base != IMAGE_TEMPLATE or spec.pip or spec.npm or spec.apt):
        raise invalid("image", "has programs and packages of its own: no base, pip, npm or apt beside it")
    if spec.base not in BUILT_IN and not spec.image:
        raise invalid("base", f"must be {' or '.join(BUILT_IN)}")
    if spec.network not in ("none", "public"):
        raise invalid("network", "must be none or public")
    if len(spec.files) > _TEXTS_MAX:
        raise invalid("files", f"has at most {_TEXTS_MAX} entries")
    _check_packages("pip", spec.pip, _PIP_PACKAGE, "==1.2")
    _check_packages("npm", spec.npm, _NPM_PACKAGE, "@1.2")
    _check_packages("apt", spec.apt, _APT_PACKAGE, "=1.2-3")
    for script in (spec.set_up, spec.start, spec.ready, spec.warm_up):
        if len(script) > _SCRIPT_MAX_CHARACTERS:
            raise invalid(
                "setUp, start, ready, warmUp", f"have at most {_SCRIPT_MAX_CHARACTERS} characters each"
            )


def new_id() -> str:
    """20 lowercase letters and digits, so that it can stand in a host name."""
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))


def check_new(new: NewSandbox, most: SandboxLimits, max_timeout_seconds: int) -> SandboxLimits:
    """The limits that it gets. Raises InvalidRequest naming the member and the rule."""
    check_timeout(new.timeout_seconds, max_timeout_seconds)
    _check_texts("metadata", new.metadata, _KEY, 'keys have 1 to 128 characters, without " and \\')
    _check_texts("environment", new.environment, _VARIABLE, "names are letters, digits and _")
    if new.network not in (None, *_NETWORKS):
        raise invalid("network", f"must be one of {', '.join(_NETWORKS)}")
    limits = new.limits or most
    if not 0 < limits.cpu_cores <= most.cpu_cores:
        raise invalid("limits.cpuCores", f"must be more than 0 and at most {most.cpu_cores:g}")
    if not 16 <= limits.memory_mib <= most.memory_mib:
        raise invalid("limits.memoryMib", f"must be 16 to {most.memory_mib}")
    return limits


def check_timeout(seconds: int, most: int) -> None:
    if not 1 <= seconds <= most:
        raise invalid("timeoutSeconds", f"must be 1 to {most}")


def check_name(name: str) -> None:
    """Of a template or a snapshot."""
    if not _NAME.fullmatch(name):
        raise invalid("name", "must be 1 to 63 lowercase letters, digits, ., _ and -, and begin with no mark")


def check_filter(metadata: Mapping[str, str]) -> None:
    _check_texts("metadata", metadata, _KEY, 'keys have 1 to 128 characters, without " and \\')


def invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))


def _check_packages(member: str, packages: Sequence[str], form: re.Pattern[str], version: str) -> None:
    if len(packages) > _TEXTS_MAX:
        raise invalid(member, f"has at most {_TEXTS_MAX} entries")
    if not all(map(form.fullmatch, packages)):
        raise invalid(member, f"must be names of packages, with versions such as {version} if need be")


def _check_texts(member: str, texts: Mapping[str, str], key: re.Pattern[str], rule: str) -> None:
    if len(texts) > _TEXTS_MAX:
        raise invalid(member, f"has at most {_TEXTS_MAX} entries")
    for name, value in texts.items():
        if not key.fullmatch(name):
            raise invalid(member, rule)
        if len(value) > _TEXT_MAX_CHARACTERS or "\0" in value:
            raise invalid(member, f"values have at most {_TEXT_MAX_CHARACTERS} characters, and no NUL")
