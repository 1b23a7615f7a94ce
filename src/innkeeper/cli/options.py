"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(help="The server's data folder.", show_default="INNKEEPER_DATA_DIR, or ~/.innkeeper"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
RuntimeName = Annotated[str, typer.Argument(help="Name of a deployed agent.", metavar="NAME")]
