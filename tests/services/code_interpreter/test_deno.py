"""JavaScript and TypeScript on Deno, where it is installed: as AgentCore runs them unless told otherwise."""

import shutil
from collections.abc import Iterator

import pytest

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.services.code_interpreter.conftest import SETTINGS

pytestmark = pytest.mark.skipif(shutil.which("deno") is None, reason="Deno is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {**SETTINGS, "code_interpreter_deno": "deno"}
    running = RunningServer(tmp_path_factory.mktemp("deno"), settings).start()
    yield running
    running.stop()


def test_cells_share_their_variables(coding: Coding) -> None:
    assert coding.out("const a: number = 20; enum Order { First = 22 }", language="typescript") == ""
    assert coding.out("a + Order.First", language="javascript") == "42\n"
    assert coding.out("await Promise.resolve('later')", language="typescript", runtime="deno") == '"later"\n'
    assert coding.out("console.log(Deno.version.deno.split('.')[0])", language="javascript") == "2\n"
    assert "is not defined" in coding.fails("a", language="javascript", clearContext=True)


def test_modules_are_imported_and_have_variables_of_their_own(coding: Coding) -> None:
    coding.invoke("writeFiles", content=[{"path": "words.ts", "text": "export const word: string = 'hi'"}])
    imports = "import { join } from 'node:path'\nimport { word } from './words.ts'\n"
    code = f"{imports}console.log(join(word, 'there'))"
    assert coding.out(code, language="typescript") == "hi/there\n"
    assert "is not defined" in coding.fails("word", language="typescript")


def test_errors_are_told_as_those_of_the_cell(coding: Coding) -> None:
    error = coding.fails("function f() { throw new TypeError('no') }\nf()", language="javascript")
    assert error.startswith("TypeError: no\n    at f (")
    assert "deno_worker" not in error and "ext:" not in error
    assert "SyntaxError" in coding.fails("let let", language="javascript")
    assert coding.fails("throw 5", language="javascript") == "Uncaught 5\n"
    assert "too late" in coding.fails(
        "setTimeout(() => { throw new Error('too late') }, 1); await new Promise((r) => setTimeout(r, 3000))",
        language="javascript",
    )
    assert "ended with exit code 3" in coding.fails("Deno.exit(3)", language="javascript")


def test_a_cell_that_waits_too_long_is_interrupted(coding: Coding) -> None:
    coding.out("let kept = 'still here'", language="javascript")
    error = coding.fails("await new Promise((r) => setTimeout(r, 60_000))", language="javascript")
    assert "timed out after 5 s" in error
    assert coding.out("kept", language="javascript") == '"still here"\n'
    assert "all variables are lost" in coding.fails("while (true);", language="javascript")


def test_node_is_there_for_who_asks(coding: Coding) -> None:
    code = "console.log(typeof Deno, typeof require)"
    assert coding.out(code, language="javascript", runtime="nodejs") == "undefined function\n"
