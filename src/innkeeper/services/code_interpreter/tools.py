"""The tools of a session (`InvokeCodeInterpreter`): which one is called, with what, and its results.

What goes wrong with the user's own code, command or file is a result with `isError`; only a request that
could never work raises.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from innkeeper.engines.sandbox.sandbox import SandboxError
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.services.code_interpreter import results
from innkeeper.services.code_interpreter.kernels import Cell
from innkeeper.services.code_interpreter.results import ToolFailed
from innkeeper.services.code_interpreter.room import Room

_Tool = Callable[[Room, Document], Awaitable[list[Document]]]


def check(name: str, arguments: Document) -> None:
    """Raises InvalidRequest naming the argument that the tool lacks."""
    for member in _TOOLS[name][1]:
        if arguments.get(member) is None:
            path = f"arguments.{member}"
            raise InvalidRequest(f"{name} needs '{path}'", (FieldError(path, f"{name} needs it"),))
    runtime, language = arguments.get("runtime"), arguments.get("language", "python")
    if name == "executeCode" and runtime and (runtime == "python") != (language == "python"):
        rule = f"{runtime} does not run {language}"
        raise InvalidRequest(f"Value at 'arguments.runtime' is not allowed: {rule}")


async def run(room: Room, name: str, arguments: Document) -> AsyncIterator[Document]:
    """The events of the answer."""
    tool, _ = _TOOLS[name]
    try:
        found = await tool(room, arguments)
    except ToolFailed as error:
        found = [results.failure(str(error))]
    except SandboxError as error:
        found = [results.failure(f"The session's sandbox could not do it: {error}")]
    for result in found:
        yield {"result": result}


async def _execute_code(room: Room, arguments: Document) -> list[Document]:
    language = arguments.get("language", "python")
    kernel = room.python if language == "python" else await room.script(arguments.get("runtime"))
    clear = bool(arguments.get("clearContext"))
    return [await kernel.run(Cell(arguments["code"], language == "typescript", clear))]


async def _execute_command(room: Room, arguments: Document) -> list[Document]:
    running = await room.command(arguments["command"])
    return [await running.result(room.timeout_seconds)]


async def _read_files(room: Room, arguments: Document) -> list[Document]:
    return await room.files.read(arguments["paths"])


async def _list_files(room: Room, arguments: Document) -> list[Document]:
    return [await room.files.list(arguments.get("directoryPath") or arguments.get("path") or "")]


async def _remove_files(room: Room, arguments: Document) -> list[Document]:
    return [await room.files.remove(arguments["paths"])]


async def _write_files(room: Room, arguments: Document) -> list[Document]:
    return [await room.files.write(arguments["content"])]


async def _start_command(room: Room, arguments: Document) -> list[Document]:
    return [await room.tasks.start(arguments["command"])]


async def _get_task(room: Room, arguments: Document) -> list[Document]:
    return [room.tasks.get(arguments["taskId"])]


async def _stop_task(room: Room, arguments: Document) -> list[Document]:
    return [await room.tasks.stop(arguments["taskId"])]


# Each tool, and the arguments that it needs.
_TOOLS: dict[str, tuple[_Tool, tuple[str, ...]]] = {
    "executeCode": (_execute_code, ("code",)),
    "executeCommand": (_execute_command, ("command",)),
    "readFiles": (_read_files, ("paths",)),
    "listFiles": (_list_files, ()),
    "removeFiles": (_remove_files, ("paths",)),
    "writeFiles": (_write_files, ("content",)),
    "startCommandExecution": (_start_command, ("command",)),
    "getTask": (_get_task, ("taskId",)),
    "stopTask": (_stop_task, ("taskId",)),
}
