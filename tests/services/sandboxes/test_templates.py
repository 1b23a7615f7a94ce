"""Templates: declared, built, and what sandboxes made from them begin with."""

from pathlib import Path

import pytest

from innkeeper.cli.failure import CommandFailed
from tests.running import RunningServer
from tests.services.sandboxes.conftest import SETTINGS
from tests.services.sandboxes.lodging import Lodging
from tests.stories.terminal import Terminal

SERVICE = "while true; do date > next; mv next beat; sleep 0.1; done"  # a beat is never seen half written


def test_sandboxes_begin_where_their_template_ended(lodging: Lodging) -> None:
    files = {"app/hello.py": "print('hello')"}
    commands = {"setUp": "cp app/hello.py app/copy.py", "start": SERVICE, "ready": "test -s beat"}
    state = lodging.built("web", files=files, **commands, warmUp="cp beat warm")
    assert state == "READY", lodging.log("web")
    first = lodging.create(template="web", timeoutSeconds=600)
    assert lodging.get(first)["template"] == "web"
    assert lodging.sh(first, "python app/copy.py; test -s warm") == "hello\n"
    beats = "a=$(date +%s%N); rm beat; while [ ! -s beat ]; do sleep 0.05; done"
    lodging.sh(first, beats)
    lodging.change(first, "hibernate")
    lodging.sh(first, beats)  # its start command goes on, or runs again
    lodging.api.send("DELETE", "/-/v1/templates/web", b"", {})
    with pytest.raises(CommandFailed, match="web does not exist"):
        lodging.create(template="web")
    lodging.change(first, "hibernate")
    assert lodging.sh(first, f"{beats}; python app/hello.py") == "hello\n"  # it lives on without its template
    lodging.kill(first)


def test_packages_are_there_for_the_programs_that_want_them(lodging: Lodging) -> None:
    state = lodging.built("packed", npm=["is-odd@3", "cowsay"], apt=["recode", "hello"], pip=["six==1.17.0"])
    assert state == "READY", lodging.log("packed")
    resolved = lodging.api.call("GET", "/-/v1/templates/packed")["resolved"]
    assert resolved["npm"]["is-odd"].startswith("3.0.1 sha512-")
    id_ = lodging.create(template="packed")
    assert lodging.sh(id_, "node -p 'require(`is-odd`)(7)'; cowsay moo | grep -c moo") == "true\n1\n"
    assert "sha256:" in resolved["apt"]["hello"]
    assert resolved["pip"] == {"six": "1.17.0"}
    script = "hello; printf é | recode utf8..latin1 | wc -c; python3 -c 'import six; print(2)'"
    assert lodging.sh(id_, script) == "Hello, world!\n1\n2\n"
    lodging.put(id_, "odd.mjs", b"import isOdd from 'is-odd'; console.log(isOdd(8))")
    assert lodging.sh(id_, "node odd.mjs") == "false\n"
    lodging.api.call("DELETE", "/-/v1/templates/packed")
    lodging.api.call("DELETE", "/-/v1/templates")
    assert lodging.sh(id_, "hello; node odd.mjs") == "Hello, world!\nfalse\n"  # it needs its packages
    lodging.kill(id_)
    assert lodging.api.call("DELETE", "/-/v1/templates")["bytes"] > 0
    assert lodging.api.call("DELETE", "/-/v1/templates") == {"bytes": 0}
    lodging.kill(lodging.create())  # what all sandboxes stand on is still there
    assert lodging.built("again", pip=["six==1.17.0"]) == "READY", lodging.log("again")
    lodging.kill(lodging.create(template="again"))
    lodging.api.call("DELETE", "/-/v1/templates/again")


@pytest.mark.parametrize("server", ["bubblewrap"], indirect=True)
def test_what_cannot_be_built_says_why(lodging: Lodging, server: RunningServer, tmp_path: Path) -> None:
    for members, rule in (
        ({"name": "base"}, "the system's own"),
        ({"name": "Big"}, "lowercase letters"),
        ({"name": "a", "apt": ["vim-"]}, "names of packages"),
        ({"name": "a", "base": "debian"}, "base or code-interpreter"),
        ({"name": "a", "npm": ["user/repository"]}, "names of packages"),
        ({"name": "a", "pip": ["--index-url=http://x"]}, "names of packages"),
    ):
        with pytest.raises(CommandFailed, match=rule):
            lodging.api.call("POST", "/-/v1/templates", members)
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    (tmp_path / "bad.toml").write_text('setUp = "echo trying; exit 7"')
    said = user.run("innkeeper", "templates", "build", "picky", "bad.toml")
    assert said.returncode == 1
    assert "trying" in said.stderr
    assert "the command ended with 7" in said.stderr
    with pytest.raises(CommandFailed, match="Template picky is FAILED"):
        lodging.create(template="picky")
    (tmp_path / "good.toml").write_text('setUp = "echo kept > note"')
    assert user.ok("innkeeper", "templates", "build", "picky", "good.toml") == "picky is ready.\n"
    id_ = lodging.create(template="picky")
    assert lodging.sh(id_, "cat note") == "kept\n"
    assert "picky" in user.ok("innkeeper", "templates", "ls")
    assert user.json("innkeeper", "templates", "rm", "picky", "--json") == {"name": "picky", "removed": True}
    lodging.kill(id_)


def test_what_templates_are_counts_as_images_do(tmp_path: Path) -> None:
    running = RunningServer(tmp_path, {**SETTINGS, "sandbox_images_max_bytes": "1000"}).start()
    try:
        lodging = Lodging(running)
        assert lodging.built("large", setUp="head -c 100000 /dev/urandom > large") == "FAILED"
        assert "1000 are allowed" in lodging.log("large")
        assert not list((tmp_path / "named-sandboxes/images").glob("*"))
    finally:
        running.stop()
