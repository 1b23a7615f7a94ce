"""From an entry point to the command that starts it inside the sandbox, with the code at `/var/task`."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from innkeeper.services.builder.dependencies import PACKAGES_FOLDER, is_installed
from innkeeper.services.builder.interpreters import Interpreter
from innkeeper.services.builder.model import TASK_FOLDER, BuildFailed, Launch

_INSTRUMENT = "opentelemetry-instrument"
_NAMES_SHOWN = 20


def plan_launch(
    code: Path, entry_point: Sequence[str], interpreter: Interpreter
) -> tuple[Launch, tuple[str, ...]]:
    """The launch, and notes for the developer. Raises BuildFailed when the entry point is not there.

    `["main.py"]` runs the file; `["opentelemetry-instrument", "main.py"]` runs it under OpenTelemetry's
    launcher when its packages are installed.
    """
    *wrapper, name = entry_point or [""]
    if wrapper not in ([], [_INSTRUMENT]):
        raise BuildFailed(f'entryPoint must be ["FILE"] or ["{_INSTRUMENT}", "FILE"]')
    script = f"{TASK_FOLDER}/{_entry_file(code, name)}"
    argv: tuple[str, ...] = (str(interpreter.path), script)
    notes: tuple[str, ...] = ()
    if wrapper:
        launcher = _launcher(code, interpreter)
        if launcher:
            argv = (str(interpreter.path), launcher, *argv)
        else:
            notes = (f"opentelemetry-distro is not among the packages: {name} runs without {_INSTRUMENT}",)
    return Launch(argv, interpreter.mounts, _environment(code, interpreter)), notes


def _entry_file(code: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not path.is_absolute() and ".." not in path.parts and "\0" not in name and (code / path).is_file():
        return path
    files = sorted(file.name for file in code.iterdir() if file.is_file())
    shown = ", ".join(files[:_NAMES_SHOWN]) + (", ..." if len(files) > _NAMES_SHOWN else "")
    raise BuildFailed(
        f"the entry point {name!r} is not a file of the code archive; at its root are: {shown or 'no files'}"
    )


def _launcher(code: Path, interpreter: Interpreter) -> str | None:
    """The path inside of OpenTelemetry's launcher. It is run by the interpreter itself, because its first
    line names the interpreter of the machine that packed it."""
    if interpreter.language != "python" or not is_installed(code, "opentelemetry_distro"):
        return None
    for program in (f"bin/{_INSTRUMENT}", f"{PACKAGES_FOLDER}/bin/{_INSTRUMENT}"):
        if (code / program).is_file():
            return f"{TASK_FOLDER}/{program}"
    return None


def _environment(code: Path, interpreter: Interpreter) -> dict[str, str]:
    if interpreter.language != "python":
        return {}
    path = TASK_FOLDER
    if (code / PACKAGES_FOLDER).is_dir():
        path += f":{TASK_FOLDER}/{PACKAGES_FOLDER}"
    return {
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
