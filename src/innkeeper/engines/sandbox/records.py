"""What a server leaves on disk about each of its sandboxes, so that the next one can clean up after it."""

import json
import os
import secrets
import select
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from innkeeper.engines.sandbox.sandbox import SandboxError

_KILL_TIMEOUT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process for certain: pids are used again, a pid with its start time (clock ticks) is not."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessMark":
        """Raises ProcessLookupError when there is no such process."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            raise ProcessLookupError(pid) from None
        return cls(pid, int(text.rpartition(")")[2].split()[19]))  # field 22 of proc(5)

    @property
    def alive(self) -> bool:
        try:
            return ProcessMark.of(self.pid) == self
        except ProcessLookupError:
            return False

    def kill(self) -> None:
        """End it if it is still the one; blocks until it has ended, 5 s at most."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                ended = select.poll()
                ended.register(pidfd, select.POLLIN)
                ended.poll(_KILL_TIMEOUT_SECONDS * 1000)
        finally:
            os.close(pidfd)


@dataclass(frozen=True, slots=True)
class Record:
    """`owner` is the server; `processes` are those of the sandbox that the host can name, `folders` what is
    removed with it."""

    id: str
    owner: ProcessMark
    cgroups: tuple[str, ...] = ()
    processes: tuple[ProcessMark, ...] = ()
    folders: tuple[str, ...] = ()


class Records:
    """One small JSON file a sandbox in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def claim(self, record: Record) -> None:
        """Raises SandboxError when a sandbox has this id already."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(record.id)
        draft = path.with_suffix(f".{secrets.token_hex(4)}.new")
        draft.write_text(json.dumps(asdict(record)))
        try:
            path.hardlink_to(draft)  # whole at once: nobody may take it for one that a crash cut short
        except FileExistsError:
            raise SandboxError(f"a sandbox with the id {record.id!r} exists already") from None
        finally:
            draft.unlink()

    def update(self, record: Record) -> None:
        path = self._path(record.id)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(record)))
        draft.replace(path)

    def remove(self, sandbox_id: str, cgroups: Sequence[str] = ()) -> None:
        """Unless one of the cgroups is still there: it is for the next server to remove."""
        if any(Path(path).exists() for path in cgroups):
            return
        path = self._path(sandbox_id)
        path.unlink(missing_ok=True)
        path.with_suffix(".new").unlink(missing_ok=True)

    def left_behind(self) -> Iterator[Record]:
        """The records whose server is no longer alive."""
        for path in sorted(self._folder.glob("*.json")):
            record = _parse(path)
            if record is not None and not record.owner.alive:
                yield record

    def _path(self, sandbox_id: str) -> Path:
        return self._folder / f"{sandbox_id}.json"


def _parse(path: Path) -> Record | None:
    """A record that a crash cut short names only its sandbox, of a server that is certainly gone. None for
    one that is removed meanwhile, with its sandbox."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return Record(path.stem, ProcessMark(os.getpid(), -1))
    return Record(
        document["id"],
        ProcessMark(**document["owner"]),
        tuple(document["cgroups"]),
        tuple(ProcessMark(**process) for process in document["processes"]),
        tuple(document.get("folders", ())),
    )
