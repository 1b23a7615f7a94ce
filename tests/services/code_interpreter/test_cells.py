"""Cells of code: what they give back, and how a session survives what they do."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.services.code_interpreter.coding import Coding

# What a cell, a file or a prompt does is the same whatever database its session is noted in.
pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


def test_variables_last_from_cell_to_cell(coding: Coding) -> None:
    assert coding.out("total = 40") == ""
    assert coding.out("total + 2") == "42\n"
    assert coding.out("print(_)") == "42\n"


def test_a_result_has_text_and_structure(coding: Coding) -> None:
    result = coding.run("import sys\nprint('out')\nprint('err', file=sys.stderr)")
    structured = result["structuredContent"]
    assert [item["text"] for item in result["content"]] == ["out\n", "err\n"]
    assert (structured["stdout"], structured["stderr"], structured["exitCode"]) == ("out\n", "err\n", 0)
    assert structured["executionTime"] > 0
    assert result["isError"] is False


def test_an_exception_comes_as_a_traceback_of_the_users_own_lines(coding: Coding) -> None:
    error = coding.fails("def half(x):\n    return x / 0\n\nhalf(1)")
    assert error.startswith('Traceback (most recent call last):\n  File "<cell ')
    assert "return x / 0" in error
    assert error.endswith("ZeroDivisionError: division by zero\n")
    assert "python_worker" not in error
    assert "SyntaxError" in coding.fails("def f(:")


def test_output_of_subprocesses_counts(coding: Coding) -> None:
    assert coding.out("import subprocess\nsubprocess.run(['echo', 'from a child'])\nNone") == "from a child\n"


def test_rich_values_come_as_html_and_images(coding: Coding) -> None:
    code = """
class Rich:
    def __repr__(self): return "rich"
    def _repr_html_(self): return "<b>rich</b>"
    def _repr_png_(self): return b"\\x89PNG-not-really"
Rich()
"""
    text, html, image = coding.run(code)["content"]
    assert text["text"] == "rich\n"
    assert html["resource"]["text"] == "<b>rich</b>"
    assert html["resource"]["mimeType"] == "text/html"
    assert (image["mimeType"], image["data"]) == ("image/png", b"\x89PNG-not-really")


def test_await_works_at_the_top_level(coding: Coding) -> None:
    assert coding.out("import asyncio\nawait asyncio.sleep(0.01, 'slept')") == "'slept'\n"


def test_clear_context_forgets_variables(coding: Coding) -> None:
    coding.out("secret = 1")
    assert "NameError" in coding.fails("secret", clearContext=True)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os._exit(7)", "ended with exit code 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        (
            "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass",
            "timed out after 5 s",
        ),
    ],
    ids=["exits", "signals", "segfaults", "hangs-on"],
)
def test_a_dead_interpreter_is_told_and_started_again(coding: Coding, code: str, says: str) -> None:
    coding.out("kept = 1")
    error = coding.fails(code)
    assert says in error
    assert "all variables are lost" in error
    assert "NameError" in coding.fails("kept")
    assert coding.out("1 + 1") == "2\n"


def test_a_cell_that_hangs_is_interrupted_and_variables_stay(coding: Coding) -> None:
    coding.out("kept = 'still here'")
    error = coding.fails("while True: pass")
    assert "KeyboardInterrupt" in error
    assert "timed out after 5 s" in error
    assert coding.out("kept") == "'still here'\n"


def test_a_flood_is_cut_off(coding: Coding) -> None:
    result = coding.run("for _ in range(3000): print('x' * 1000)")
    stdout = result["structuredContent"]["stdout"]
    assert len(stdout) < 501_000
    assert "more bytes were dropped" in stdout


def test_exit_ends_the_cell_not_the_session(coding: Coding) -> None:
    coding.out("kept = 2")
    assert coding.run("exit(3)")["structuredContent"]["exitCode"] == 3
    assert coding.run("exit('because')")["structuredContent"]["stderr"] == "because\n"
    assert coding.out("kept") == "2\n"


def test_a_fork_answers_once(coding: Coding) -> None:
    result = coding.run("import os\nchild = os.fork()\nif child: os.waitpid(child, 0)")
    assert result["structuredContent"]["exitCode"] == 0
    assert coding.out("'next'") == "'next'\n"


def test_killing_the_kernel_itself_costs_only_variables(coding: Coding) -> None:
    result = coding.run("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    assert result["isError"]
    assert "variables are lost" in result["content"][0]["text"]
    assert coding.out("1 + 1") == "2\n"


def test_forging_the_kernels_answer_harms_nobody(coding: Coding) -> None:
    forged = "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'{}\\n')\n    except OSError: pass"
    coding.run(forged)
    assert coding.out("1 + 1", clearContext=True) == "2\n"


def test_input_has_nobody_to_ask(coding: Coding) -> None:
    assert "EOFError" in coding.fails("input('name? ')")


def test_javascript_keeps_its_state(coding: Coding) -> None:
    assert coding.out("const a = 20; let b = 22", language="javascript") == ""
    assert coding.out("a + b", language="javascript", runtime="nodejs") == "42\n"
    assert coding.out("await Promise.resolve('later')", language="javascript") == "'later'\n"
    error = coding.fails("function f() { throw new TypeError('no') }\nf()", language="javascript")
    assert error.startswith("TypeError: no\n    at f (<cell ")
    assert "node_worker" not in error
    assert "ended with exit code 3" in coding.fails("process.exit(3)", language="javascript")
    assert "timed out after 5 s" in coding.fails("while (true);", language="javascript")


def test_typescript_runs_or_says_what_it_needs(coding: Coding) -> None:
    result = coding.run("const n: number = 41; n + 1", language="typescript")
    structured = result["structuredContent"]
    assert structured["stdout"] == "42\n" or "TypeScript needs Node.js" in structured["stderr"]


def test_a_missing_runtime_is_named(coding: Coding) -> None:
    result = coding.run("1", language="javascript", runtime="deno")
    assert result["isError"]
    assert "Deno" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("executeCode", {"language": "python"}, "arguments.code"),
        ("executeCode", {"code": "1", "language": "python", "runtime": "nodejs"}, "arguments.runtime"),
        ("executeCommand", {}, "arguments.command"),
        ("readFiles", {}, "arguments.paths"),
        ("getTask", {}, "arguments.taskId"),
    ],
)
def test_a_missing_argument_is_named(coding: Coding, tool: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ClientError) as caught:
        coding.invoke(tool, **arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert says in caught.value.response["Error"]["Message"]
