"""Runs Python cells that share a namespace, as a notebook does: `python_worker.py REQUESTS REPLIES`.

Both are descriptors. Each request is a line of JSON with `code`, or with `imports`, modules to load if they
are there; each reply is one with `exitCode` and `items`: what a text cannot show, `{"type": "image",
"mimeType", "data"}` with base64, and `{"type": "html", "text"}`. A line with `settle`, variables for the
environment, has no reply. What is printed goes to the real standard output and error.
"""

from __future__ import annotations

import ast
import asyncio
import base64
import builtins
import contextlib
import gc
import importlib
import inspect
import io
import json
import linecache
import os
import signal
import site
import sys
import traceback
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from innkeeper.services.code_interpreter.inside import (
        innkeeper_charts,
        innkeeper_display,
        innkeeper_magics,
        innkeeper_seeds,
    )
else:  # they lie beside this program, where nothing else of ours does
    import innkeeper_charts
    import innkeeper_display
    import innkeeper_magics
    import innkeeper_seeds

_ITEMS_MAX_BYTES = 10_000_000
_FORMS = ("html", "markdown", "svg", "png", "jpeg", "pdf", "latex", "json", "javascript")
_SOURCES_KEPT = 100
_FIGURES = "innkeeper_figures"


class Display:
    """Gathers what a cell shows beside its text, up to a bound."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.rich = False
        self._size = 0

    def show_all(self, *values: Any, **_: Any) -> None:
        """What `display` is to the cells."""
        for value in values:
            self.show(value)

    def show(self, value: Any, main: bool = False) -> None:
        """As text, and in what richer forms it has."""
        if self.rich:
            self.add({"type": "bundle", "main": main, "data": _forms(value)})
            return
        print(repr(value))
        if isinstance(value, type):
            return
        if html := _call(value, "_repr_html_"):
            self.add({"type": "html", "text": html})
        if png := _call(value, "_repr_png_"):
            self.image(png)

    def image(self, png: bytes, figure: Any = None) -> None:
        data = base64.b64encode(png).decode()
        if self.rich:
            forms: dict[str, Any] = {"png": data}
            with contextlib.suppress(Exception):  # the picture counts, whatever is strange in it
                if figure is not None and (chart := innkeeper_charts.chart(figure)):
                    forms["chart"] = chart
            self.add({"type": "bundle", "main": False, "data": forms})
        else:
            self.add({"type": "image", "mimeType": "image/png", "data": data})

    def add(self, item: dict[str, Any]) -> None:
        size = len(json.dumps(item))
        if self._size + size > _ITEMS_MAX_BYTES:
            limit = f"a cell may show {_ITEMS_MAX_BYTES} bytes of images and tables"
            print(f"[{item['type']} of {size} bytes was dropped: {limit}]", file=sys.stderr)
            return
        self._size += size
        self.items.append(item)

    def figures(self) -> None:
        """The open figures of pyplot, which are closed then."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        if pyplot is None:
            return
        for number in pyplot.get_fignums():
            picture = io.BytesIO()
            figure = pyplot.figure(number)
            figure.savefig(picture, format="png", bbox_inches="tight")
            self.image(picture.getvalue(), figure)
        pyplot.close("all")

    def take(self) -> list[dict[str, Any]]:
        items, self.items, self._size = self.items, [], 0
        return items


class Interpreter:
    def __init__(self) -> None:
        self.display = Display()
        self._count = 0
        self._running = False
        self._seeds = innkeeper_seeds.Seeds()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._module = types.ModuleType("__main__")
        self._module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._module
        notebook = innkeeper_display.install(self.display.show_all)
        self.shell = innkeeper_magics.Shell(self._module.__dict__, self._execute_part, notebook)

    def heed_interrupts(self) -> None:
        """From now on SIGINT ends the cell that runs, if any."""
        signal.signal(signal.SIGINT, self._on_interrupt)

    def settle(self, environment: dict[str, str]) -> None:
        """Add to the environment, and let random numbers begin anew."""
        os.environ.update(environment)
        self._seeds.renew()

    def answer(self, request: dict[str, Any]) -> int:
        """Run its code, or else load its modules; the exit code."""
        if "imports" not in request:
            return self.run(request["code"])
        self._load(request["imports"])
        return 0

    def _load(self, modules: list[str]) -> None:
        for name in modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        self._rehearse()
        self._seeds.remember()
        gc.collect()
        gc.freeze()  # what is there to stay need not be looked through again and again

    def _rehearse(self) -> None:
        """Go through a cell once: what the first one of the user touches is in memory then."""
        self.run("1 + 1")
        self._count = 0
        builtins.__dict__.pop("_", None)

    def run(self, code: str) -> int:
        """The exit code: 0, 1 after an exception, or what the cell gave to `exit`."""
        self._count += 1
        self._seeds.forget()
        name = f"<cell {self._count}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        linecache.cache.pop(f"<cell {self._count - _SOURCES_KEPT}>", None)
        importlib.invalidate_caches()  # packages may have been installed since the last cell
        try:
            self._running = True
            self._execute(code, name)
            return 0
        except SystemExit as error:
            return _exit_code(error)
        except BaseException as error:
            self._tell(error)
            return 1
        finally:
            self._running = False
            _flush()

    def _execute(self, code: str, name: str) -> None:
        if code.lstrip().startswith("%%"):
            self.shell.run_cell(code.lstrip())
            self.display.figures()
            return
        tree = innkeeper_magics.parse(code, name)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr) and not code.rstrip().endswith(";"):
            tree.body.pop()
            self._evaluate(tree, name)
            value = self._evaluate(ast.Expression(last.value), name)
            if value is not None:
                builtins.__dict__["_"] = value
                self.display.show(value, main=True)
        else:
            self._evaluate(tree, name)
        self.display.figures()

    def _execute_part(self, code: str) -> None:
        self._execute(code, f"<cell {self._count}>")

    def _evaluate(self, tree: ast.Module | ast.Expression, name: str) -> Any:
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        compiled = compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(compiled, self._module.__dict__)  # noqa: S307 (to run code is what we are for)
        if compiled.co_flags & inspect.CO_COROUTINE:
            self._loop = self._loop or asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
            return self._loop.run_until_complete(value)
        return value

    def _tell(self, error: BaseException) -> None:
        if self.display.rich:
            told = {"name": type(error).__name__, "value": str(error), "traceback": _report(error)}
            self.display.add({"type": "error", **told})
        else:
            sys.stderr.write(_report(error))

    def _on_interrupt(self, *_: object) -> None:
        if self._running:
            raise KeyboardInterrupt


def _call(value: Any, method: str) -> Any:
    found = getattr(value, method, None)
    return found() if callable(found) else None


def _forms(value: Any) -> dict[str, Any]:
    forms: dict[str, Any] = {"text": repr(value)}
    if isinstance(value, type):
        return forms
    for form in _FORMS:
        shown = _call(value, f"_repr_{form}_")
        shown = shown[0] if isinstance(shown, tuple) else shown  # with metadata, which nobody asks for
        if isinstance(shown, bytes):
            shown = base64.b64encode(shown).decode()
        if shown is not None:
            forms[form] = shown
    with contextlib.suppress(Exception):
        if (table := innkeeper_charts.table(value)) is not None:
            forms["data"] = table
    return forms


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    sys.stderr.write(f"{error.code}\n")
    return 1


def _report(error: BaseException) -> str:
    """The traceback without our own frames: from the cell's first on."""
    frames = error.__traceback__
    while frames is not None and not frames.tb_frame.f_code.co_filename.startswith("<cell "):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _install_backend(display: Display) -> None:
    """A backend of matplotlib that draws without a screen, and whose `show` hands the figures to us."""
    backend = types.ModuleType(_FIGURES)

    def canvas_of_agg(name: str) -> Any:  # late: matplotlib is not imported before the user wants it
        if name != "FigureCanvas":
            raise AttributeError(name)
        canvas = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg
        backend.__dict__[name] = canvas  # pyplot looks there for the rest of the time
        return canvas

    backend.__dict__["__getattr__"] = canvas_of_agg
    backend.__dict__["show"] = lambda *_, **__: display.figures()
    sys.modules[_FIGURES] = backend
    os.environ["MPLBACKEND"] = f"module://{_FIGURES}"


def prepare() -> Interpreter:
    """Make this process one for cells; there is no session yet."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.path[0] = ""  # modules lie where the user works, not where this program does
    sys.path.append(site.getusersitepackages())  # also while there is none yet
    sys.argv = [""]
    interpreter = Interpreter()
    _install_backend(interpreter.display)
    builtins.__dict__["display"] = interpreter.display.show_all
    builtins.__dict__["get_ipython"] = lambda: interpreter.shell
    return interpreter


def serve(interpreter: Interpreter, requests: int, replies: int) -> None:
    """Until the requests end."""
    own = os.getpid()
    interpreter.heed_interrupts()
    with open(requests, "rb") as lines:
        for line in lines:
            request = json.loads(line)
            if "settle" in request:
                interpreter.settle(request["settle"])
                continue
            interpreter.display.rich = request.get("rich", False)
            with _environment(request.get("environment", {})):
                code = interpreter.answer(request)
            if os.getpid() != own:
                os._exit(code)  # a child that the cell forked has run to the cell's end: one of us is enough
            reply = {"exitCode": code, "items": interpreter.display.take()}
            rest = memoryview(json.dumps(reply).encode() + b"\n")
            while rest:
                rest = rest[os.write(replies, rest) :]


if __name__ == "__main__":
    given = [int(fd) for fd in sys.argv[1:3]]
    for inherited in given:
        os.set_inheritable(inherited, False)
    serve(prepare(), *given)
