"""Running a program to its end, bounded in time and output."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_OUTPUT_MAX_BYTES = 65_536
_ENDING_LINES = 20
_ENDING_CHARACTERS = 2_000
_PASSED = (
    *("HOME", "PATH", "LANG", "XDG_CONFIG_HOME", "NETRC"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
)
_PASSED_SUFFIXES = ("_PROXY", "_proxy")
# A server that is killed takes the program along, by the kernel's hand (setpriv(1)).
_DIES_WITH_US = ("/usr/bin/setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`output` is the end of what the program said, both streams together."""

    code: int
    output: str

    @property
    def ending(self) -> str:
        """Its last lines."""
        return "\n".join(self.output.splitlines()[-_ENDING_LINES:])[-_ENDING_CHARACTERS:]


def reaching_out(prefixes: tuple[str, ...]) -> dict[str, str]:
    """What a program needs of the server's environment to reach its registry, and what begins with these:
    the rest holds the server's secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED or name.startswith(prefixes) or name.endswith(_PASSED_SUFFIXES)
    }


async def run(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    timeout_seconds: float,
    folder: Path | None = None,
) -> Outcome:
    """Code 127 when there is no such program. Raises TimeoutError when it takes too long.

    On a timeout or a cancellation the whole process group is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *_DIES_WITH_US,
        *argv,
        cwd=folder,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_seconds):
            output = await _tail(process.stdout)
            return Outcome(await process.wait(), output)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise


async def _tail(stream: asyncio.StreamReader) -> str:
    kept = b""
    while chunk := await stream.read(_OUTPUT_MAX_BYTES):
        kept = (kept + chunk)[-_OUTPUT_MAX_BYTES:]
    return kept.decode(errors="replace")
