"""The contract of secrets at the egress: they are added outside, for their host alone, and never come in."""

import json

from innkeeper.engines.sandbox.contract_internet import (
    PUBLIC,
    Internet,
    OnTheInternet,
    listed,
    looked_up,
    tried,
)
from innkeeper.engines.sandbox.contract_room import python, shell
from innkeeper.engines.sandbox.sandbox import Egress, SandboxDriver, Secret

_VALUE = "Bearer xyzzy-20391"
_SECRET = Secret("api.example.test", "Authorization", _VALUE)

_REQUEST = """
import json, sys, urllib.request
def request(url, data, headers):
    try:
        made = urllib.request.Request(url, data.encode() if data else None, headers)
        with urllib.request.urlopen(made, timeout=60) as answer:
            return answer.status, len(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)
print(json.dumps([request(*each) for each in json.loads(sys.argv[1])]))
"""
_UPLOAD = """
import http.client, os, sys
whole = http.client.HTTPSConnection("api.example.test", timeout=60)
size = 0
for _ in range(2):  # on one connection
    whole.request("POST", "/", body=(os.urandom(65536) for _ in range(80)), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
    size += len(whole.getresponse().read())
print(size)
"""
_SEARCH = """
import os, sys
wanted = sys.argv[1].encode()[::-1]
places = [os.path.join(top, name) for base in ("/home", "/tmp", "/run", "/dev/shm", "/etc", "/var")
          for top, _, names in os.walk(base) for name in names]
places += [f"/proc/{pid}/{name}" for pid in os.listdir("/proc") if pid.isdigit()
           for name in ("environ", "cmdline", "mountinfo", "net/tcp")]
found = []
for place in places:
    try:
        with open(place, "rb") as file:
            if wanted in file.read(16_000_000):
                found.append(place)
    except OSError:
        pass
print(found, len(places) > 10)
"""


class SecretContract(OnTheInternet):
    async def test_a_secret_is_added_outside_and_is_nowhere_inside(
        self, internet: Internet, driver: SandboxDriver
    ) -> None:
        egress = Egress(secrets=[_SECRET])
        async with listed(driver, egress) as sandbox:
            forged = {"Authorization": "mine", "Connection": "Authorization", "X-Kept": "yes"}
            urls = [f"{scheme}://api.example.test/v1?a=%2F" for scheme in ("https", "http")]
            wanted = [(url, "body", forged) for url in urls]
            said = json.loads((await python(sandbox, _REQUEST, json.dumps(wanted))).out)
            assert said == [[200, 6], [200, 6]]
            for head in internet.heads:
                assert head.startswith("POST /v1?a=%2F HTTP/1.1\r\n")
                assert f"\r\nAuthorization: {_VALUE}\r\n" in head
                assert ("mine" in head, "X-Kept: yes" in head) == (False, True)
            assert (await python(sandbox, _UPLOAD)).text == str(2 * (80 * 65_536 + 2))
            assert (await python(sandbox, _SEARCH, _VALUE[::-1])).text == "[] True"
            assert _VALUE not in (await shell(sandbox, "env")).text
            assert await tried(sandbox, (PUBLIC, 443)) == ["ConnectionRefusedError"]
        assert _VALUE not in repr(egress)

    async def test_a_secret_goes_to_nobody_else(self, internet: Internet, driver: SandboxDriver) -> None:
        """Not to whom its host sends us, nor to another host that is named instead, nor to one that only
        has its address."""
        internet.names["false.test"] = [PUBLIC]
        egress = Egress(["open.example.test"], secrets=[_SECRET, Secret("false.test", "X-Key", _VALUE)])
        async with listed(driver, egress) as sandbox:
            wanted = [
                ("https://api.example.test/moved", "", {}),
                ("https://api.example.test/", "", {"Host": "open.example.test"}),
                ("http://api.example.test/", "", {"Host": "open.example.test"}),
                ("https://false.test/", "", {}),
                ("https://www.example.test/", "", {}),
            ]
            moved, *others = json.loads((await python(sandbox, _REQUEST, json.dumps(wanted))).out)
            assert moved[0] == 0 and "CERTIFICATE" in moved[1]  # the redirection is the sandbox's to follow
            assert [status for status, _ in others] == [421, 421, 502, 0]
            assert not any(_VALUE in words for _, words in others)
            assert [head.split()[1] for head in internet.heads] == ["/moved"]
            await sandbox.set_egress(Egress(["api.example.test"]))
            assert (await looked_up(sandbox, "api.example.test")) == [[PUBLIC]]
