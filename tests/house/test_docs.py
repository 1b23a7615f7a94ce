"""Documentation tells the truth: links lead somewhere, and commands in it exist."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import typer.main

from innkeeper.cli.main import app
from tests.house.tree import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "src/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(?:console|bash|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        target, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{_name(page)} links to {target}"
        if anchor and path.suffix == ".md":
            assert anchor in _anchors(path), f"{_name(page)} links to {link}"


def _commands(page: Path, program: str) -> Iterator[list[str]]:
    """Each call of the program in the page's shell blocks, as words, without what a pipe goes on to."""
    for block in FENCE.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            for start in re.finditer(rf"(?:^\$ |^|\$\(|[|;&]\s*|\d )({program})(?= |$|\))", line):
                lexer = shlex.shlex(line[start.start(1) :], posix=True, punctuation_chars=True)
                lexer.whitespace_split = True
                words = []
                for word in lexer:
                    if set(word) <= set("();<>|&"):
                        break
                    words.append(word)
                yield words


def _check_options(command: Any, words: list[str]) -> None:
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in takewhile(lambda word: word != "--", words):  # what follows is another program's
        if word.startswith("--") or re.fullmatch(r"-[a-z]", word):
            assert word.partition("=")[0] in known, f"{command.name} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_exist(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    for words in _commands(page, "innkeeper"):
        command, rest = root, words[1:]
        while getattr(command, "commands", None) and rest and not rest[0].startswith("-"):
            assert rest[0] in command.commands, f"{' '.join(words)}: no such command"
            command, rest = command.commands[rest[0]], rest[1:]
        _check_options(command, rest)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in _commands(page, "make"):
        assert {word for word in words[1:] if "=" not in word} <= targets, " ".join(words)
