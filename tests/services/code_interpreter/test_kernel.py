"""The kernel's protocol, on a kernel outside any sandbox: JSON lines in, JSON lines out."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innkeeper.services.code_interpreter.rooms import INSIDE


class Kernel:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [
                sys.executable,
                str(INSIDE / "kernel.py"),
                sys.executable,
                str(INSIDE / "python_worker.py"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
        )

    def send(self, request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def run(self, code: str, clear: bool = False, timeout: float = 30.0, **more: Any) -> dict[str, Any]:
        self.send({"code": code, "typescript": False, "clear": clear, "timeout": timeout, **more})
        return self.hear()

    def end(self) -> int:
        """What stdin's end leads to."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path_factory.mktemp("kernel"))
    yield kernel
    kernel.end()


def test_an_answer_has_every_member(kernel: Kernel) -> None:
    answer = kernel.run("1 + 1")
    assert answer.pop("milliseconds") > 0
    assert answer == {"stdout": "2\n", "stderr": "", "items": [], "exitCode": 0, "lost": ""}


@settings(max_examples=30)
@given(text=st.text(max_size=300))
def test_any_text_goes_through_as_it_is(kernel: Kernel, text: str) -> None:
    shown = text.encode("utf-8", "replace").decode()
    answer = kernel.run(f"import sys\n_ = sys.stdout.write({shown!r})\nNone")
    assert (answer["stdout"], answer["exitCode"]) == (shown, 0)


@settings(max_examples=30)
@given(code=st.text(alphabet="abc=()[]:;'\"\n\\ +1#", max_size=40))
def test_no_code_is_too_strange_for_an_answer(kernel: Kernel, code: str) -> None:
    answer = kernel.run(code)
    assert answer["exitCode"] in (0, 1)
    assert "python_worker" not in answer["stderr"]


def test_an_interrupt_ends_the_cell_only(kernel: Kernel) -> None:
    kernel.run("kept = 5")
    kernel.send({"code": "import time; time.sleep(60)", "typescript": False, "clear": False, "timeout": 90})
    kernel.send("interrupt")
    answer = kernel.hear()
    # It may come before the cell has begun: then it is the worker itself that ends.
    assert "interrupted" in answer["stderr"]
    assert kernel.run("1 + 1")["stdout"] == "2\n"


def test_an_interrupt_between_cells_does_nothing(kernel: Kernel) -> None:
    kernel.send("interrupt")
    assert kernel.run("1 + 1")["exitCode"] == 0


def test_clearing_starts_afresh(kernel: Kernel) -> None:
    kernel.run("here = 1")
    assert kernel.run("'here' in globals()", clear=True)["stdout"] == "False\n"


def test_a_closed_output_does_not_end_the_kernel(kernel: Kernel) -> None:
    kernel.run("import os; os.close(1); os.close(2)")
    assert kernel.run("print('back')", clear=True)["stdout"] == "back\n"


def test_too_many_pictures_are_dropped_with_a_word(kernel: Kernel) -> None:
    code = "class P:\n    def _repr_png_(self): return bytes(4_000_000)\nfor _ in range(3): display(P())"
    answer = kernel.run(code)
    assert len(answer["items"]) == 1
    assert "was dropped" in answer["stderr"]


def test_output_is_passed_on_while_a_cell_runs_whole_characters_at_a_time(kernel: Kernel) -> None:
    code = """import os, sys
os.write(1, b'half \\xe2\\x82')
go = os.open('go', os.O_RDONLY)
os.write(1, b'\\xac whole')
os.write(2, b'wrong');"""
    kernel.run("import os; os.mkfifo('go')")
    first = kernel.run(code, stream=True)
    assert first == {"stdout": "half ", "stderr": ""}
    with (kernel.folder / "go").open("w"):
        heard = [kernel.hear()]
        while "exitCode" not in heard[-1]:
            heard.append(kernel.hear())
    assert "".join(part["stdout"] for part in heard) == "\u20ac whole"
    assert "".join(part["stderr"] for part in heard) == "wrong"


def test_a_rich_answer_has_every_form_of_a_value_and_errors_in_parts(kernel: Kernel) -> None:
    code = "class V:\n    def _repr_html_(self): return '<b>'\n    def _repr_png_(self): return b'png'\nV()"
    (item,) = kernel.run(code, rich=True)["items"]
    text = item["data"].pop("text")
    assert "object at" in text
    assert item == {"type": "bundle", "main": True, "data": {"html": "<b>", "png": "cG5n"}}
    answer = kernel.run("import os\ndisplay(os.environ['HERE'])\n1 / 0", rich=True, environment={"HERE": "1"})
    shown, error = answer["items"]
    assert shown == {"type": "bundle", "main": False, "data": {"text": "'1'"}}
    assert (error["type"], error["name"], error["value"]) == (
        "error",
        "ZeroDivisionError",
        "division by zero",
    )
    assert "line 3" in error["traceback"]
    assert answer["stderr"] == "" and answer["exitCode"] == 1
    assert kernel.run("'HERE' in os.environ")["stdout"] == "False\n"


def test_what_notebooks_allow_beside_python_works(kernel: Kernel) -> None:
    def out(code: str) -> str:
        answer = kernel.run(code)
        assert answer["exitCode"] == 0, answer["stderr"]
        return str(answer["stdout"])

    cell = "who = 'you'\nfor _ in range(2):\n    !echo hi {who} $who\nlines = !printf 'a\\nb'\nlines"
    assert out(cell) == "hi you you\nhi you you\n['a', 'b']\n"
    assert out('%matplotlib inline\n!echo one \\\n  two\n\'"""\'\n') == 'one two\n\'"""\'\n'
    assert out("text = '''\n!ls\n%cd /\n'''\ntext") == "'\\n!ls\\n%cd /\\n'\n"
    assert out("%%writefile made.py\nfound = 3\n") == "Writing made.py\n"
    assert out("%run made.py\nfound") == "3\n"
    assert out("%env HERE=yes") == "env: HERE=yes\n"
    assert out("%%bash\necho $HERE; echo 'it''s'") == "yes\nits\n"
    assert "Wall time" in out("%%time\nfound += 1\nfound") and out("found") == "4\n"
    assert "loops each" in out("%timeit -n 2 1 + 1")
    assert "UsageError: Line magic function `%nothing` not found" in kernel.run("%nothing")["stderr"]
    wrong = kernel.run("!true\nx = = 1")["stderr"]
    assert "line 2" in wrong and "SyntaxError" in wrong and "get_ipython" not in wrong


def test_code_for_notebooks_shows_what_it_imports_from_ipython(kernel: Kernel) -> None:
    code = "from IPython.display import HTML, Image, JSON, Markdown, display\n"
    code += "display(HTML('<b>'), Markdown('# t'), Image(data=b'\\x89PNG'))\nJSON({'a': 1})"
    shown = [item["data"] for item in kernel.run(code, rich=True)["items"]]
    assert [set(data) - {"text"} for data in shown] == [{"html"}, {"markdown"}, {"png"}, {"json"}]
    assert kernel.run("%%markdown\n# title")["stdout"] == "# title\n"


def test_a_large_answer_arrives_whole(kernel: Kernel) -> None:
    answer = kernel.run("class P:\n    def _repr_html_(self): return 'h' * 9_000_000\nP()")
    assert len(answer["items"][0]["text"]) == 9_000_000


def test_the_end_of_its_input_ends_it_and_its_worker(tmp_path: Path) -> None:
    kernel = Kernel(tmp_path)
    worker = os.pidfd_open(int(kernel.run("import os; os.getpid()")["stdout"]))
    assert kernel.end() == 0
    ended, _, _ = select.select([worker], [], [], 60)
    os.close(worker)
    assert ended
