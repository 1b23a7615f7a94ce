"""Lists and removes files inside a sandbox: `files.py list FOLDER`, `files.py remove PATH...`.

Gives one line of JSON: `{"entries": [{"path", "name", "folder", "size"}], "more": count}` or
`{"removed": count}`; `{"error": text}` when it cannot.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

_ENTRIES_MAX = 10_000


def listing(folder: Path) -> dict[str, Any]:
    paths = sorted(folder.resolve().iterdir())
    return {"entries": [_entry(path) for path in paths[:_ENTRIES_MAX]], "more": len(paths[_ENTRIES_MAX:])}


def remove(paths: list[Path]) -> dict[str, Any]:
    """All or, where one is not there, none."""
    for path in paths:
        path.lstat()
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return {"removed": len(paths)}


def _entry(path: Path) -> dict[str, Any]:
    folder = path.is_dir()
    size = None if folder else path.lstat().st_size
    return {"path": str(path), "name": path.name, "folder": folder, "size": size}


def main() -> None:
    action, paths = sys.argv[1], [Path(path) for path in sys.argv[2:]]
    try:
        answer = listing(paths[0]) if action == "list" else remove(paths)
    except OSError as error:
        answer = {"error": f"{error.strerror}: {error.filename}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
