"""Files of a sandbox, read and written whole."""

import posixpath

from innkeeper.kernel.call import Document
from innkeeper.services.e2b.failures import as_refused
from innkeeper.services.e2b.guests import Guest
from innkeeper.services.e2b.model import Refused, path_of


async def read(guest: Guest, path: str, limit_bytes: int) -> bytes:
    """Raises Refused."""
    inside = path_of(path)
    with as_refused(path):
        return await guest.sandbox.read_file(inside, limit_bytes)


async def write(guest: Guest, path: str, data: bytes) -> Document:
    """What was written, as E2B's daemon tells it. Raises Refused."""
    if not path or path.endswith("/"):
        raise Refused(400, "a file's path is needed")
    inside = path_of(path)
    with as_refused(path):
        await guest.sandbox.write_file(inside, data)
    return {"name": posixpath.basename(inside), "type": "file", "path": inside}
