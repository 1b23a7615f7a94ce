"""E2B's own SDKs, unmodified, against a server of ours: what their users do, with both kinds of clients."""

import asyncio
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from e2b import (
    AuthenticationException,
    CommandExitException,
    FileNotFoundException,
    InvalidArgumentException,
    NotFoundException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
    TimeoutException,
)
from e2b.sandbox.commands.command_handle import PtySize
from e2b_code_interpreter import AsyncSandbox, Sandbox

from tests.running import RunningServer, clean_environment
from tests.stories.e2b_serving import SETTLE_SECONDS, api_key, has_memory, serving, until
from tests.stories.terminal import ROOT, Terminal
from tests.stories.tls_front import Certificates, tls_front

DOMAIN = "rooms.example"
SETTINGS = {
    "code_interpreter_packages": "[]",
    "code_interpreter_cell_timeout_seconds": "60",
    "e2b_domain": DOMAIN,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("e2b"), SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(server: RunningServer) -> Iterator[Sandbox]:
    with Sandbox.create(timeout=600, metadata={"who": "a b&c"}, envs={"GREETING": "hello"}) as made:
        yield made


def test_commands_run_with_their_surroundings(sandbox: Sandbox) -> None:
    assert sandbox.is_running()
    parts: list[str] = []
    done = sandbox.commands.run(
        "echo $GREETING $MORE; pwd; echo oops >&2", envs={"MORE": "you"}, on_stdout=parts.append
    )
    assert (done.stdout, done.stderr, done.exit_code) == ("hello you\n/home/user\n", "oops\n", 0)
    assert "".join(parts) == done.stdout
    assert sandbox.commands.run("pwd; echo ~", cwd="/tmp", user="root").stdout == "/tmp\n/home/user\n"
    assert (
        sandbox.commands.run("sudo -E -u root WORD=done sh -c 'echo $WORD; id -un'").stdout == "done\nagent\n"
    )
    with pytest.raises(CommandExitException, match="unknown user"):
        sandbox.commands.run("sudo -u postgres true")
    with pytest.raises(CommandExitException) as failed:
        sandbox.commands.run("echo so far; exit 3")
    assert (failed.value.exit_code, failed.value.stdout) == (3, "so far\n")
    with pytest.raises(TimeoutException):
        sandbox.commands.run("sleep 300", timeout=1)
    many = sandbox.commands.run("head -c 3000000 /dev/zero | tr '\\0' x")
    assert len(many.stdout) == 3_000_000


def test_commands_in_the_background_are_listed_fed_joined_and_killed(sandbox: Sandbox) -> None:
    fed = sandbox.commands.run("cat; echo done", background=True, stdin=True)
    assert fed.pid in [process.pid for process in sandbox.commands.list()]
    sandbox.commands.send_stdin(fed.pid, "one\n")
    sandbox.commands.stream_input(fed.pid, ["two\n", b"three\n"])
    fed.close_stdin()
    assert fed.wait().stdout == "one\ntwo\nthree\ndone\n"

    endless = sandbox.commands.run("echo begun; exec sleep 300", background=True)
    joined = sandbox.commands.connect(endless.pid)
    assert endless.kill()
    for handle in (endless, joined):
        with pytest.raises(CommandExitException) as killed:
            handle.wait()
        assert killed.value.error == "signal: killed"
    until(lambda: not sandbox.commands.list())
    assert not sandbox.commands.kill(endless.pid)
    with pytest.raises(NotFoundException):
        sandbox.commands.connect(endless.pid)


def test_a_terminal_has_a_size_and_takes_what_is_typed(sandbox: Sandbox) -> None:
    terminal = sandbox.pty.create(PtySize(rows=24, cols=80), cwd="/tmp")
    sandbox.pty.resize(terminal.pid, PtySize(rows=33, cols=99))
    sandbox.pty.send_stdin(terminal.pid, b"stty size; pwd; exit\n")
    shown: list[bytes] = []
    terminal.wait(on_pty=shown.append)
    assert b"33 99\r\n" in b"".join(shown) and b"/tmp\r\n" in b"".join(shown)


def test_files_are_written_read_looked_at_moved_and_watched(sandbox: Sandbox) -> None:
    files = sandbox.files
    written = files.write("notes/one.txt", "caf\u00e9")
    assert (written.name, written.path) == ("one.txt", "/home/user/notes/one.txt")
    assert (
        sandbox.commands.run("cat notes/one.txt").stdout
        == files.read("/home/user/notes/one.txt")
        == "caf\u00e9"
    )
    files.write_files([{"path": "notes/two", "data": b"\0\xff"}, {"path": "/tmp/three", "data": "3"}])
    files.write("notes/four", io.BytesIO(b"4" * 1_000_000), gzip=True)
    assert files.read("notes/two", format="bytes") == b"\0\xff"
    assert sum(map(len, files.read("notes/four", format="stream"))) == 1_000_000
    with pytest.raises(FileNotFoundException):
        files.read("nothing")

    assert files.make_dir("notes/deep/er") and not files.make_dir("notes/deep")
    assert [entry.name for entry in files.list("notes")] == ["deep", "four", "one.txt", "two"]
    assert "er" in [entry.name for entry in files.list("notes", depth=2)]
    watch = files.watch_dir("notes", recursive=True)
    moved = files.rename("notes/one.txt", "notes/deep/uno.txt")
    assert (moved.path, moved.size) == ("/home/user/notes/deep/uno.txt", 5)
    files.remove("notes/deep/uno.txt")
    events: list[tuple[str, str]] = []

    def removed() -> bool:
        events.extend((event.type.value, event.name) for event in watch.get_new_events())
        return ("remove", "deep/uno.txt") in events

    until(removed)
    watch.stop()
    assert ("rename", "one.txt") in events and ("create", "deep/uno.txt") in events
    assert not files.exists("notes/deep/uno.txt") and files.exists("~/notes")
    assert files.list("notes")[0].permissions == "drwxr-xr-x"


def test_code_keeps_its_variables_and_tells_what_it_shows(sandbox: Sandbox) -> None:
    heard: list[str] = []
    cell = "import sys\nx = 40\nprint('first')\nprint('wrong', file=sys.stderr)\nx + 2"
    ran = sandbox.run_code(cell, on_stdout=lambda part: heard.append(part.line), envs={"ONCE": "1"})
    assert (ran.text, "".join(ran.logs.stdout), "".join(ran.logs.stderr)) == ("42", "first\n", "wrong\n")
    assert "".join(heard) == "first\n"
    assert sandbox.run_code("import os; x, 'ONCE' in os.environ").text == "(40, False)"
    assert (
        sandbox.run_code("os.getcwd(), os.path.realpath('/home/agent')").text
        == "('/home/user', '/home/user')"
    )

    rich = "class Chart:\n    def _repr_png_(self): return b'png'\n    def _repr_html_(self): return '<b>'\n"
    shown, main = sandbox.run_code(f"{rich}display(Chart())\n'end'").results
    assert (shown.png, shown.html, shown.is_main_result) == ("cG5n", "<b>", False)
    assert (main.text, main.is_main_result) == ("'end'", True)

    error = sandbox.run_code("def f(): 1 / 0\nf()").error
    assert error is not None
    assert (error.name, error.value) == ("ZeroDivisionError", "division by zero")
    assert "in f" in error.traceback
    died = sandbox.run_code("import os; os._exit(7)").error
    assert died is not None and "variables are lost" in died.value
    assert sandbox.run_code("1 + 1").text == "2"


def test_contexts_are_apart_and_speak_other_languages(sandbox: Sandbox) -> None:
    sandbox.run_code("here = 'default'")
    context = sandbox.create_code_context(cwd="/tmp")
    assert (
        sandbox.run_code("import os; os.getcwd(), 'here' in globals()", context=context).text
        == "('/tmp', False)"
    )
    script = sandbox.run_code("const y = 20; console.log('js'); y + 1", language="javascript")
    assert (script.text, script.logs.stdout) == ("21", ["js\n"])
    assert sandbox.run_code("nothing.there", language="javascript").error is not None
    assert {known.language for known in sandbox.list_code_contexts()} == {"python", "javascript"}
    sandbox.run_code("kept = 1", context=context)
    sandbox.restart_code_context(context)
    assert sandbox.run_code("'kept' in globals()", context=context).text == "False"
    sandbox.remove_code_context(context)
    with pytest.raises(NotFoundException):
        sandbox.run_code("1", context=context)
    assert sandbox.run_code("here").text == "'default'"


def test_a_run_that_nobody_waits_for_is_interrupted(sandbox: Sandbox) -> None:
    sandbox.run_code("started = True")
    with pytest.raises(TimeoutException):
        sandbox.run_code("import time\ntime.sleep(300)", timeout=1)
    assert sandbox.run_code("started").text == "True"


def test_a_sandbox_lives_sleeps_wakes_and_ends(server: RunningServer) -> None:
    sandbox = Sandbox.create(
        "base", timeout=300, metadata={"story": "life"}, lifecycle={"on_timeout": "pause"}
    )
    info = sandbox.get_info()
    assert (info.state, info.metadata, info.template_id) == (SandboxState.RUNNING, {"story": "life"}, "base")
    sandbox.set_timeout(900)
    later = sandbox.get_info().end_at
    assert later > info.end_at
    assert sandbox.connect(timeout=30).get_info().end_at >= later

    going_on = sandbox.commands.run("read line; echo got $line", background=True, stdin=True, timeout=0)
    measured = until(lambda: (taken := sandbox.get_metrics())[1:] and taken)
    assert all(one.mem_total > one.mem_used > 0 for one in measured)
    assert [one.timestamp for one in measured] == sorted(one.timestamp for one in measured)
    assert sandbox.get_metrics(end=info.started_at - timedelta(minutes=1)) == []
    sandbox.set_timeout(0)
    assert not sandbox.pause() and not sandbox.is_running()
    assert sandbox.get_info().state is SandboxState.PAUSED
    again = Sandbox.connect(sandbox.sandbox_id, timeout=300)
    assert again.is_running()
    again.commands.send_stdin(going_on.pid, "it\n")
    assert going_on.wait().stdout == "got it\n"

    assert sandbox.kill() and not sandbox.kill()
    assert not sandbox.is_running()
    brief = Sandbox.create("base")
    brief.set_timeout(0)
    assert not brief.kill()
    for lost in (sandbox.get_info, sandbox.connect, lambda: sandbox.set_timeout(60)):
        with pytest.raises(SandboxNotFoundException):
            lost()


def test_forks_snapshots_and_sleepers_go_on_from_where_they_were(server: RunningServer) -> None:
    sandbox = Sandbox.create(timeout=300)
    with_memory = has_memory(sandbox)
    sandbox.run_code("import random, ssl; kept = ['before']")
    sandbox.files.write("kept.txt", "before")
    forks = sandbox.fork(timeout=300, count=2)
    snapshot = sandbox.create_snapshot(name="story")
    restored = Sandbox.create(snapshot.snapshot_id, timeout=300)
    copies = [fork for fork in forks if isinstance(fork, Sandbox)] + [restored]
    assert len(copies) == 3
    luck = {one.run_code("import random, ssl; (random.random(), ssl.RAND_bytes(8))").text for one in copies}
    assert len(luck) == len(copies)
    for number, copy in enumerate(copies):
        if with_memory:
            assert copy.run_code(f"kept.append({number}); kept").text == f"['before', {number}]"
        assert copy.files.read("kept.txt") == "before"
        copy.files.write("kept.txt", str(number))
        copy.kill()
    assert sandbox.run_code("kept").text == "['before']"
    assert [one.snapshot_id for one in sandbox.list_snapshots().next_items()] == [snapshot.snapshot_id]
    assert Sandbox.delete_snapshot(snapshot.snapshot_id)
    assert not Sandbox.delete_snapshot(snapshot.snapshot_id)

    watch = sandbox.files.watch_dir(".")
    waiting = sandbox.commands.run("read line; echo $line > told", background=True, stdin=True, timeout=0)
    server.native("POST", f"/-/v1/sandboxes/{sandbox.sandbox_id}/hibernate")
    assert not sandbox.is_running()
    sandbox.connect(timeout=300)
    assert sandbox.files.read("kept.txt") == "before"
    if with_memory:
        assert sandbox.run_code("kept").text == "['before']"
        again = sandbox.commands.connect(waiting.pid)
        sandbox.commands.send_stdin(waiting.pid, "it\n")
        assert again.wait().exit_code == 0
        assert sandbox.files.read("told") == "it\n"

        def watched() -> bool:  # it begins anew soon after
            sandbox.files.write("later", "more")
            return "later" in [event.name for event in watch.get_new_events()]

        until(watched)
    sandbox.kill()


def test_a_service_inside_is_reached_with_the_traffic_token(server: RunningServer, sandbox: Sandbox) -> None:
    sandbox.files.write("web/page.txt", "from inside")
    sandbox.commands.run("python3 -m http.server 8123 --directory web", background=True, timeout=0)
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "8123"}
    url = f"{server.url}/-/e2b/sandbox/page.txt"
    assert httpx.get(url, headers=headers).status_code == 401
    headers["E2B-Traffic-Access-Token"] = str(sandbox.traffic_access_token)
    answered = until(lambda: (answer := httpx.get(url, headers=headers)).status_code != 502 and answer)
    assert (answered.status_code, answered.text) == (200, "from inside")


def test_lists_are_filtered_ordered_and_come_in_pages(server: RunningServer, sandbox: Sandbox) -> None:
    made = [Sandbox.create("base", metadata={"story": "list", "number": str(index)}) for index in range(3)]
    made[2].pause()
    ids = [one.sandbox_id for one in made]
    try:
        pages = Sandbox.list(SandboxQuery(metadata={"story": "list"}), limit=2)
        first = [one.sandbox_id for one in pages.next_items()]
        assert first == [ids[2], ids[1]] and pages.has_next
        assert [one.sandbox_id for one in pages.next_items()] == [ids[0]] and not pages.has_next
        paused = SandboxQuery(metadata={"story": "list"}, state=[SandboxState.PAUSED])
        assert [one.sandbox_id for one in Sandbox.list(paused).next_items()] == [ids[2]]
        code = SandboxQuery(template="code-interpreter", metadata={"who": "a b&c"})
        assert [one.sandbox_id for one in Sandbox.list(code).next_items()] == [sandbox.sandbox_id]
        upwards = Sandbox.list(SandboxQuery(metadata={"story": "list"}), limit=2, order="asc")
        assert [one.sandbox_id for one in upwards.next_items()] == ids[:2]
        assert [one.sandbox_id for one in upwards.next_items()] == ids[2:]
    finally:
        for one in made:
            one.kill()


def test_a_sandbox_is_its_own_tenants_alone(server: RunningServer, sandbox: Sandbox) -> None:
    stranger = api_key(server, server.new_tenant())
    for wrong in ("e2b_" + "0" * 104, stranger[:-1] + ("1" if stranger[-1] == "0" else "0"), "nonsense"):
        with pytest.raises(AuthenticationException):
            Sandbox.list(api_key=wrong).next_items()
    assert Sandbox.list(api_key=stranger).next_items() == []
    with pytest.raises(SandboxNotFoundException):
        Sandbox.connect(sandbox.sandbox_id, api_key=stranger)
    assert not Sandbox.kill(sandbox.sandbox_id, api_key=stranger)

    other = Sandbox.create("base", api_key=stranger)
    theirs = other.connection_config.sandbox_headers["X-Access-Token"]
    for token in ("", "nonsense", theirs):
        headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983", "X-Access-Token": token}
        asked = urllib.request.Request(f"{server.url}/-/e2b/sandbox/files?path=x", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=30)
        assert refused.value.code == 401
        refused.value.close()
    other.kill()


def test_calls_that_are_malformed_are_refused_with_a_clear_word(
    server: RunningServer, sandbox: Sandbox
) -> None:
    calls = httpx.Client(
        base_url=f"{server.url}/-/e2b/sandbox", headers=sandbox.connection_config.sandbox_headers
    )

    def ended(body: bytes, **headers: str) -> str:
        answer = calls.post("/process.Process/Start", content=body, headers=headers)
        return str(json.loads(answer.content[5:])["error"]["code"])

    with calls:
        assert ended(b"\1\0\0\0\2{}") == "unimplemented"
        assert ended(b"\0\0\0\0\2[]") == ended(b"\0\0\0") == ended(b"") == "invalid_argument"
        assert ended(b"\0\xff\xff\xff\xff") == "resource_exhausted"
        assert ended(b"\0\0\0\0\2{}", **{"Connect-Timeout-Ms": "soon"}) == "invalid_argument"
        unary = "/filesystem.Filesystem/Stat"
        for body in (b"no JSON", b"[]", b"{}", b'{"path": 1}', b'{"path": "\\u0000"}', b"[" * 100_000):
            answer = calls.post(unary, content=body)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument"), body
        assert calls.post(unary, content=bytes(5 << 20)).json()["code"] == "resource_exhausted"
        assert calls.post("/process.Process/Nothing", json={}).status_code == 501
        assert calls.post("/files?path=x", content=b"", headers={"Content-Encoding": "br"}).status_code == 400
    with pytest.raises(InvalidArgumentException):
        sandbox.commands.run("id", user="stranger")
    assert sandbox.commands.run("echo fine").stdout == "fine\n"


def test_the_asynchronous_sdk_does_the_same(server: RunningServer) -> None:
    asyncio.run(_asynchronously())


async def _asynchronously() -> None:
    sandbox = await AsyncSandbox.create(timeout=300)
    async with sandbox:
        assert (await sandbox.run_code("[1, 2]")).text == "[1, 2]"
        many = await asyncio.gather(*(sandbox.commands.run(f"echo {number}") for number in range(5)))
        assert [done.stdout for done in many] == [f"{number}\n" for number in range(5)]

        seen: asyncio.Queue[str] = asyncio.Queue()
        watch = await sandbox.files.watch_dir(".", on_event=lambda event: seen.put_nowait(event.name))
        await sandbox.files.write("watched", "1")
        async with asyncio.timeout(SETTLE_SECONDS):
            assert await seen.get() == "watched"
        await watch.stop()

        shown: list[bytes] = []
        terminal = await sandbox.pty.create(PtySize(rows=24, cols=80), on_data=shown.append)
        await sandbox.pty.send_stdin(terminal.pid, b"echo $((6 * 7)); exit\n")
        await terminal.wait()
        assert b"42\r\n" in b"".join(shown)

        assert await sandbox.pause() and not await sandbox.is_running()
        await sandbox.connect()
        assert await sandbox.files.read("watched") == "1"
        assert (await sandbox.run_code("1 + 1")).text == "2"
    assert not await sandbox.is_running()


def test_a_domain_leads_to_the_api_and_to_every_port(server: RunningServer, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path, DOMAIN)
    environment = {
        **clean_environment(),
        "E2B_API_KEY": api_key(server, server.keys),
        "E2B_DOMAIN": DOMAIN,
        "SSL_CERT_FILE": str(certificates.authority),
    }
    for name in ("E2B_API_URL", "E2B_SANDBOX_URL"):
        environment.pop(name, None)
    with tls_front(certificates, int(server.url.rpartition(":")[2])) as proxy:
        program = Path(__file__).parent / "e2b_by_domain.py"
        said = Terminal(ROOT, environment).ok("python", str(program), proxy)
    assert said.splitlines() == ["42", "by name", "by name", "200 uploaded", "401", "uploaded 401"]
