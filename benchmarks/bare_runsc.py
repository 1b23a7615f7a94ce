"""A process under runsc with nothing of ours: what a line to it and back takes at least."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bare import PYTHON

_STOP_SECONDS = 10.0
_ECHO = "import os\nwhile words := os.read(0, 4096): os.write(1, words)"
_FLAGS = ("--platform=systrap", "--network=none", "--overlay2=none", "--ignore-cgroups")


class Echo:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def milliseconds(self) -> float:
        """From sending a line until it is back."""
        assert self._process.stdin is not None and self._process.stdout is not None
        began = time.perf_counter()
        os.write(self._process.stdin.fileno(), b"hello\n")
        if os.read(self._process.stdout.fileno(), 4096) != b"hello\n":
            raise RuntimeError("runsc does not run here")
        return (time.perf_counter() - began) * 1e3


@contextlib.contextmanager
def echo(folder: Path) -> Iterator[Echo]:
    """A Python of this machine that echoes, until the end of the block. `folder` must not exist."""
    (folder / "rootfs").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(_config()))
    command = ["runsc", f"--root={folder}/state", *_FLAGS, "run", f"--bundle={folder}", f"echo-{os.getpid()}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield Echo(process)
    finally:
        process.kill()
        process.communicate(timeout=_STOP_SECONDS)


def _config() -> dict[str, object]:
    folders = {"/usr", "/lib", "/lib64", str(PYTHON.parent.parent)}
    mounts = [
        {"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
        for path in sorted(folders)
        if Path(path).is_dir()
    ]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [str(PYTHON), "-I", "-S", "-c", _ECHO],
            "env": ["PATH=/usr/bin"],
            "cwd": "/",
        },
        "root": {"path": "rootfs", "readonly": False},
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
    }
