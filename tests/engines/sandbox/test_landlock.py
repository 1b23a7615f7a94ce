"""Landlock alone, without any other wall: what it leaves, and what it refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from innkeeper.engines.sandbox import landlock
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver

_ENCLOSED = """
import ctypes, os, stat, sys
from innkeeper.engines.sandbox.landlock import enclose
inside, single, outside = sys.argv[1:]
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
enclose([inside, single, "/dev"])
def attempt(name, action):
    try:
        action()
        print(name)
    except OSError as error:
        print(name, error.strerror)
os.mkdir(f"{inside}/a")
os.mkdir(f"{inside}/b")
attempt("write", lambda: open(f"{inside}/a/file", "w").write("x"))
attempt("move", lambda: os.rename(f"{inside}/a/file", f"{inside}/b/file"))
attempt("truncate", lambda: os.truncate(f"{inside}/b/file", 0))
attempt("single", lambda: open(single, "a").write("x"))
attempt("null", lambda: open("/dev/null", "w").write("x"))
attempt("pipe", lambda: open(f"/proc/self/fd/{os.pipe()[1]}", "w"))
attempt("read", lambda: open(f"{outside}/file").read())
attempt("run", lambda: os.spawnlp(os.P_WAIT, "true", "true"))
attempt("change", lambda: open(f"{outside}/file", "a"))
attempt("add", lambda: os.mkdir(f"{outside}/new"))
attempt("remove", lambda: os.remove(f"{outside}/file"))
attempt("take out", lambda: os.rename(f"{inside}/b/file", f"{outside}/other"))
attempt("device", lambda: os.mknod(f"{inside}/disk", stat.S_IFBLK, os.makedev(8, 0)))
"""


@pytest.mark.skipif(bool(landlock.missing()), reason="; ".join(landlock.missing()) or "it is here")
def test_what_is_not_for_writing_cannot_be_written(tmp_path: Path) -> None:
    inside, outside, single = tmp_path / "inside", tmp_path / "outside", tmp_path / "single"
    inside.mkdir()
    outside.mkdir()
    single.touch()
    (outside / "file").write_text("kept")
    argv = [sys.executable, "-c", _ENCLOSED, *map(str, (inside, single, outside))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    kept = ["write", "move", "truncate", "single", "null", "pipe", "read", "run"]
    refused = [f"{name} Permission denied" for name in ("change", "add", "remove", "take out", "device")]
    said = done.stdout.splitlines()
    # Older versions refuse to move what a target does not take by another error.
    assert [line.replace("Invalid cross-device link", "Permission denied") for line in said] == kept + refused
    assert os.listdir(outside) == ["file"]  # noqa: PTH208
    assert (outside / "file").read_text() == "kept"


async def test_a_machine_without_it_says_so_and_has_sandboxes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 1)
    driver = BubblewrapDriver(tmp_path / "state")
    found = await driver.probe()
    await driver.close()
    assert found.usable
    assert any("Landlock" in problem for problem in found.problems)
