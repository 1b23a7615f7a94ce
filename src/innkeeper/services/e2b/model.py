"""The words of E2B's API: users and paths, states, documents, and the rules for what a client may ask."""

import base64
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest
from innkeeper.services.e2b import network
from innkeeper.services.e2b.build import shown
from innkeeper.services.sandboxes.model import (
    BASE_TEMPLATE,
    CODE_TEMPLATE,
    DEFAULT_TIMEOUT_SECONDS,
    OTHER_HOME,
    NewSandbox,
    OnTimeout,
    SandboxRecord,
    SandboxState,
)

HOME = OTHER_HOME
ENVD_PORT, CODE_PORT = 49983, 49999
ENVD_VERSION = "0.5.7"
"""The version of E2B's daemon whose features we have: clients ask for no later ones."""
CLIENT_ID = "innkeeper"
LANGUAGES = {"python": "python", "javascript": "node", "typescript": "deno", "bash": "bash"}
"""What runs each language."""
LANGUAGE_NAMES = {"py": "python", "js": "javascript", "ts": "typescript"}
"""What clients call them too."""
ENVIRONMENT = {"HOME": HOME, "USER": "user", "LOGNAME": "user"}

BUILT_IN = (BASE_TEMPLATE, CODE_TEMPLATE)
_TEMPLATES = {"code-interpreter-v1": CODE_TEMPLATE}
"""What E2B calls differently."""
_USERS = ("", "user", "root", "agent")
_PATH_MAX_BYTES = 4096
_ID = re.compile(r"[a-z0-9]{20}")
_SHOWN_MAX = 128


class Refused(InnkeeperError):
    """A request that E2B's clients know by its status alone."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def not_running(sandbox_id: str) -> Refused:
    """The words are those by which clients tell that a sandbox is gone or asleep."""
    return Refused(502, f"The sandbox {sandbox_id[:_SHOWN_MAX]} was not found")


@dataclass(frozen=True, slots=True)
class Target:
    """Which port of which sandbox a request is for."""

    sandbox_id: str
    port: int


def target_of(sandbox_id: str, port: str) -> Target:
    """Raises Refused."""
    if not _ID.fullmatch(sandbox_id):
        raise not_running(sandbox_id)
    if not (port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) < 65536):
        raise Refused(400, "E2b-Sandbox-Port must be a port's number")
    return Target(sandbox_id, int(port))


def check_user(user: str) -> None:
    """All names are one user inside. Raises InvalidRequest."""
    if user not in _USERS:
        known = ", ".join(name for name in _USERS if name)
        raise InvalidRequest(f"there is no user {user[:_SHOWN_MAX]!r} in the sandbox; known are {known}")


def user_of(authorization: str) -> str:
    """The name in a Basic header, which clients send without a password; empty when there is none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


def path_of(path: str) -> str:
    """An absolute path inside; `~` and relative ones begin at home. Raises InvalidRequest."""
    if "\0" in path or len(path.encode(errors="surrogatepass")) > _PATH_MAX_BYTES:
        raise InvalidRequest(f"a path has at most {_PATH_MAX_BYTES} bytes, and no NUL")
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return posixpath.normpath(posixpath.join(HOME, path))


def template_of(named: str) -> str:
    """What we call it."""
    return _TEMPLATES.get(named, named)


def new_sandbox(body: Mapping[str, Any]) -> NewSandbox:
    """What a request to create one asks for. Raises InvalidRequest."""
    for name in ("mcp", "iam", "volumeMounts"):
        if body.get(name):
            raise InvalidRequest(f"`{name}` is not supported")
    template = template_of(_member(body, "templateID", str, BASE_TEMPLATE))
    return NewSandbox(
        template=template,
        timeout_seconds=timeout(body),
        metadata=_texts(body, "metadata"),
        environment=_texts(body, "envVars"),
        network=_network(body, "public" if template in BUILT_IN else None),
        on_timeout=_on_timeout(body),
        home=HOME,
    )


def _on_timeout(body: Mapping[str, Any]) -> OnTimeout:
    if not _member(body, "autoPause", bool, False):
        return OnTimeout.KILL
    if not _member(body, "autoPauseMemory", bool, True):
        raise InvalidRequest("a sandbox is paused with its memory: mode must be full")
    return OnTimeout.WAKE if _member(body, "autoResume", dict, {}).get("enabled") is True else OnTimeout.PAUSE


def timeout(body: Mapping[str, Any]) -> int:
    """Raises InvalidRequest."""
    seconds: int = _member(body, "timeout", int, DEFAULT_TIMEOUT_SECONDS)
    return seconds


def public_ports(body: Mapping[str, Any]) -> bool | None:
    """Whether the sandbox's own ports are to be reached without a token, if the request says so."""
    asked = _member(body, "network", dict, {}).get("allowPublicTraffic")
    return asked if isinstance(asked, bool) else None


def created(record: SandboxRecord, envd_token: str, traffic_token: str, domain: str) -> Document:
    return {
        "templateID": shown(record.template),
        "sandboxID": record.id,
        "clientID": CLIENT_ID,
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": envd_token,
        "trafficAccessToken": traffic_token,
        "domain": domain or None,
    }


def detailed(record: SandboxRecord) -> Document:
    kills = record.on_timeout is OnTimeout.KILL
    return {
        **listed(record),
        "allowInternetAccess": record.network != "none",
        "lifecycle": {
            "onTimeout": "kill" if kills else "pause",
            "autoResume": record.on_timeout is OnTimeout.WAKE,
        },
    }


def listed(record: SandboxRecord) -> Document:
    return {
        "templateID": shown(record.template),
        "sandboxID": record.id,
        "clientID": CLIENT_ID,
        "startedAt": record.started_at.isoformat(),
        "endAt": record.ends_at.isoformat(),
        "cpuCount": max(1, round(record.limits.cpu_cores)),
        "memoryMB": record.limits.memory_mib,
        "diskSizeMB": 0,
        "state": "running" if record.state is SandboxState.RUNNING else "paused",
        "envdVersion": ENVD_VERSION,
        "metadata": dict(record.metadata),
    }


def _network(body: Mapping[str, Any], default: str | None) -> str | None:
    """None: as the snapshot has it that the sandbox is made from."""
    allowed = _member(body, "allow_internet_access", bool, None)
    if network.has_rules(_member(body, "network", dict, {})):
        return "listed"
    if allowed is None:
        return default
    return "public" if allowed else "none"


def _texts(body: Mapping[str, Any], name: str) -> dict[str, str]:
    texts: dict[str, str] = _member(body, name, dict, {})
    if not all(isinstance(value, str) for value in texts.values()):
        raise InvalidRequest(f"`{name}` must map texts to texts")
    return texts


def _member(body: Mapping[str, Any], name: str, kind: type[Any], default: Any) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidRequest(f"`{name}` is not of the right type")
    return value
