"""`innkeeper code`: cells from a pipe and on a terminal, files both ways."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.terminal import Terminal

# What a cell, a file or a prompt does is the same whatever database its session is noted in.
pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


def terminal(server: RunningServer, folder: Path) -> Terminal:
    return Terminal(folder, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})


def test_a_script_is_run_from_a_pipe(server: RunningServer, tmp_path: Path) -> None:
    user = terminal(server, tmp_path)
    assert user.ok("innkeeper", "code", given="x = 20\nfor _ in range(2): print(x)\nx + 22") == "20\n20\n42\n"
    assert user.ok("innkeeper", "code", "--language", "javascript", given="[1, 2].length") == "2\n"
    told = user.json("innkeeper", "code", "--json", given="print('hi')")
    assert (told["stdout"], told["exitCode"], told["isError"], told["pictures"]) == ("hi\n", 0, False, [])
    failed = user.run("innkeeper", "code", given="1 / 0")
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr


class Screen:
    """What a user types at `innkeeper code`, and what they see."""

    def __init__(self, user: Terminal) -> None:
        self._fd, theirs = pty.openpty()
        environment = {**user.environment, "TERM": "dumb"}
        self._process = subprocess.Popen(
            ["innkeeper", "code"],
            cwd=user.folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self._seen = ""

    def sees(self, text: str, seconds: float = 60.0) -> str:
        """All up to and with the text."""
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not seen in: {self._seen}"
            self._seen += os.read(self._fd, 65_536).decode()
        before, _, self._seen = self._seen.partition(text)
        return before + text

    def types(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")

    def leaves(self) -> int:
        self.types(":quit")
        code = self._process.wait(60)
        os.close(self._fd)
        return code


def test_a_user_works_at_the_prompt(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("carried")
    screen = Screen(terminal(server, tmp_path))
    screen.sees(">>> ")
    screen.types("def double(x):")
    screen.sees("... ")
    screen.types("    return 2 * x")
    screen.sees("... ")
    screen.types("")
    screen.sees(">>> ")
    screen.types("double(21)")
    screen.sees("42\r\n")
    screen.types(":put in.txt there.txt")
    screen.sees("7 bytes sent")
    screen.types(":sh cat there.txt")
    screen.sees("\r\ncarried")
    screen.types(":get there.txt back.txt")
    screen.sees("7 bytes in back.txt")
    screen.types(":get missing.txt")
    screen.sees("missing.txt is no file")
    screen.types(":what")
    screen.sees(":get REMOTE")
    assert screen.leaves() == 0
    assert (tmp_path / "back.txt").read_text() == "carried"
    assert "double(21)" in (server.data_dir / "code-history").read_text()
