"""OCI image layouts, written by hand."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
Entry = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]


def file(name: str, data: bytes = b"", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    return info, data


def other(name: str, kind: bytes, to: str = "") -> Entry:
    """A folder, a link, a device."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, to, 0o755
    return info


def link(name: str, to: str) -> Entry:
    return other(name, tarfile.SYMTYPE, to)


def layer(*entries: Entry) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry in entries:
            info, data = entry if isinstance(entry, tuple) else (entry, b"")
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def write(folder: Path, layers: Sequence[bytes], config: Mapping[str, Any] | None = None) -> Path:
    """As a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    diffs = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    document = {
        **{"architecture": MACHINE, "os": "linux", "config": dict(config or {})},
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob(json.dumps(document).encode(), "config.v1+json"),
        "layers": [blob(gzip.compress(each, mtime=0), "layer.v1.tar+gzip") for each in layers],
    }
    top = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def archive(folder: Path, layers: Sequence[bytes], config: Mapping[str, Any] | None = None) -> Path:
    """As a tar file."""
    write(folder, layers, config)
    packed = folder.with_suffix(".tar")
    with tarfile.open(packed, "w") as tar:
        tar.add(folder, ".")
    return packed
