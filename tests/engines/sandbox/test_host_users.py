"""Users of the host for sandboxes: whose they are, and that none is given out twice."""

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.host_users import COUNT, FIRST_ID, HostUser, HostUsers
from innkeeper.engines.sandbox.sandbox import SandboxError

FEW = HostUsers(HostUser(2_100_000_000 + os.getpid() * 4, 2_200_000_000), 2)
"""A range that no other test and no server uses."""
OTHER_SERVER = """
import socket, sys, time
from innkeeper.engines.sandbox.host_users import HostUser, HostUsers
users, (control, guest) = HostUsers(HostUser(int(sys.argv[1]), 7), 2), socket.socketpair(socket.AF_UNIX)
print(users.allot(guest).uid, flush=True)
time.sleep(100)
"""


def test_a_user_is_given_to_one_sandbox_at_a_time_and_then_again() -> None:
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
    first, second, third = (guest for _, guest in pairs)
    users = {FEW.allot(first), FEW.allot(second)}
    assert {(each.uid - FEW.first.uid, each.gid - FEW.first.gid) for each in users} == {(0, 0), (1, 1)}
    with pytest.raises(SandboxError, match="all 2 host users"):
        FEW.allot(third)
    inherited = os.dup(first.fileno())
    first.close()
    with pytest.raises(SandboxError, match="all 2 host users"):
        FEW.allot(third)
    os.close(inherited)  # the guest agent's own has gone too
    assert FEW.allot(third) in users
    for pair in pairs:
        for end in pair:
            end.close()


def test_two_servers_give_out_no_user_twice_and_a_killed_one_gives_back() -> None:
    command = [sys.executable, "-c", OTHER_SERVER, str(FEW.first.uid)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        theirs = int(server.stdout.readline())
        for _ in range(2):
            control, guest = socket.socketpair(socket.AF_UNIX)
            with control, guest:
                assert FEW.allot(guest).uid == FEW.first.uid + (theirs == FEW.first.uid)
        server.kill()
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert {FEW.allot(one).uid, FEW.allot(other).uid} == {FEW.first.uid, FEW.first.uid + 1}


def test_they_are_the_subordinate_ids_of_the_server_s_user(tmp_path: Path) -> None:
    subuid, subgid = tmp_path / "subuid", tmp_path / "subgid"
    subuid.write_text(f"stranger:1:9\n{pwd.getpwuid(os.getuid()).pw_name}:200000:65536\n")
    subgid.write_text(f"{os.getuid()}:300000:1000\n")
    assert HostUsers.of_this_server(subuid, subgid) == HostUsers(HostUser(200_000, 300_000), 1000)
    subgid.write_text("torn")
    others = HostUsers(HostUser(FIRST_ID, FIRST_ID), COUNT) if os.getuid() == 0 else None
    assert HostUsers.of_this_server(subuid, subgid) == others
