"""What notebooks allow beside Python: `!command`, `%magic`, and `%%magic` for a whole cell.

Code that Python understands is left as it is: a line is taken for one of these only where Python finds a
syntax error in it. They become calls of `get_ipython()`, as in IPython.

Standard library only, on any Python from 3.10.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import time
import timeit
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_LINE = re.compile(r"(\s*)(?:([\w.,\[\] '\"*]+?)\s*=\s*)?(!!?|%(?=[A-Za-z]))(.+)", re.DOTALL)
_BARE_PIP = re.compile(r"(\s*)pip3?\s+((?:install|uninstall|list|show|freeze)\b.*)", re.DOTALL)
_VALUE = re.compile(r"(?<![$\\])\{([^{}]+)\}|(?<!\\)\$([A-Za-z_]\w*)")
_REPEATS = 5
_SHELL = ("/bin/bash", "-c")
# They say how a notebook is to look, or that what has changed is to be loaded anew.
_IGNORED = {"autoreload", "colors", "config", "load_ext", "matplotlib", "pylab", "reload_ext", "xmode"}
_PROGRAMS = {"cat", "cp", "ls", "mkdir", "mv", "rm", "rmdir"}
_FORMS = {"html": "HTML", "markdown": "Markdown", "latex": "Latex", "svg": "SVG"}


class UsageError(Exception):
    """There is no such magic, or not with these arguments."""


def parse(code: str, name: str) -> ast.Module:
    """Raises SyntaxError for what is neither Python nor a magic."""
    lines = code.split("\n")
    while True:
        try:
            return ast.parse("\n".join(lines), name)
        except SyntaxError as error:
            if not _rewritten(lines, (error.lineno or 1) - 1):
                raise


def _rewritten(lines: list[str], index: int) -> bool:
    """Whether the line was a magic; one that goes on with a backslash takes the next lines with it."""
    if not 0 <= index < len(lines):
        return False
    end = index
    while lines[end].endswith("\\") and end + 1 < len(lines):
        end += 1
    call = _call("\n".join(lines[index : end + 1]))
    if call is None:
        return False
    lines[index : end + 1] = [call, *[""] * (end - index)]
    return True


def _call(line: str) -> str | None:
    if pip := _BARE_PIP.fullmatch(line):
        return f"{pip[1]}get_ipython().run_line_magic('pip', {pip[2]!r})"
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    indent, target, mark, text = found.groups()
    start = f"{indent}{target} = " if target else indent
    if mark == "%":
        name, _, rest = text.partition(" ")
        return f"{start}get_ipython().run_line_magic({name.strip()!r}, {rest.strip()!r})"
    method = "getoutput" if target or mark == "!!" else "system"
    return f"{start}get_ipython().{method}({text!r})"


class Shell:
    """What `get_ipython()` gives. `execute` runs a cell; `display` is a module with what `%%html` shows."""

    def __init__(self, namespace: dict[str, Any], execute: Callable[[str], None], display: Any) -> None:
        self.user_ns = namespace
        self.config: dict[str, Any] = {}
        self._execute = execute
        self._display = display

    def system(self, command: str) -> None:
        """What it prints is output of the cell."""
        self.user_ns["_exit_code"] = _run((*_SHELL, self._filled(command)))

    def getoutput(self, command: str) -> list[str]:
        """What it prints, both streams, in lines."""
        argv = (*_SHELL, self._filled(command))
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        self.user_ns["_exit_code"] = done.returncode
        return done.stdout.decode(errors="replace").splitlines()

    def run_line_magic(self, name: str, line: str) -> Any:
        """Raises UsageError."""
        if name in _IGNORED:
            return None
        if name in _PROGRAMS:
            return self.system(f"{name} {line}")
        magic = getattr(self, f"_line_{name}", None)
        if magic is None:
            raise UsageError(f"Line magic function `%{name}` not found.")
        return magic(self._filled(line) if name != "timeit" else line)

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """Raises UsageError."""
        if name in _FORMS:
            self._display.display(getattr(self._display, _FORMS[name])(cell))
            return
        magic = getattr(self, f"_cell_{name}", None)
        if magic is None:
            raise UsageError(f"Cell magic `%%{name}` not found.")
        magic(line, cell)

    def run_cell(self, code: str) -> None:
        """A whole cell that begins with `%%`."""
        first, _, rest = code.partition("\n")
        name, _, line = first[2:].partition(" ")
        self.run_cell_magic(name.strip(), line.strip(), rest)

    def _filled(self, text: str) -> str:
        """With `{expression}` and `$name` in it replaced, where they have a value among the variables."""

        def value(found: re.Match[str]) -> str:
            if found[2]:
                return str(self.user_ns[found[2]]) if found[2] in self.user_ns else found[0]
            try:
                return str(eval(found[1], self.user_ns))  # noqa: S307 (to run code is what we are for)
            except Exception:
                return found[0]

        return _VALUE.sub(value, text)

    def _line_pip(self, line: str) -> None:
        self.user_ns["_exit_code"] = _run((*_SHELL, f"{shlex.quote(sys.executable)} -m pip {line}"))

    def _line_time(self, line: str) -> Any:
        with _timed():
            try:
                compiled = compile(line, "<time>", "eval")
            except SyntaxError:
                compiled = compile(line, "<time>", "exec")
            return eval(compiled, self.user_ns)  # noqa: S307

    def _line_timeit(self, line: str) -> None:
        self._cell_timeit(line, "")

    def _line_cd(self, line: str) -> None:
        os.chdir(Path(line.strip(" '\"") or "~").expanduser())
        print(Path.cwd())

    def _line_pwd(self, _: str) -> str:
        return str(Path.cwd())

    def _line_env(self, line: str) -> Any:
        name, given, value = line.partition("=" if "=" in line else " ")
        if given:
            os.environ[name.strip()] = value.strip()
            print(f"env: {name.strip()}={value.strip()}")
            return None
        return os.environ.get(name) if name else dict(os.environ)

    _line_set_env = _line_env

    def _line_run(self, line: str) -> None:
        path, *arguments = shlex.split(line) or [""]
        before, sys.argv = sys.argv, [path, *arguments]
        try:
            self.user_ns |= {
                name: value
                for name, value in runpy.run_path(path, run_name="__main__").items()
                if not name.startswith("__")
            }
        finally:
            sys.argv = before

    def _cell_bash(self, line: str, cell: str) -> None:
        code = _run((*_SHELL, cell, "bash", *shlex.split(line)))
        if code:
            raise subprocess.CalledProcessError(code, "bash")

    _cell_sh = _cell_bash

    def _cell_writefile(self, line: str, cell: str) -> None:
        adds = line.startswith("-a ")
        path = Path(line.removeprefix("-a ").strip(" '\"")).expanduser()
        print(f"{'Appending to' if adds else 'Overwriting' if path.exists() else 'Writing'} {path}")
        with path.open("a" if adds else "w") as file:
            file.write(cell)

    def _cell_time(self, _: str, cell: str) -> None:
        with _timed():
            self._execute(cell)

    def _cell_timeit(self, line: str, cell: str) -> None:
        """As a line: the statement. As a cell: the line is what comes before."""
        number = 0
        while option := re.match(r"-([nr])\s*(\d+)\s*", line):
            number = int(option[2]) if option[1] == "n" else number
            line = line[option.end() :]
        statement, before = (cell, line or "pass") if cell else (line, "pass")
        timer = timeit.Timer(statement, before, globals=self.user_ns)
        number = number or timer.autorange()[0]
        best = min(timer.repeat(_REPEATS, number)) / number
        print(f"{_duration(best)} per loop (best of {_REPEATS} runs, {number} loops each)")

    def _cell_capture(self, line: str, cell: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self._execute(cell)
        names = [word for word in line.split() if word.isidentifier()]
        for name in names:
            self.user_ns[name] = types.SimpleNamespace(stdout=out.getvalue(), stderr=err.getvalue())


@contextlib.contextmanager
def _timed() -> Any:
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        used, took = time.process_time() - cpu, time.perf_counter() - wall
        print(f"CPU times: total: {_duration(used)}\nWall time: {_duration(took)}")


def _duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _run(argv: Sequence[str]) -> int:
    """Its output is the cell's, in the order in which both print."""
    sys.stdout.flush()
    sys.stderr.flush()
    return subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode
