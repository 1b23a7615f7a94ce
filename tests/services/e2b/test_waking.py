"""E2B's sandboxes that sleep, and wake when something is done in them."""

from collections.abc import Iterator

import pytest
from e2b import Sandbox, SandboxException

from tests.running import RunningServer
from tests.stories.e2b_serving import serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("waking"), {"code_interpreter_prepare": "nothing"}) as running:
        yield running


def test_a_sleeper_wakes_by_itself_where_that_was_asked_for(server: RunningServer) -> None:
    with Sandbox.create("base", lifecycle={"on_timeout": "pause", "auto_resume": True}) as sandbox:
        info = sandbox.get_info()
        assert info.lifecycle == {"on_timeout": "pause", "auto_resume": True}
        assert info.allow_internet_access is True
        sandbox.files.write("kept", "before")
        sandbox.pause()
        assert not sandbox.is_running()
        assert sandbox.commands.run("cat kept").stdout == "before"
        assert sandbox.is_running()
        server.native("POST", f"/-/v1/sandboxes/{sandbox.sandbox_id}/hibernate")
        assert not sandbox.is_running()
        assert sandbox.files.read("kept") == "before"
    with pytest.raises(SandboxException, match="mode must be full"):
        Sandbox.create(lifecycle={"on_timeout": {"action": "pause", "mode": "filesystem"}})
