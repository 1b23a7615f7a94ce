"""Images that users bring: an archive in a bucket of theirs, unpacked once."""

import asyncio
import tempfile
from pathlib import Path

from innkeeper.engines.images.image import ImageError
from innkeeper.engines.images.roots import Root, Roots
from innkeeper.kernel.errors import NotFound
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.sandboxes.model import invalid

_SCHEME = "s3://"


class ImageImport:
    """`max_bytes` is how large an archive may be."""

    def __init__(self, buckets: Buckets, roots: Roots, max_bytes: int) -> None:
        self._buckets = buckets
        self._roots = roots
        self._max_bytes = max_bytes

    async def sweep(self, keep: set[str]) -> None:
        """Remove what a killed server left unfinished, and all but these images, by their digests."""
        await self._roots.sweep(keep)

    async def root(self, account: str, location: str) -> Root:
        """Of the archive at `s3://BUCKET/KEY`. Raises InvalidRequest."""
        bucket, _, key = location.removeprefix(_SCHEME).partition("/")
        folder = await asyncio.to_thread(tempfile.mkdtemp)
        archive = Path(folder) / "image.tar"
        try:
            found = await self._buckets.find_object(account, bucket, key)
            if found.size > self._max_bytes:
                raise invalid("image", f"the archive has {found.size} bytes; {self._max_bytes} are allowed")
            await self._buckets.fetch(account, bucket, key, archive)
            return await self._roots.unpack(archive)
        except NotFound as error:
            raise invalid(
                "image", f"there is no object {key} in a bucket {bucket} of this account"
            ) from error
        except ImageError as error:
            raise invalid("image", str(error)) from error
        finally:
            await asyncio.to_thread(_discard, Path(folder))


def _discard(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
