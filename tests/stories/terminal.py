"""A user's terminal: the commands of this project's environment, and the variables that lead to a server."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
COMMAND_SECONDS = 300.0

Finished = subprocess.CompletedProcess[str]


class Terminal:
    """Runs commands in a folder; `environment` is all that they see, but for where programs are."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        path = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"
        self.environment = {**environment, "PATH": path}

    def run(self, *words: str, given: str = "", **variables: str) -> Finished:
        return subprocess.run(
            words,
            cwd=self.folder,
            env={**self.environment, **variables},
            input=given,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )

    def ok(self, *words: str, given: str = "", **variables: str) -> str:
        """What a command that must succeed prints on stdout."""
        said = self.run(*words, given=given, **variables)
        assert said.returncode == 0, f"{' '.join(words)}\n{said.stdout[-4000:]}\n{said.stderr[-4000:]}"
        return said.stdout

    def json(self, *words: str, given: str = "") -> Any:
        return json.loads(self.ok(*words, given=given))

    def refused(self, *words: str, given: str = "", **variables: str) -> str:
        """The one line on stderr of an `innkeeper` command that must fail as it should."""
        said = self.run(*words, given=given, **variables)
        assert (said.returncode, said.stdout) == (1, ""), f"{said.returncode}\n{said.stdout}\n{said.stderr}"
        last = said.stderr.splitlines()[-1]
        assert last.startswith("error: ")
        return last

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A command that goes on while others run; its stdout is there to read."""
        return subprocess.Popen(
            words,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
