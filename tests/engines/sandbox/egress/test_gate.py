"""The egress of a sandbox on the loop that the server runs on, and what it keeps from that server."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
import uvloop

from innkeeper.engines.sandbox import network
from innkeeper.engines.sandbox.bubblewrap import BubblewrapDriver
from innkeeper.engines.sandbox.child import PATH
from innkeeper.engines.sandbox.contract_internet import OTHER, PORT, PUBLIC, internet, listed, tried
from innkeeper.engines.sandbox.contract_room import python
from innkeeper.engines.sandbox.egress.authority import Authority
from innkeeper.engines.sandbox.egress.firewall import CONNECTIONS_MAX
from innkeeper.engines.sandbox.sandbox import Egress, Network, Secret

FLOOD = """
import json, socket, urllib.request
def connected(host, port):
    made = socket.socket()
    made.settimeout(30)
    try:
        made.connect((host, port))
        return made
    except ConnectionError:
        return None
held = [connected("192.0.2.4", 443) for _ in range(1000)] + [connected("192.0.2.3", 53) for _ in range(1000)]
query = b"\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3www\\3xyz\\0\\0\\1\\0\\1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
    dropped = 0
    for _ in range(3000):
        try:
            asker.sendto(query, ("192.0.2.3", 53))
        except OSError:
            dropped += 1
print(json.dumps([sum(map(bool, held)), dropped > 0]))
"""
REQUEST = """
import urllib.request
print(urllib.request.urlopen("https://api.example.test/", b"body", timeout=60).read().decode())
"""


def test_it_works_on_uvloop_and_a_flood_changes_nothing(tmp_path: Path) -> None:
    async def visit() -> None:
        driver = BubblewrapDriver(tmp_path / "state")
        egress = Egress(["open.example.test"], secrets=[Secret("api.example.test", "X-Key", "xyzzy")])
        async with internet(tmp_path) as made:
            try:
                async with listed(driver, egress) as bad, listed(driver, egress) as good:
                    held, dropped = json.loads((await python(bad, FLOOD)).out)
                    assert 0 < held <= 2 * CONNECTIONS_MAX
                    assert dropped
                    places = (("open.example.test", PORT), (PUBLIC, PORT), (OTHER, PORT))
                    assert await tried(good, *places) == ["hi", "hi", "ConnectionRefusedError"]
                    assert (await python(good, REQUEST)).text == "bodyok"
                    assert "\r\nX-Key: xyzzy\r\n" in made.heads[-1]
            finally:
                await driver.close()

    uvloop.run(visit())


async def test_the_authority_outlives_its_server_and_its_key_is_nobody_s(tmp_path: Path) -> None:
    first, second = await asyncio.to_thread(Authority, tmp_path), await asyncio.to_thread(Authority, tmp_path)
    assert first.bundle.read_bytes() == second.bundle.read_bytes()
    assert (tmp_path / "authority.pem").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in first.bundle.read_bytes()


async def test_without_nft_there_are_no_lists_and_the_driver_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = BubblewrapDriver(tmp_path / "state")
    before = await driver.probe()
    if Network.LISTED not in before.networks:
        pytest.skip("no lists here: " + "; ".join(before.problems))
    for program in ("slirp4netns", "ip", "nsenter"):
        (tmp_path / program).symlink_to(str(shutil.which(program, path=PATH)))
    monkeypatch.setattr(network, "PATH", str(tmp_path))
    after = await driver.probe()
    assert after.networks == before.networks - {Network.LISTED}
    assert set(after.problems) - set(before.problems) == {
        "no allow-lists for agents: `apt-get install nftables`"
    }
