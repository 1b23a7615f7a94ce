"""Failures as the command line tells them: one line on stderr that names the fix, and exit code 1."""

import sys


class CommandFailed(Exception):
    """The command could not do it; the message says why and what to do."""


def explain(error: Exception) -> str:
    """Any failure as one line."""
    return " ".join(_text(error).split())


def _text(error: Exception) -> str:
    if isinstance(error, CommandFailed):
        return str(error)
    # Looked up only when loaded: a command that never spoke to the server should not pay for the import.
    if (botocore := sys.modules.get("botocore.exceptions")) and isinstance(error, botocore.ClientError):
        details = error.response.get("Error", {})
        return f"{details.get('Code', 'error')}: {details.get('Message', error)}"
    if botocore and isinstance(error, botocore.BotoCoreError):
        return f"the call to the server failed: {error}"
    if (urllib3 := sys.modules.get("urllib3.exceptions")) and isinstance(error, urllib3.HTTPError):
        return f"the connection to the server broke: {error}"
    if isinstance(error, OSError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}"
