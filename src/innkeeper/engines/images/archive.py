"""An OCI image layout in a tar file, as `skopeo copy … oci-archive:FILE` writes it.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md. Nobody vouches for it: every blob is
checked against the digest by which it is called, and no document is read that is larger than documents are.
"""

import gzip
import hashlib
import io
import json
import platform
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from innkeeper.engines.images.image import Defaults, ImageError, ImageLimits

_DOCUMENT_MAX_BYTES = 8 << 20
_MEMBERS_MAX = 10_000
_NESTING_MAX = 3
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)", re.DOTALL)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


class Archive:
    """To be entered. Everything raises ImageError."""

    def __init__(self, path: Path, limits: ImageLimits) -> None:
        self._limits = limits
        if (size := path.stat().st_size) > limits.archive_bytes:
            raise ImageError(f"the image's archive has {size} bytes; {limits.archive_bytes} are allowed")
        self._path = path

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._tar = stack.enter_context(tarfile.open(self._path, "r:"))
                self._members = dict(self._files())
            except tarfile.TarError as error:
                raise ImageError(f"the image's archive is no tar file: {error}") from error
            self._digest, self._manifest = self._find_manifest()
            self._config = self._document(_digest_of(_part(self._manifest, "config", dict)))
            stack.pop_all()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._tar.close()

    @property
    def digest(self) -> str:
        """Of the manifest, in hexadecimal."""
        return self._digest.removeprefix("sha256:")

    @property
    def defaults(self) -> Defaults:
        config = _part(self._config, "config", dict, {})
        pairs = (_VARIABLE.fullmatch(word) for word in _words(config, "Env"))
        return Defaults(
            environment={pair[1]: pair[2] for pair in pairs if pair},
            working_directory=_part(config, "WorkingDir", str, ""),
            user=_part(config, "User", str, ""),
            command=(*_words(config, "Entrypoint"), *_words(config, "Cmd")),
        )

    def layers(self) -> list[str]:
        """Their digests, the lowest first."""
        layers = _part(self._manifest, "layers", list)
        if len(layers) > self._limits.layers:
            raise ImageError(f"the image has {len(layers)} layers; {self._limits.layers} are allowed")
        return [_digest_of(layer) for layer in layers]

    @contextmanager
    def layer(self, digest: str) -> Iterator[IO[bytes]]:
        """The tar file that it is, inflated; afterwards its digest is checked."""
        blob = _Hashed(self._open(digest))
        start = blob.raw.read(4)
        blob.raw.seek(0)
        if start == _ZSTD:
            raise ImageError(
                "a layer is compressed by zstd, which is not read here: "
                "copy the image with `skopeo copy --dest-compress-format gzip`"
            )
        try:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=blob) if start[:2] == _GZIP else blob)
        except (zlib.error, gzip.BadGzipFile, EOFError) as error:
            raise ImageError(f"a layer is not whole: {error}") from error
        while blob.read(_CHUNK):
            pass
        if f"sha256:{blob.digest.hexdigest()}" != digest:
            raise ImageError(f"a layer is not what its digest says: {digest}")

    def _files(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        for count, member in enumerate(self._tar):
            if count >= _MEMBERS_MAX:
                raise ImageError(f"the image's archive has more than {_MEMBERS_MAX} members")
            if member.isreg() and not member.issparse():
                yield member.name.removeprefix("./"), member

    def _open(self, digest: str) -> IO[bytes]:
        return self._open_file(f"blobs/sha256/{digest.removeprefix('sha256:')}")

    def _open_file(self, name: str) -> IO[bytes]:
        member = self._members.get(name)
        file = self._tar.extractfile(member) if member else None
        if file is None:
            raise ImageError(f"the image's archive lacks {name}")
        return file

    def _document(self, digest: str) -> dict[str, Any]:
        with self._open(digest) as file:
            text = file.read(_DOCUMENT_MAX_BYTES)
        if f"sha256:{hashlib.sha256(text).hexdigest()}" != digest:
            raise ImageError(f"a document of the image is not what its digest says, or too large: {digest}")
        return _object(text)

    def _find_manifest(self) -> tuple[str, dict[str, Any]]:
        with self._open_file("index.json") as file:
            document = _object(file.read(_DOCUMENT_MAX_BYTES))
        for _ in range(_NESTING_MAX):
            digest = _digest_of(_fitting(_part(document, "manifests", list)))
            document = self._document(digest)
            if "layers" in document:
                return digest, document
        raise ImageError("the image has indexes within indexes, and no manifest")


class _Hashed(io.RawIOBase):
    """Reads another file, and knows the SHA-256 of what was read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.raw.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        return len(data)


def _fitting(manifests: list[Any]) -> Any:
    """That of this machine, where there are several."""
    machine = _MACHINES.get(platform.machine(), platform.machine())
    for one in manifests:
        if isinstance(one, dict):
            fits = _part(one, "platform", dict, {})
            if fits.get("architecture", machine) == machine and fits.get("os", "linux") == "linux":
                return one
    raise ImageError(f"the image has no manifest for linux on {machine}")


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ImageError("a document of the image is no JSON") from error
    if not isinstance(found, dict):
        raise ImageError("a document of the image is no JSON object")
    return found


def _part(document: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = document.get(name)
    if value is None:
        value = default
    if not isinstance(value, kind):
        raise ImageError(f"the image does not say its {name}, or not in the right form")
    return value


def _words(config: Mapping[str, Any], name: str) -> list[str]:
    return [word for word in _part(config, name, list, []) if isinstance(word, str)]


def _digest_of(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ImageError("a part of the image is called by something else than a SHA-256 digest")
    return digest
