"""The contract of files and mounts."""

# ruff: noqa: S108 (these paths are those of a sandbox)

import asyncio
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.contract_room import PATIENCE_SECONDS, room, run, shell
from innkeeper.engines.sandbox.rootfs import interpreter_command
from innkeeper.engines.sandbox.sandbox import Limits, Mount, SandboxDriver, SandboxError, SandboxSpec


class FileContract:
    async def test_a_file_comes_back_byte_for_byte(self, driver: SandboxDriver) -> None:
        data = bytes(range(256)) * 20_000
        async with room(driver) as sandbox:
            await sandbox.write_file("/home/agent/deep/down/data.bin", data)
            assert await sandbox.read_file("/home/agent/deep/down/data.bin") == data
            assert (await shell(sandbox, "wc -c < deep/down/data.bin")).text == str(len(data))

    async def test_writing_again_replaces_the_file(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await sandbox.write_file("note", b"a long first text")
            await sandbox.write_file("note", b"short")
            assert await sandbox.read_file("note") == b"short"
            await sandbox.write_file("note", b"")
            assert await sandbox.read_file("note") == b""

    async def test_relative_paths_begin_in_the_working_directory(self, driver: SandboxDriver) -> None:
        async with room(driver, working_directory="/tmp") as sandbox:
            await sandbox.write_file("here.txt", b"x")
            assert await sandbox.read_file("/tmp/here.txt") == b"x"

    async def test_missing_files_folders_and_rights_are_told_apart(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await shell(sandbox, "echo x > shut; chmod 000 shut")
            with pytest.raises(FileNotFoundError):
                await sandbox.read_file("nothing")
            with pytest.raises(IsADirectoryError):
                await sandbox.read_file("/usr")
            with pytest.raises(PermissionError):
                await sandbox.read_file("shut")
            with pytest.raises(PermissionError):
                await sandbox.write_file("/usr/bin/evil", b"x")

    async def test_the_limit_holds(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await sandbox.write_file("ten", b"0123456789")
            assert await sandbox.read_file("ten", limit_bytes=10) == b"0123456789"
            with pytest.raises(SandboxError, match="9 bytes"):
                await sandbox.read_file("ten", limit_bytes=9)
            await shell(sandbox, "truncate -s 500G sparse")
            with pytest.raises(SandboxError, match="1000 bytes"):
                await sandbox.read_file("sparse", limit_bytes=1000)

    async def test_links_work_inside_and_lead_nowhere_outside(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_text("of the host")
        async with room(driver) as sandbox:
            await shell(sandbox, f"echo inside > real; ln -s real good; ln -s {secret} bad; ln -s loop loop")
            assert await sandbox.read_file("good") == b"inside\n"
            with pytest.raises(FileNotFoundError):
                await sandbox.read_file("bad")
            with pytest.raises(FileNotFoundError):
                await sandbox.read_file(f"/proc/self/root/{secret}")
            with pytest.raises(SandboxError):
                await sandbox.read_file("loop")
            with pytest.raises((OSError, SandboxError)):
                await sandbox.write_file("bad", b"overwritten")
        assert secret.read_text() == "of the host"

    @pytest.mark.parametrize("trap", ["mkfifo trap", "ln -s /dev/zero trap", "ln -s /dev/tty trap"])
    async def test_what_is_no_regular_file_cannot_hold_us(self, driver: SandboxDriver, trap: str) -> None:
        async with room(driver) as sandbox:
            await shell(sandbox, trap)
            async with asyncio.timeout(PATIENCE_SECONDS):
                with pytest.raises(SandboxError):
                    await sandbox.read_file("trap")
                with pytest.raises(SandboxError):
                    await sandbox.write_file("trap", b"x")

    async def test_a_full_home_says_so(self, driver: SandboxDriver) -> None:
        async with room(driver, limits=Limits(scratch_mib=4)) as sandbox:
            with pytest.raises(SandboxError, match="space"):
                await sandbox.write_file("big", bytes(8 << 20))
            await shell(sandbox, "rm big")
            await sandbox.write_file("small", b"fits")

    async def test_mounts_are_seen_and_written_only_as_agreed(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        code, storage, single = tmp_path / "code", tmp_path / "storage", tmp_path / "one.txt"
        code.mkdir()
        storage.mkdir()
        (code / "main.py").write_text("print(1)")
        single.write_text("one")
        mounts = (
            Mount(code, "/opt/agent/code"),
            Mount(storage, "/mnt/data", writable=True),
            Mount(single, "/mnt/one.txt"),
        )
        async with room(driver, mounts=mounts) as sandbox:
            assert await sandbox.read_file("/opt/agent/code/main.py") == b"print(1)"
            assert await sandbox.read_file("/mnt/one.txt") == b"one"
            assert (await shell(sandbox, "echo x > /opt/agent/code/new")).code != 0
            assert (await shell(sandbox, "echo x > /mnt/one.txt")).code != 0
            assert (await shell(sandbox, "mkdir /mnt/data/sub && echo kept > /mnt/data/sub/file")).code == 0
            await sandbox.write_file("/mnt/data/by-us", b"too")
        assert (storage / "sub/file").read_text() == "kept\n"
        assert (storage / "by-us").read_text() == "too"
        assert [path.name for path in code.iterdir()] == ["main.py"]

    async def test_layers_lie_over_the_programs_of_the_host(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        for place, text in (("usr/bin/ours", "#!/bin/sh\necho hello"), ("etc/ours/of", "us")):
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).write_text(text)
            (tmp_path / place).chmod(0o755)
        async with room(driver, layers=[tmp_path]) as sandbox:
            said = await shell(sandbox, "ours; cat /etc/ours/of; id -un; ls /usr/bin/env; touch /usr/bin/x")
            assert said.text.split() == ["hello", "usagent", "/usr/bin/env"]
        async with room(driver) as sandbox:
            assert (await shell(sandbox, "ls /usr/bin/ours /etc/ours")).text == ""

    async def test_a_root_stands_in_the_place_of_the_programs_of_the_host(
        self, driver: SandboxDriver, tmp_path: Path
    ) -> None:
        root = tmp_path / "root"
        for place in ("opt/note", "etc/theirs", "var/tmp/theirs", "tmp/theirs"):
            (root / place).parent.mkdir(parents=True)
            (root / place).write_text("theirs")
        (root / "link").symlink_to("opt")
        (root / "usr").symlink_to("/nowhere")
        script = "import os; print(*os.listdir('/'), open('/link/note').read(), os.path.expanduser('~agent'))"
        async with room(driver, root=root) as sandbox:
            said = await run(sandbox, *interpreter_command(SandboxSpec("any", root=root)), "-c", script)
            seen = {"dev", "etc", "home", "link", "opt", "proc", "run", "tmp", "usr", "var"}
            assert set(said.text.split()) - {"sys"} == {*seen, "theirs", "/home/agent"}
            assert await sandbox.read_file("/etc/theirs") == b"theirs"
            await sandbox.write_file("/var/tmp/ours", b"ours")
            assert await sandbox.read_file("/tmp/ours") == b"ours"
            for place in ("/tmp/theirs", "/bin/sh"):
                with pytest.raises(FileNotFoundError):
                    await sandbox.read_file(place)
            with pytest.raises(PermissionError):
                await sandbox.write_file("/opt/note", b"x")
            with pytest.raises(SandboxError):
                await run(sandbox, "sh", "-c", "true")

    async def test_the_agents_own_folders_are_where_they_are_wanted(self, driver: SandboxDriver) -> None:
        folders = ("/home/user", "/app")
        async with room(driver, folders=folders, working_directory="/app") as sandbox:
            assert sandbox.folders == folders
            said = await shell(
                sandbox, "pwd -P; cd ~agent && pwd -P; echo 1 > /app/one; stat -c %U:%a . /app"
            )
            assert said.text.split() == ["/app", "/home/user", "agent:755", "agent:755"]
            assert await sandbox.read_file("one") == b"1\n"
        for wrong in (("/home/other",), ("/home/agent", "/usr"), ("/home/agent", "/app/deep")):
            with pytest.raises(SandboxError, match="cannot be"):
                async with room(driver, folders=wrong):
                    pass
