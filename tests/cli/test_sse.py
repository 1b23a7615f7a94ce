"""Events come out whole, wherever the network cuts the stream."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.cli.sse import events, lines

_line = st.text(st.characters(blacklist_characters="\r\n", codec="utf-8"))


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


@given(
    st.lists(st.lists(_line, min_size=1, max_size=3), max_size=5),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
)
def test_data_survives_any_cut(sent: list[list[str]], places: list[int], end: str) -> None:
    stream = "".join("".join(f"data: {line}{end}" for line in event) + end for event in sent).encode()
    assert list(events(_cut(stream, places))) == ["\n".join(event) for event in sent]


def test_comments_and_other_fields_are_left_out() -> None:
    stream = b": hello\nevent: token\nid: 7\ndata:1\n\n: ping\n\ndata: 2"
    assert list(events([stream])) == ["1", "2"]


def test_an_event_is_given_out_as_soon_as_it_is_whole() -> None:
    def chunks() -> object:
        yield b"data: first\n\nda"
        raise AssertionError("asked for more before the first event was given out")

    assert next(events(chunks())) == "first"  # type: ignore[arg-type]


def test_lines_need_no_last_line_feed() -> None:
    assert list(lines([b"a\nb", b"c"])) == ["a", "bc"]
