"""Server-sent events out of a stream of bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import Iterable, Iterator


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Lines as soon as they are whole, wherever the chunks are cut; LF or CRLF ends one."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (_text(line) for line in whole)
    if rest:
        yield _text(rest)


def events(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each event; several data lines of one event are joined by a newline."""
    data: list[str] = []
    for line in lines(chunks):
        field, _, value = line.partition(":")
        if field == "data":
            data.append(value.removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
    if data:
        yield "\n".join(data)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
