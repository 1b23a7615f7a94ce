"""Runs cells of bash that share a shell: bash_worker.py REQUESTS REPLIES, which are as in python_worker.py.

Standard library only, on any Python from 3.10.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from typing import Any

# Cells come ended by NUL; the code of each goes back as a line. What a cell starts has neither pipe.
_SHELL = r"""
trap : INT
while IFS= read -r -d '' cell <&{cells}; do
    eval "$cell" {cells}<&- {codes}>&-
    printf '%d\n' "$?" >&{codes}
done
"""


class Shell:
    def __init__(self) -> None:
        cells, self._cells = os.pipe()
        codes_read, codes = os.pipe()
        script = _SHELL.replace("{cells}", str(cells)).replace("{codes}", str(codes))
        self._process = subprocess.Popen(
            ("bash", "-c", script), stdin=subprocess.DEVNULL, pass_fds=(cells, codes)
        )
        os.close(cells)
        os.close(codes)
        self._codes = os.fdopen(codes_read)

    def run(self, request: dict[str, Any]) -> int:
        """Ends with the shell when a cell ends that."""
        variables = request.get("environment") or {}
        before = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        after = f'\neval "unset {" ".join(variables)}; (exit $?)"' if variables else ""
        code = request["code"].replace("\0", "")
        rest = memoryview(f"{before}{code}{after}\0".encode(errors="replace"))
        while rest:
            rest = rest[os.write(self._cells, rest) :]
        answer = self._codes.readline()
        if not answer:
            sys.exit(self._process.wait())
        return int(answer)


def main() -> None:
    signal.signal(signal.SIGINT, lambda *_: None)  # it is the cell's to end by
    shell = Shell()
    with os.fdopen(int(sys.argv[1])) as requests, os.fdopen(int(sys.argv[2]), "w") as replies:
        for line in requests:
            request = json.loads(line)
            if "code" in request:
                replies.write(json.dumps({"exitCode": shell.run(request), "items": []}) + "\n")
                replies.flush()


if __name__ == "__main__":
    main()
