"""The contract of `Sandbox.exec` and `Process`."""

# ruff: noqa: S108 (these paths are those of a sandbox)

import asyncio
import os
import signal

import pytest

from innkeeper.engines.sandbox.contract_room import (
    PATIENCE_SECONDS,
    heard,
    python,
    room,
    run,
    shell,
    vanishes,
)
from innkeeper.engines.sandbox.sandbox import Command, SandboxDriver, SandboxError, SandboxGone, TerminalSize

# Signals 32 and 33 are the C library's own: it lets no program set them, and some shells start theirs with
# both ignored.
_OF_LIBC = 0b11 << 31


class ProcessContract:
    async def test_an_exit_code_comes_back(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            assert (await shell(sandbox, "exit 7")).code == 7

    async def test_a_deadly_signal_comes_back_as_a_negative_code(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            assert (await shell(sandbox, "kill -TERM $$")).code == -signal.SIGTERM

    async def test_output_and_errors_come_apart(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            outcome = await shell(sandbox, "echo good; echo bad >&2")
            assert (outcome.out, outcome.err) == (b"good\n", b"bad\n")

    async def test_input_reaches_the_program_byte_for_byte(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            data = os.urandom(3_000_000)
            assert (await run(sandbox, "cat", stdin=data)).out == data

    async def test_much_output_on_both_streams_arrives_whole(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            outcome = await shell(
                sandbox, "head -c 20000000 /dev/zero >&2 & head -c 20000000 /dev/zero; wait"
            )
            assert (len(outcome.out), len(outcome.err)) == (20_000_000, 20_000_000)

    async def test_unread_output_blocks_nobody_else(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            flood = await sandbox.exec(Command(["yes"]))
            assert (await shell(sandbox, "echo here")).text == "here"
            await flood.signal(signal.SIGKILL)
            assert await flood.wait() == -signal.SIGKILL
            flood.close()

    async def test_the_environment_is_clean_and_layered(
        self, driver: SandboxDriver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOST_SECRET", "hidden")
        async with room(driver, environment={"CITY": "Graz", "COLOUR": "red"}) as sandbox:
            outcome = await run(sandbox, "env", environment={"COLOUR": "blue=green", "EMPTY": ""})
        variables = dict(line.split("=", 1) for line in outcome.text.splitlines())
        assert variables["CITY"] == "Graz"
        assert variables["COLOUR"] == "blue=green"
        assert variables["EMPTY"] == ""
        assert variables["HOME"] == "/home/agent"
        assert "HOST_SECRET" not in variables

    async def test_programs_start_in_the_working_directory(self, driver: SandboxDriver) -> None:
        async with room(driver, working_directory="/tmp") as sandbox:
            assert (await run(sandbox, "pwd")).text == "/tmp"
            assert (await run(sandbox, "pwd", working_directory="/usr/bin")).text == "/usr/bin"

    @pytest.mark.parametrize(
        ("command", "said", "code"),
        [
            (Command(["no-such-program"]), "no-such-program", 127),
            (Command(["/etc/passwd"]), "/etc/passwd", 126),
            (Command(["true"], working_directory="/no/such/folder"), "/no/such/folder", None),
            (Command([]), "program", None),
            (Command(["echo", "a\0b"]), "NUL", None),
            (Command(["echo", "x" * 5_000_000]), "bytes", None),
        ],
        ids=["unknown", "not executable", "no such folder", "nothing", "NUL", "too long"],
    )
    async def test_what_cannot_start_says_why(
        self, driver: SandboxDriver, command: Command, said: str, code: int | None
    ) -> None:
        async with room(driver) as sandbox:
            with pytest.raises(SandboxError, match=said) as refused:
                await sandbox.exec(command)
            assert getattr(refused.value, "code", None) == code
            assert (await shell(sandbox, "echo fine")).text == "fine"

    async def test_a_terminal_has_its_size_and_takes_another(self, driver: SandboxDriver) -> None:
        script = "trap 'stty size' WINCH; stty size; while read line; do echo \"<$line>\"; done; exit 3"
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", script], terminal=TerminalSize(100, 40)))
            assert b"40 100" in await heard(process.stdout, b"40 100")
            process.stdin.write(b"hello\n")
            await heard(process.stdout, b"<hello>")
            await process.resize(TerminalSize(120, 50))
            process.stdin.write(b"again\n")
            await heard(process.stdout, b"50 120")
            process.stdin.write(b"\x04")
            await process.stdout.read()
            assert await process.wait() == 3
            await process.resize(TerminalSize(1, 1))
            process.close()

    async def test_a_terminal_is_one_and_carries_errors_too(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", "tty; echo oops >&2"], terminal=TerminalSize()))
            said = await process.stdout.read()
            assert b"/dev/pts/" in said
            assert b"oops" in said
            assert await process.stderr.read() == b""
            assert await process.wait() == 0
            process.close()

    async def test_the_last_words_on_a_terminal_are_heard(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            for _ in range(10):
                command = Command(["sh", "-c", "echo first; echo last words"], terminal=TerminalSize())
                process = await sandbox.exec(command)
                assert await process.stdout.read() == b"first\r\nlast words\r\n"
                assert await process.wait() == 0
                process.close()

    async def test_much_is_typed_and_closing_the_keyboard_leaves_the_terminal(
        self, driver: SandboxDriver
    ) -> None:
        script = "stty raw -echo; echo ready; head -c 300000 | wc -c; sleep 0.1; echo done"
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", script], terminal=TerminalSize()))
            await heard(process.stdout, b"ready")
            for _ in range(30):
                process.stdin.write(b"x" * 10_000)
                await process.stdin.drain()
            await heard(process.stdout, b"300000")
            process.stdin.close()
            await process.stdin.wait_closed()
            await heard(process.stdout, b"done")
            assert await process.wait() == 0
            process.close()

    async def test_control_c_interrupts_what_runs_in_a_terminal(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            command = Command(["sh", "-c", "echo ready; exec sleep 1000"], terminal=TerminalSize())
            process = await sandbox.exec(command)
            await heard(process.stdout, b"ready")
            process.stdin.write(b"\x03")
            assert await process.wait() == -signal.SIGINT
            process.close()

    async def test_a_signal_reaches_the_whole_group(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", "sleep 1234 & echo up; wait"]))
            await heard(process.stdout, b"up\n")
            await process.signal(signal.SIGTERM)
            assert await process.wait() == -signal.SIGTERM
            await process.signal(signal.SIGTERM)  # it is no more; nothing happens
            process.close()
            await vanishes(sandbox, "grep -lx sleep /proc/[0-9]*/comm")

    async def test_signals_are_as_a_program_expects_them(
        self, driver: SandboxDriver, request: pytest.FixtureRequest
    ) -> None:
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as of a server that was started with nohup
        request.addfinalizer(lambda: signal.signal(signal.SIGHUP, before))
        async with room(driver) as sandbox:
            outcome = await shell(sandbox, "grep -E 'Sig(Blk|Ign)' /proc/self/status")
            masks = [int(mask, 16) for mask in outcome.text.replace("\n", "\t").split("\t")[1::2]]
            assert [mask & ~_OF_LIBC for mask in masks] == [0] * len(masks)  # not every kernel shows them
            assert (await shell(sandbox, "(yes; echo $? >&2) | head -1")).err == b"141\n"  # SIGPIPE

    async def test_an_unknown_signal_is_refused(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sleep", "1000"]))
            for number in (-1, 65, 10**20):
                with pytest.raises(SandboxError, match="signal"):
                    await process.signal(number)
            process.close()

    async def test_many_processes_at_once_keep_their_own_results(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            outcomes = await asyncio.gather(*(shell(sandbox, f"echo {n}; exit {n}") for n in range(20)))
            assert [(outcome.code, int(outcome.text)) for outcome in outcomes] == [(n, n) for n in range(20)]

    async def test_a_program_gets_no_other_descriptors(self, driver: SandboxDriver) -> None:
        script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
        async with room(driver) as sandbox:
            assert (await python(sandbox, script)).text == "[0, 1, 2, 3]"  # the last is that of the listing

    async def test_orphans_are_reaped(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            await shell(sandbox, "for i in 1 2 3 4 5; do (true &) ; done")
            await vanishes(sandbox, "grep -l 'State:.Z' /proc/[0-9]*/status")

    async def test_closing_our_ends_leaves_the_process_running(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sh", "-c", "sleep 0.2; echo done > proof"]))
            process.close()
            assert await process.wait() == 0
            assert await sandbox.read_file("proof") == b"done\n"

    async def test_waiting_ends_with_the_sandbox(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            process = await sandbox.exec(Command(["sleep", "1000"]))
            waiting = asyncio.create_task(process.wait())
            await asyncio.sleep(0)
            await sandbox.kill()
            with pytest.raises(SandboxGone):
                await asyncio.wait_for(waiting, PATIENCE_SECONDS)
            assert await process.stdout.read() == b""
            process.close()

    async def test_a_caller_that_gives_up_leaves_no_process(self, driver: SandboxDriver) -> None:
        async with room(driver) as sandbox:
            starting = [asyncio.create_task(sandbox.exec(Command(["sleep", "1000"]))) for _ in range(5)]
            await asyncio.sleep(0)
            for start in starting:
                start.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await vanishes(sandbox, "grep -lx sleep /proc/[0-9]*/comm")
