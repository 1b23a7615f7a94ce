"""`innkeeper sandbox` in scripts; the guide's own test has its other commands."""

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
    user.ok(*inn, "pause", id_)
    (shown,) = user.json(*inn, "ls", "--json", "--meta", "owner=me")["sandboxes"]
    assert (shown["id"], shown["state"], shown["template"]) == (id_, "PAUSED", "base")
    told = user.run(*inn, "exec", "--json", id_, "--", "node", "-p", "6 * 7")
    assert told.stdout == '{"stdout": "42\\n", "stderr": "", "exitCode": 0}\n'
    user.ok(*inn, "rm", id_)
    assert user.refused(*inn, "pause", id_).endswith(f"Sandbox {id_} has ended: it was killed")
