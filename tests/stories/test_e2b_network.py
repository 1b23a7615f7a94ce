"""The rules of E2B's SDK for what a sandbox may reach."""

from collections.abc import Iterator

import pytest
from e2b import ALL_TRAFFIC, InvalidArgumentException, Sandbox, SandboxException, SandboxNetworkOpts
from e2b.sandbox.sandbox_api import SandboxNetworkRules

from innkeeper.engines.sandbox.network import PROXY
from tests.running import RunningServer
from tests.stories.e2b_serving import serving

ADDRESS = "203.0.113.7"  # nobody's (RFC 5737)
# Names with a rule are answered with our proxy's address: whatever else this machine can look up.
LOOK_UP = """
import socket, sys
try:
    print(socket.gethostbyname(sys.argv[1]))
except socket.gaierror:
    print("denied")
"""
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 443), 2)
    print("allowed")
except ConnectionRefusedError:
    print("denied")
except OSError:
    print("allowed")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("e2b"), {"code_interpreter_packages": "[]"}) as running:
        yield running


def tried(sandbox: Sandbox, program: str, target: str) -> str:
    sandbox.files.write("try.py", program)
    return sandbox.commands.run(f"python3 try.py {target}").stdout.strip()


def opening(domain: str) -> SandboxNetworkRules:
    return {domain: [{"transform": {"headers": {"Authorization": "Bearer sesame"}}}]}


def test_only_what_is_allowed_is_reached_and_that_changes_live(server: RunningServer) -> None:
    com, org = opening("*.example.com"), opening("www.example.org")
    rules = {**com, **org}
    first: SandboxNetworkOpts = {
        "deny_out": [ALL_TRAFFIC],
        "allow_out": ["*.example.com", ADDRESS],
        "rules": rules,
    }
    with Sandbox.create(network=first) as sandbox:
        assert tried(sandbox, LOOK_UP, "www.example.com") == PROXY
        assert tried(sandbox, LOOK_UP, "www.example.org") == "denied"
        assert tried(sandbox, CONNECT, ADDRESS) == "allowed"
        assert tried(sandbox, CONNECT, "203.0.113.8") == "denied"
        assert "sesame" not in sandbox.commands.run("env; cat /etc/hosts").stdout
        shown = sandbox.get_info().network
        assert shown is not None and shown["allow_out"] == ["*.example.com", ADDRESS]

        sandbox.update_network({"deny_out": [ALL_TRAFFIC], "allow_out": ["www.example.org"], "rules": rules})
        assert tried(sandbox, LOOK_UP, "www.example.com") == "denied"
        assert tried(sandbox, LOOK_UP, "www.example.org") == PROXY
        assert tried(sandbox, CONNECT, ADDRESS) == "denied"
        sandbox.pause()
        sandbox.update_network({"allow_internet_access": True, "rules": com})
        assert tried(sandbox.connect(), LOOK_UP, "www.example.com") == PROXY
        sandbox.update_network({"allow_internet_access": False, "rules": com})
        assert tried(sandbox, LOOK_UP, "www.example.com") == "denied"


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"deny_out": ["8.8.8.8"]}, "denyOut` can only be"),
        ({"allow_out": ["example.com"]}, "denyOut` must be"),
        ({"allow_out": ["no domain"], "deny_out": [ALL_TRAFFIC]}, "is no domain"),
        ({"dns_servers": ["8.8.8.8"]}, "dnsServers"),
        ({"egress_proxy": {"address": "proxy.example.com:1080"}}, "egressProxy"),
        (
            {
                "allow_out": ["example.com"],
                "deny_out": [ALL_TRAFFIC],
                "rules": {"example.com": [{"transform": {"headers": {"Host": "another"}}}]},
            },
            "no header that a secret",
        ),
    ],
)
def test_rules_that_cannot_be_kept_are_refused_by_name(
    server: RunningServer, rules: SandboxNetworkOpts, says: str
) -> None:
    with pytest.raises((InvalidArgumentException, SandboxException), match=says):
        Sandbox.create(network=rules)


def test_a_network_without_rules_stays_as_it_is(server: RunningServer) -> None:
    with Sandbox.create() as sandbox, pytest.raises(SandboxException, match="without rules"):
        sandbox.update_network({"deny_out": [ALL_TRAFFIC]})
