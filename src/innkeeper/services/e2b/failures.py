"""Failures from below, in the words of E2B's protocols."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from innkeeper.engines.sandbox.sandbox import SandboxError, SandboxGone, SandboxPaused
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.e2b.connect import ConnectError, frame, last_frame
from innkeeper.services.e2b.model import Refused

_CODES = {
    400: "invalid_argument",
    401: "unauthenticated",
    402: "resource_exhausted",
    403: "permission_denied",
    404: "not_found",
    409: "failed_precondition",
    413: "resource_exhausted",
    429: "resource_exhausted",
    501: "unimplemented",
    502: "unavailable",
    503: "unavailable",
}


@contextlib.contextmanager
def as_connect() -> Iterator[None]:
    """Raises ConnectError for every failure that may be shown."""
    try:
        yield
    except InnkeeperError as error:
        raise ConnectError(_CODES.get(error.status, "internal"), error.message) from error
    except (SandboxGone, SandboxPaused) as error:
        raise ConnectError("unavailable", f"The sandbox was not found: {error}") from error
    except SandboxError as error:
        raise ConnectError("invalid_argument", str(error)) from error


@contextlib.contextmanager
def as_refused(path: str) -> Iterator[None]:
    """Raises Refused for what a file cannot be used for."""
    try:
        yield
    except FileNotFoundError as error:
        raise Refused(404, f"path {path!r} does not exist") from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise Refused(400, f"path {path!r} is a directory") from error
    except PermissionError as error:
        raise Refused(403, f"path {path!r} is not permitted") from error
    except (SandboxGone, SandboxPaused) as error:
        raise Refused(502, f"The sandbox was not found: {error}") from error
    except SandboxError as error:
        raise Refused(507 if "No space" in str(error) else 400, str(error)) from error


async def framed(events: AsyncIterator[Document]) -> AsyncIterator[bytes]:
    """A stream's messages and its end, whichever it is."""
    try:
        with as_connect():
            async for event in events:
                yield frame(event)
        yield last_frame()
    except ConnectError as error:
        yield last_frame(error)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
