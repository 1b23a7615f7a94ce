"""`innkeeper code`: an interactive interpreter whose code runs in a sandbox of the server."""

import codeop
import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.code_session import CodeSession, Language
from innkeeper.cli.failure import CommandFailed, explain
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, progress, say

HISTORY_LINES = 1000
HELP = """Type code; an empty line ends a block. Variables last until you leave.
:put LOCAL [REMOTE]   send a file
:get REMOTE [LOCAL]   fetch a file
:sh COMMAND           run a shell command
:quit                 leave, as Ctrl-D does"""

LanguageOption = Annotated[Language, typer.Option(help="Language of the code.")]
Interpreter = Annotated[str, typer.Option(help="Id of the code interpreter.")]
Seconds = Annotated[int, typer.Option(min=1, max=28_800, help="The session ends after this time.")]


def code(
    language: LanguageOption = Language.PYTHON,
    interpreter: Interpreter = "aws.codeinterpreter.v1",
    seconds: Seconds = 3600,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run code in a sandbox: line by line on a terminal, else all of stdin at once."""
    api = Api.connect(data_dir)
    session = CodeSession(api, interpreter, seconds)
    with progress("Starting a session ..."):
        session.start()
    with contextlib.ExitStack() as ending:
        ending.callback(session.stop)
        if not sys.stdin.isatty():
            if _show(session.run(sys.stdin.read(), language), as_json):
                raise typer.Exit(1)
            return
        ending.enter_context(_history(api.server.data_dir / "code-history"))
        say(f"{language} in a sandbox; :help says what else there is")
        Repl(session, language, as_json).run()


class Repl:
    def __init__(self, session: CodeSession, language: Language, as_json: bool) -> None:
        self._session = session
        self._language = language
        self._as_json = as_json
        self._commands: dict[str, Callable[[str], None]] = {
            "put": self._put,
            "get": self._get,
            "sh": self._shell,
        }

    def run(self) -> None:
        """Until the user leaves."""
        while True:
            try:
                text = self._read()
            except EOFError:
                say("")
                return
            except KeyboardInterrupt:
                say("")
                continue
            if text.strip() in (":quit", ":q"):
                return
            try:
                self._answer(text)
            except KeyboardInterrupt:
                say("left to itself; what it still prints is not shown")
            except (CommandFailed, OSError) as error:
                say(f"error: {explain(error)}")

    def _answer(self, text: str) -> None:
        if text.startswith(":"):
            name, _, rest = text[1:].strip().partition(" ")
            self._commands.get(name, self._help)(rest)
        elif text.strip():
            _show(self._session.run(text, self._language), self._as_json)

    def _read(self) -> str:
        """A whole cell: for Python as many lines as it takes."""
        lines = [input(">>> ")]
        while self._language is Language.PYTHON and not lines[0].startswith(":") and _unfinished(lines):
            lines.append(input("... "))
        return "\n".join(lines)

    def _help(self, _: str) -> None:
        say(HELP)

    def _put(self, words: str) -> None:
        source, *target = shlex.split(words) or [""]
        local = Path(source)
        say(f"{self._session.put(local, target[0] if target else local.name)} bytes sent")

    def _get(self, words: str) -> None:
        source, *target = shlex.split(words) or [""]
        local = Path(target[0] if target else Path(source).name)
        say(f"{self._session.get(source, local)} bytes in {local}")

    def _shell(self, command: str) -> None:
        _show(self._session.shell(command), self._as_json)


def _unfinished(lines: list[str]) -> bool:
    """As Python's own prompt judges; what is wrong is for the session to say."""
    try:
        return codeop.compile_command("\n".join(lines)) is None
    except (SyntaxError, ValueError, OverflowError):
        return False


def _show(result: Any, as_json: bool) -> bool:
    """Print what a cell or command gave; whether it failed. Pictures become files."""
    pictures = [_keep(bytes(item["data"])) for item in result["content"] if item["type"] == "image"]
    structured = result.get("structuredContent")
    failed = bool(result["isError"])
    message = " ".join(item.get("text", "") for item in result["content"])
    if as_json:
        told = structured or {"message": message}
        print_json({**told, "isError": failed, "pictures": list(map(str, pictures))})
        return failed
    for path in pictures:
        say(f"picture in {path}")
    if structured is None:
        say(message)
        return failed
    typer.echo(structured["stdout"], nl=False)
    typer.echo(structured["stderr"], nl=False, err=True)
    return failed


def _keep(picture: bytes) -> Path:
    path = _free("figure", ".png")
    path.write_bytes(picture)
    return path


def _free(stem: str, suffix: str) -> Path:
    """The first such name that is not taken in this folder."""
    names = (Path(f"{stem}-{number}{suffix}") for number in count(1))
    return next(path for path in names if not path.exists())


@contextlib.contextmanager
def _history(path: Path) -> Iterator[None]:
    """Arrow keys bring back earlier lines, also those of earlier sessions."""
    import readline

    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        readline.set_history_length(HISTORY_LINES)
        with contextlib.suppress(OSError):
            readline.write_history_file(path)
