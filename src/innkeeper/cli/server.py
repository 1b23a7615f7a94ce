"""Finding the running server through what it leaves in its data folder: `server.json` and `credentials`."""

import configparser
import http.client
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from innkeeper.cli.failure import CommandFailed

if TYPE_CHECKING:
    from innkeeper.settings import Settings

HEALTH_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers, and the root access key that its data folder holds; `sandboxes` says by which
    driver they are."""

    url: str
    pid: int
    version: str
    sandboxes: str
    data_dir: Path
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str


def load_settings(data_dir: Path | None = None, **given: Any) -> "Settings":
    """The settings in force here, options of the command line first."""
    from pydantic import ValidationError

    from innkeeper.settings import Settings

    options = {name: value for name, value in given.items() if value is not None}
    if data_dir is not None:
        options["data_dir"] = data_dir.expanduser().absolute()
    try:
        return Settings(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise CommandFailed(f"setting {name}: {first['msg']}; see docs/reference/settings.md") from error


def find(data_dir: Path | None) -> Server:
    """The server of this data folder. Raises CommandFailed when none answers."""
    folder = load_settings(data_dir).data_dir
    server = running(folder)
    if server is None:
        raise CommandFailed(f"no server is running on {folder}; start one: innkeeper up --detach")
    return server


def running(folder: Path) -> Server | None:
    try:
        note = json.loads((folder / "server.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CommandFailed(f"{folder / 'server.json'} is not readable; remove it") from error
    if not process_alive(note["pid"]) or not _healthy(note["url"]):
        return None
    told = (note["url"], note["pid"], note["version"], note.get("sandboxes", ""))
    return Server(*told, folder, *credentials(folder))


def process_alive(pid: int) -> bool:
    """Whether the process runs; one that ended but was not waited for (a zombie) does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _healthy(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port, timeout=HEALTH_TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/-/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("status") == "ok"


def credentials(folder: Path) -> tuple[str, str, str]:
    """Id and secret of the root access key, and the region. Raises CommandFailed."""
    path = folder / "credentials"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text())
        section = parser["default"]
        return section["aws_access_key_id"], section["aws_secret_access_key"], section["region"]
    except FileNotFoundError as error:
        raise CommandFailed(f"{path} is missing; set it back from a copy") from error
    except PermissionError as error:
        raise CommandFailed(f"{path} may not be read; run this as the user who started the server") from error
    except (configparser.Error, KeyError) as error:
        raise CommandFailed(f"{path} holds no [default] access key and region") from error
