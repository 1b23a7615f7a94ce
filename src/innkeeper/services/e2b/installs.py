"""Shell commands that only install packages by their names."""

import re
import shlex
from collections.abc import Iterator, Sequence

PIP, NPM, APT = "pip", "npm", "apt"

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_PACKAGE = {
    PIP: re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?([=<>!~]=?[A-Za-z0-9.*+!,=<>~]+)?"),
    NPM: re.compile(r"(@[a-z0-9][a-z0-9._-]*/)?[a-zA-Z0-9][a-zA-Z0-9._-]*(@[A-Za-z0-9.*+<>=^~-]+)?"),
    APT: re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9.+](=[A-Za-z0-9.+:~-]+)?"),
}
_INSTALLERS = {
    ("pip", "install"): PIP,
    ("pip3", "install"): PIP,
    ("npm", "install"): NPM,
    ("npm", "i"): NPM,
    ("apt-get", "install"): APT,
    ("apt", "install"): APT,
}
_PREPARING = {("apt-get", "update"), ("apt", "update"), ("apt-get", "clean"), ("rm", "-rf")}
_FLAGS = {
    PIP: {"--user", "--upgrade", "-U", "-q", "--quiet", "--no-cache-dir", "--break-system-packages"},
    NPM: {"-g", "--global", "--save-dev", "-D", "--save", "-S"},
    APT: {"-y", "--yes", "-q", "-qq", "--no-install-recommends", "--fix-missing"},
}


def installed(command: str) -> dict[str, list[str]] | None:
    """The packages that a command installs, by their managers; None when it does anything else."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        tokens = list(lexer)
    except ValueError:
        return None
    found: dict[str, list[str]] = {}
    for words in _parts(tokens):
        while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] == "sudo"):
            words = words[1:]
        if tuple(words[:2]) in _PREPARING and _only_lists(words):
            continue
        manager = _INSTALLERS.get((words[0], words[1])) if len(words) > 2 else None
        names = [word for word in words[2:] if manager and word not in _FLAGS[manager]]
        if manager is None or not names or not all(map(_PACKAGE[manager].fullmatch, names)):
            return None
        found.setdefault(manager, []).extend(names)
    return found or None


def _parts(tokens: Sequence[str]) -> Iterator[list[str]]:
    """The commands between `&&`; others that are joined are as one that nobody knows."""
    words: list[str] = []
    for one in tokens:
        if one == "&&":
            yield words
            words = []
        else:
            words.append(one)
    yield words


def _only_lists(words: Sequence[str]) -> bool:
    return words[0] != "rm" or all(word.startswith("/var/lib/apt/lists") for word in words[2:])
