"""The example: an editor for the browser in a session of the code interpreter."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.running import RunningServer
from tests.stories.terminal import ROOT

pytestmark = pytest.mark.timeout(300)

PORT = 8000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    running = RunningServer(
        tmp_path, {"code_interpreter_packages": "[]", "code_interpreter_pool_count": "0"}
    ).start()
    yield running
    running.stop()


async def test_files_are_written_and_run_in_the_browser(server: RunningServer) -> None:
    command = [sys.executable, str(ROOT / "examples/editor/start.py")]
    started = subprocess.run(command, env=server.environment, check=True, capture_output=True, text=True)
    granted = server.native("POST", "/-/v1/web", {"id": started.stdout.strip(), "port": PORT})
    jar = aiohttp.CookieJar(unsafe=True)  # the server is an address, not a name
    async with aiohttp.ClientSession(cookie_jar=jar, raise_for_status=True) as browser:
        async with browser.get(granted["link"], headers={"Accept": "text/html"}) as page:
            assert "token" not in str(page.url)
            assert "<title>Editor</title>" in await page.text()
        url = granted["url"]
        await browser.put(f"{url}files/hello.py", data="print('hello ' * 2)")
        async with browser.get(f"{url}files") as listed:
            assert await listed.json() == ["hello.py"]
        async with browser.post(f"{url}files/hello.py") as ran:
            assert await ran.json() == {"output": "hello hello \n"}
