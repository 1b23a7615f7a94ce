"""Templates built by E2B's SDK, unmodified."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2b import (
    AsyncTemplate,
    BuildException,
    LogEntry,
    SandboxException,
    Template,
    TimeoutException,
    wait_for_port,
)
from e2b.template.main import TemplateBuilder
from e2b_code_interpreter import Sandbox

from tests.running import RunningServer, clean_environment
from tests.services.builder.wheels import write_wheel
from tests.stories.e2b_serving import api_key, serving
from tests.stories.terminal import ROOT, Terminal
from tests.stories.test_docs import blocks

SETTINGS = {"code_interpreter_packages": "[]"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a template's author has."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "site" / "deep").mkdir(parents=True)
    (folder / "site" / "page.txt").write_text("served")
    (folder / "site" / "deep" / "tool.sh").write_text("#!/bin/sh\necho $1 > said.txt\n")
    (folder / "notes.txt").write_text("noted")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    wheels = tmp_path_factory.mktemp("wheels")
    write_wheel(wheels, "greeter", "1.5", {"greeter.py": "WORD = 'hello'"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_FIND_LINKS", str(wheels))
        patch.setenv("UV_NO_INDEX", "1")
        with serving(tmp_path_factory.mktemp("e2b"), SETTINGS) as running:
            yield running


def described(project: Path) -> TemplateBuilder:
    return (
        Template(file_context_path=project)
        .from_python_image("3")
        .pip_install(["greeter==1.5"])
        .set_workdir("/app")
        .copy("site", "www")
        .copy("notes.txt", "~/papers/", user="root", mode=0o600)
        .set_envs({"WHO": "a template's"})
        .run_cmd(["cd www", 'sh deep/tool.sh "$WHO"'], user="root")
        .make_dir("data")
    )


def test_a_template_is_built_and_sandboxes_begin_from_it(server: RunningServer, project: Path) -> None:
    told: list[LogEntry] = []
    assert not Template.exists("site")
    whole = described(project).set_start_cmd(
        "python3 -m http.server 8123 --directory www", wait_for_port(8123)
    )
    built = Template.build(whole, "site:v1", tags=["stable"], memory_mb=512, on_build_logs=told.append)
    assert (built.name, set(built.tags)) == ("site:v1", {"v1", "stable"})
    said = "\n".join(entry.message for entry in told)
    assert "own programs stand in" in said and "[4] COPY notes.txt" in said and "Uploaded 'site'" in said
    assert Template.exists("site")

    with Sandbox.create("site") as sandbox:
        assert sandbox.get_info().template_id == "site"
        assert sandbox.get_info().memory_mb == 512
        look = "pwd -P; cat www/said.txt ~/papers/notes.txt; stat -c %a ~/papers/notes.txt; touch data/new"
        assert sandbox.commands.run(look).stdout == "/app\na template's\nnoted600\n"
        served = "import greeter, urllib.request as web; print(greeter.WORD, web.urlopen(URL).read())"
        program = served.replace("URL", "'http://localhost:8123/page.txt'")
        assert sandbox.commands.run(f'python3 -c "{program}"').stdout == "hello b'served'\n"

    tagged = Template.assign_tags("site:v1", "production")
    assert tagged.build_id == built.build_id
    Template.remove_tags("site", ["stable"])
    assert {one.tag for one in Template.get_tags("site")} == {"v1", "production"}
    with pytest.raises(SandboxException, match="404: Template site:stable"):
        Sandbox.create("site:stable")

    again: list[LogEntry] = []
    child = Template(file_context_path=project).from_template("site:production").run_cmd("cat www/said.txt")
    asyncio.run(AsyncTemplate.build(child, "child", on_build_logs=again.append))
    assert "a template's" in [entry.message for entry in again]
    assert "Skipping upload" not in "\n".join(entry.message for entry in again)

    stranger = api_key(server, server.new_tenant())
    assert not Template.exists("site", api_key=stranger)
    assert Sandbox.delete_snapshot("child") and not Template.exists("child")


def test_cells_of_bash_share_a_shell(server: RunningServer) -> None:
    with Sandbox.create() as sandbox:
        context = sandbox.create_code_context(language="bash")
        assert (
            sandbox.run_code("cd /tmp; word=kept; echo $ONCE", context=context, envs={"ONCE": "1"}).error
            is None
        )
        ran = sandbox.run_code("pwd; echo $word ${ONCE-gone}; cat <<END >&2\nwrong\nEND", language="bash")
        assert ("".join(ran.logs.stdout), ran.logs.stderr) == ("/home/user\ngone\n", ["wrong\n"])
        shared = sandbox.run_code("pwd; echo $word ${ONCE-gone}", context=context)
        assert "".join(shared.logs.stdout) == "/tmp\nkept gone\n"
        with pytest.raises(TimeoutException):
            sandbox.run_code("sleep 300", context=context, timeout=1)
        assert sandbox.run_code("echo $word", context=context).logs.stdout == ["kept\n"]
        failed = sandbox.run_code("false", context=context).error
        assert failed is not None and "exit code 1" in failed.value
        ended = sandbox.run_code("exit 3", context=context).error
        assert ended is not None and ended.name == "KernelDied"
        assert sandbox.run_code("echo again", context=context).logs.stdout == ["again\n"]
        with pytest.raises(SandboxException, match="python, javascript, typescript, bash"):
            sandbox.create_code_context(language="r")


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (Template().from_image("redis:7"), "is not pulled"),
        (Template().from_image("own/one", username="me", password="it"), "private registries"),
        (Template().from_base_image().set_user("postgres"), "no user 'postgres'"),
        (Template().from_base_image().run_cmd("echo tried; touch /usr/x"), "apt_install"),
        (Template().from_base_image().run_cmd("exit 7"), "ended with 7"),
        (Template().from_base_image().pip_install("never-made==9"), "never-made"),
    ],
)
def test_what_cannot_be_built_is_told_with_its_reason(
    server: RunningServer, template: TemplateBuilder, says: str
) -> None:
    with pytest.raises(BuildException, match=says):
        Template.build(template, "wrong")
    with pytest.raises(SandboxException, match="404"):
        Sandbox.create("wrong")


def test_the_guides_examples_print_what_they_say(server: RunningServer) -> None:
    page = "docs/guide/e2b.md"
    (exports,), programs = blocks(page, "bash"), "\n".join(blocks(page, "python"))
    terminal = Terminal(ROOT, {**clean_environment(), "INNKEEPER_DATA_DIR": str(server.data_dir)})
    said = terminal.ok("bash", "-euo", "pipefail", "-c", f"{exports}\npython - <<'END'\n{programs}\nEND")
    assert said.split() == ["sum:", "6", "words:", "3", "Hello"]
