"""What the user sees: results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import typer


def say(text: str) -> None:
    """Progress and hints; never part of a command's result."""
    typer.echo(text, err=True)


def print_json(document: Any) -> None:
    typer.echo(json.dumps(document, default=_plain, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns as wide as their longest cell; never wrapped, so that lines can be piped."""
    cells = [list(columns), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner on a terminal, plain lines elsewhere; call what it gives to say what happens now."""
    if not sys.stderr.isatty():
        say(text)
        yield say
        return
    from rich.console import Console

    with Console(stderr=True).status(text) as status:
        yield status.update


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
