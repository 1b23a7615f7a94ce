"""Files, commands and tasks of a session."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.code_interpreter.coding import Coding

# What a cell, a file or a prompt does is the same whatever database its session is noted in.
pytestmark = pytest.mark.parametrize("server", ["sqlite"], indirect=True)


def read(coding: Coding, path: str) -> bytes:
    resource = coding.invoke("readFiles", paths=[path])["content"][0]["resource"]
    return bytes(resource["blob"]) if "blob" in resource else resource["text"].encode()


@settings(max_examples=15)
@given(data=st.binary(max_size=2000))
def test_bytes_come_back_as_they_went_in(coding: Coding, data: bytes) -> None:
    coding.invoke("writeFiles", content=[{"path": "folder/data.bin", "blob": data}])
    assert read(coding, "folder/data.bin") == data


def test_text_comes_back_as_text(coding: Coding) -> None:
    result = coding.invoke("writeFiles", content=[{"path": "a.csv", "text": "name,Größe\n"}])
    assert not result["isError"]
    (item,) = coding.invoke("readFiles", paths=["a.csv"])["content"]
    assert item["type"] == "resource"
    assert item["resource"] == {
        "type": "text",
        "uri": "file://a.csv",
        "mimeType": "text/csv",
        "text": "name,Größe\n",
    }
    assert coding.out("open('a.csv').read()") == "'name,Größe\\n'\n"


def test_several_files_come_one_by_one(coding: Coding) -> None:
    coding.invoke("writeFiles", content=[{"path": f"{name}.txt", "text": name} for name in "xyz"])
    found = coding.results("readFiles", paths=["x.txt", "y.txt", "z.txt"])
    assert [result["content"][0]["resource"]["text"] for result in found] == ["x", "y", "z"]


def test_large_files_go_in_and_a_too_large_one_is_named(coding: Coding) -> None:
    data = bytes(range(256)) * 65_000
    coding.invoke("writeFiles", content=[{"path": "large.bin", "blob": data}])
    assert read(coding, "large.bin") == data
    coding.out("open('huge.bin', 'wb').truncate(18_000_000)\nNone")
    result = coding.invoke("readFiles", paths=["huge.bin"])
    assert result["isError"]
    assert "huge.bin is larger than" in result["content"][0]["text"]


def test_what_a_user_installs_runs_in_no_program_of_ours(coding: Coding) -> None:
    coding.out(
        "import pathlib, site, subprocess, sys\n"
        "installed = pathlib.Path(site.getusersitepackages(), 'usercustomize.py')\n"
        "installed.parent.mkdir(parents=True, exist_ok=True)\n"
        "installed.write_text('raise SystemExit(3)')\nNone"
    )
    try:
        assert coding.out("subprocess.run([sys.executable, '-c', '']).returncode") != "0\n"
        assert not coding.invoke("listFiles")["isError"]
    finally:
        coding.out("installed.unlink()")


def test_a_folder_is_listed(coding: Coding) -> None:
    coding.out("import os\nos.makedirs('shelf/inner')\nopen('shelf/book.txt', 'w').write('abc')\nNone")
    book, inner = coding.invoke("listFiles", directoryPath="shelf")["content"]
    assert book == {
        "type": "resource_link",
        "uri": "file:///home/agent/shelf/book.txt",
        "name": "book.txt",
        "description": "File",
        "mimeType": "text/plain",
        "size": 3,
    }
    assert (inner["name"], inner["description"]) == ("inner", "Directory")
    assert "shelf" in [item["name"] for item in coding.invoke("listFiles")["content"]]


def test_files_are_removed_all_or_none(coding: Coding) -> None:
    coding.invoke("writeFiles", content=[{"path": "one", "text": "1"}, {"path": "two", "text": "2"}])
    failed = coding.invoke("removeFiles", paths=["one", "missing"])
    assert failed["isError"]
    assert "No such file or directory: missing" in failed["content"][0]["text"]
    assert not coding.invoke("removeFiles", paths=["one", "two"])["isError"]
    assert coding.invoke("readFiles", paths=["one"])["isError"]


def test_no_path_leads_out(coding: Coding) -> None:
    coding.out("import os\nos.symlink('/etc/shadow', 'link')")
    for path in ("../../etc/shadow", "/etc/shadow", "link", "missing"):
        result = coding.invoke("readFiles", paths=[path])
        assert result["isError"]
        assert "Cannot read" in result["content"][0]["text"]
    written = coding.invoke("writeFiles", content=[{"path": "../../etc/evil", "text": ""}])
    assert written["isError"]
    assert "Cannot write" in written["content"][0]["text"]


def test_a_command_gives_output_and_exit_code(coding: Coding) -> None:
    result = coding.invoke("executeCommand", command="echo out; echo err >&2; exit 3")
    structured = result["structuredContent"]
    assert result["isError"]
    assert (structured["stdout"], structured["stderr"], structured["exitCode"]) == ("out\n", "err\n", 3)
    assert coding.invoke("executeCommand", command="python -c 'print(6*7)'")["content"][0]["text"] == "42\n"


def test_a_command_that_hangs_is_killed(coding: Coding) -> None:
    structured = coding.invoke("executeCommand", command="echo begun; sleep 600")["structuredContent"]
    assert structured["stdout"] == "begun\n"
    assert "timed out after 5 s" in structured["stderr"]
    assert structured["exitCode"] == -9


def test_a_command_that_floods_is_cut_off(coding: Coding) -> None:
    stdout = coding.invoke("executeCommand", command="yes | head -c 5000000")["structuredContent"]["stdout"]
    assert "4500000 more bytes were dropped" in stdout


def wait(coding: Coding, task: str) -> dict[str, object]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        structured: dict[str, object] = coding.invoke("getTask", taskId=task)["structuredContent"]
        if structured["taskStatus"] != "working":
            return structured
        time.sleep(0.1)
    raise AssertionError("the task did not end")


def test_a_task_goes_on_in_the_background(coding: Coding) -> None:
    command = "echo begun; until [ -e go ]; do sleep 0.05; done; echo ended"
    result = coding.invoke("startCommandExecution", command=command)
    started = result["structuredContent"]
    assert started["taskStatus"] == "working"
    assert result["content"][0]["text"] == f"Task {started['taskId']} is working"
    coding.invoke("writeFiles", content=[{"path": "go", "text": ""}])
    ended = wait(coding, started["taskId"])
    assert (ended["taskStatus"], ended["stdout"], ended["exitCode"]) == ("completed", "begun\nended\n", 0)


def test_a_task_that_fails_says_so(coding: Coding) -> None:
    started = coding.invoke("startCommandExecution", command="exit 4")["structuredContent"]
    ended = wait(coding, started["taskId"])
    assert (ended["taskStatus"], ended["exitCode"]) == ("failed", 4)


def test_a_task_is_stopped(coding: Coding) -> None:
    task = coding.invoke("startCommandExecution", command="sleep 600")["structuredContent"]["taskId"]
    assert coding.invoke("stopTask", taskId=task)["structuredContent"]["taskStatus"] == "canceled"
    assert coding.invoke("getTask", taskId=task)["structuredContent"]["taskStatus"] == "canceled"


def test_an_unknown_task_is_a_result(coding: Coding) -> None:
    result = coding.invoke("getTask", taskId="made-up")
    assert result["isError"]
    assert "made-up" in result["content"][0]["text"]
