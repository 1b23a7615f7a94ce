"""`innkeeper master-key`: the key that all that the server keeps secret lies under."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from innkeeper.cli import server
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, progress

if TYPE_CHECKING:
    from innkeeper.engines.vault.rewrapping import Rewrapped
    from innkeeper.master_key import MasterKey

_TELL_SECONDS = 2.0

master_key = typer.Typer(help="Change the key that all secrets lie under.", no_args_is_help=True)


@master_key.command()
def rotate(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make a new master key and wrap every secret anew under it; a server may run meanwhile. If it was cut
    off, call it again."""
    _change(data_dir, as_json, "rotated", lambda key: key.rotate())
    if not as_json:
        typer.echo(
            "Back the file up now, and restart the server. The old key is kept in it until you retire it."
        )


@master_key.command()
def retire(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Forget the master key from before the rotation, and with it the tokens and E2B keys made under it. The
    server must be stopped."""
    _change(data_dir, as_json, "retired", lambda key: key.retire())


def _change(
    data_dir: Path | None, as_json: bool, name: str, how: "Callable[[MasterKey], Awaitable[Rewrapped]]"
) -> None:
    path, done = _run(data_dir, how)
    if as_json:
        said = {"secrets": done.secrets, "rewrapped": done.changed, "unreadable": done.unreadable}
        print_json({"masterKey": str(path), "change": name, **said})
        return
    unreadable = sum(done.unreadable.values())
    typer.echo(f"{path} is {name}: {done.secrets - unreadable} secrets are under its new key.")
    if unreadable:
        tables = ", ".join(done.unreadable)
        typer.echo(f"{unreadable} open under neither key, and are left as they are: {tables}", err=True)


def _run(
    data_dir: Path | None, how: "Callable[[MasterKey], Awaitable[Rewrapped]]"
) -> "tuple[Path, Rewrapped]":
    from innkeeper.master_key import MasterKey, Refused
    from innkeeper.server import AlreadyRunning

    settings = server.load_settings(data_dir)

    async def run(key: MasterKey) -> "Rewrapped":
        return await how(key)

    try:
        with progress("Wrapping the secrets anew") as tell:
            access_key_id, secret, _ = server.credentials(settings.data_dir)
            key = MasterKey(settings, (access_key_id, secret), _now_and_then(tell))
            return key.path, asyncio.run(run(key))
    except (Refused, AlreadyRunning) as error:
        raise CommandFailed(str(error)) from error


def _now_and_then(tell: Callable[[str], None]) -> Callable[[int], None]:
    told_at = time.monotonic()

    def told(secrets: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _TELL_SECONDS:
            told_at = time.monotonic()
            tell(f"Wrapping the secrets anew: {secrets} looked at")

    return told
