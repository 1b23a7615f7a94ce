"""`innkeeper sandbox` in scripts; the guide's own test has its other commands."""

import os
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.stories.terminal import Terminal

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize("server", ["bubblewrap"], indirect=True),
]


def test_a_user_keeps_a_sandbox(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    inn = ("innkeeper", "sandbox")
    id_ = user.ok(*inn, "create", "--env", "WORD=here", "--meta", "owner=me", "--timeout", "600").strip()
    (tmp_path / "in.bin").write_bytes(bytes(range(256)))
    assert user.ok(*inn, "cp", "in.bin", f"{id_}:deep/in.bin") == f"256 bytes in {id_}:deep/in.bin\n"
    script = "echo $WORD; cat; echo oops >&2; wc -c < deep/in.bin; exit 3"
    ended = user.run(*inn, "exec", "--stdin", id_, "--", "bash", "-c", script, given="given\n")
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "here\ngiven\n256\n", "oops\n")
    for word, code in (("no-such-program", 127), ("/etc/passwd", 126)):
        ended = user.run(*inn, "exec", id_, "--", word)
        assert (ended.returncode, word in ended.stderr) == (code, True)
    user.ok(*inn, "pause", id_)
    (shown,) = user.json(*inn, "ls", "--json", "--meta", "owner=me")["sandboxes"]
    assert (shown["id"], shown["state"], shown["template"]) == (id_, "PAUSED", "base")
    told = user.run(*inn, "exec", "--json", id_, "--", "node", "-p", "6 * 7")
    assert told.stdout == '{"stdout": "42\\n", "stderr": "", "exitCode": 0}\n'
    user.ok(*inn, "rm", id_)
    assert user.refused(*inn, "pause", id_).endswith(f"Sandbox {id_} has ended: it was killed")


def test_a_user_carries_folders(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    inn = ("innkeeper", "sandbox")
    id_ = user.ok(*inn, "create").strip()
    folder = tmp_path / "project"
    (folder / "deep/-odd name").mkdir(parents=True)
    (folder / "deep/-odd name/run").write_text("#!/bin/sh\necho ran\n")
    (folder / "deep/-odd name/run").chmod(0o755)
    (folder / "latest").symlink_to("deep")
    (folder / "large").write_bytes(os.urandom(17 << 20))
    os.mkfifo(folder / "pipe")
    told = user.run(*inn, "cp", "project", f"{id_}:work")
    assert (told.returncode, told.stderr.count("left out"), told.stderr.count("'pipe'")) == (0, 1, 1), told
    assert user.ok(*inn, "exec", id_, "--", "sh", "-c", "'./work/latest/-odd name/run'") == "ran\n"
    user.ok(*inn, "exec", id_, "--", "ln", "-s", "/etc/passwd", "work/out")
    user.ok(*inn, "cp", "project/latest/-odd name/run", f"{id_}:work")  # into the folder
    assert user.json(*inn, "cp", "--json", f"{id_}:work", "back")["leftOut"] == ["./out"]
    assert (tmp_path / "back/large").read_bytes() == (folder / "large").read_bytes()
    assert os.access(tmp_path / "back/deep/-odd name/run", os.X_OK)
    assert (tmp_path / "back/latest").readlink() == Path("deep")
    user.ok(*inn, "cp", f"{id_}:work/run", "back")
    assert (tmp_path / "back/run").read_text() == "#!/bin/sh\necho ran\n"
    assert "no work/none" in user.refused(*inn, "cp", f"{id_}:work/none", "back")
    assert "1 MiB" in user.refused(*inn, "cp", "--most", "1", f"{id_}:work", "more")
    assert "made as listed" in user.refused(*inn, "network", id_)
    user.ok(*inn, "rm", id_)


def test_a_user_lists_what_a_sandbox_may_reach(server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    inn = ("innkeeper", "sandbox")
    id_ = user.ok(*inn, "create", "--allow", "*.example.com", "--allow", "203.0.113.0/24:443").strip()
    assert user.json(*inn, "network", id_, "--json")["cidrs"] == ["203.0.113.0/24:443"]
    changed = user.ok(*inn, "network", id_, "--allow", "pypi.org", "--deny", "203.0.113.0/24:443")
    assert changed == user.ok(*inn, "network", id_) == "*.example.com\npypi.org\n"
    assert "not on the list: x.org" in user.refused(*inn, "network", id_, "--deny", "x.org")
    user.ok(*inn, "rm", id_)
