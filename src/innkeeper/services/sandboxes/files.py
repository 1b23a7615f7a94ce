"""Files carried into a sandbox and out of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError, SandboxGone
from innkeeper.kernel.errors import Conflict, InvalidRequest, NotFound


async def read(sandbox: Sandbox, path: str, limit_bytes: int) -> bytes:
    """Raises NotFound, InvalidRequest, Conflict."""
    with _told(path):
        return await sandbox.read_file(path, limit_bytes)


async def write(sandbox: Sandbox, path: str, data: bytes) -> None:
    """Folders above it are made. Raises NotFound, InvalidRequest, Conflict."""
    with _told(path):
        await sandbox.write_file(path, data)


@contextmanager
def _told(path: str) -> Iterator[None]:
    if not path or "\0" in path or len(path) > 4096:
        raise InvalidRequest("`path` must be a path of 1 to 4096 characters")
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}") from error
    except IsADirectoryError as error:
        raise InvalidRequest(f"{path} is a folder") from error
    except PermissionError as error:
        raise InvalidRequest(f"{path} may not be touched") from error
    except SandboxGone as error:
        raise NotFound("The sandbox has ended") from error
    except SandboxError as error:
        raise Conflict(str(error)) from error
