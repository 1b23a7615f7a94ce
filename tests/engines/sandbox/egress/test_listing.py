"""Somebody writes down what a sandbox may reach."""

from ipaddress import IPv4Network

import pytest

from innkeeper.engines.sandbox.egress.listing import LINES_MAX, Listing, Range, replaced
from innkeeper.engines.sandbox.sandbox import Egress, SandboxError, Secret

KEY = Secret("*.api.test", "X-Api-Key", "xyzzy")


def test_nothing_is_listed_unless_told() -> None:
    assert Listing.of(Egress()) == Listing()
    assert not Listing().allows("example.com")


def test_a_name_is_listed_exactly_or_by_what_it_ends_in() -> None:
    listing = Listing.of(Egress(["Example.COM.", "*.wild.test"], secrets=[KEY]))
    assert all(map(listing.allows, ("example.com", "a.wild.test", "a.b.wild.test", "one.api.test")))
    assert not any(map(listing.allows, ("www.example.com", "wild.test", "notwild.test", "api.test", "com")))
    assert listing.secrets_of("one.api.test") == (KEY,)
    assert listing.secrets_of("example.com") == ()
    assert Listing.of(Egress(["*"])).allows("whatever.test")


def test_addresses_are_listed_with_or_without_ports() -> None:
    lines = ["203.0.113.7", "203.0.113.0/24:443", "0.0.0.0/0:8000-8010"]
    assert Listing.of(Egress(cidrs=lines)).ranges == (
        Range(IPv4Network("203.0.113.7/32")),
        Range(IPv4Network("203.0.113.0/24"), 443, 443),
        Range(IPv4Network("0.0.0.0/0"), 8000, 8010),
    )


@pytest.mark.parametrize(
    "bad",
    [
        *(
            {"domains": [name]}
            for name in ("", "a..b", "*.*.a", "a*.b", "-a.b", "1.2.3.4", "a b", "a;b", "é.fr")
        ),
        *({"domains": [name]} for name in ("https://a.b", "a.b:443", f"{'a' * 64}.b", "a." * 127 + "ab")),
        *({"cidrs": [line]} for line in ("", "::/0", "1.2.3.4/33", "1.2.3.4/24", "1.2.3.4:0", "1.2.3.4:9-8")),
        *({"cidrs": [line]} for line in ("1.2.3.4:", "1.2.3.4:x", "1.2.3.4:70000", "1.2.3.4 accept", "a.b")),
        *(
            {"secrets": [Secret("a.b", name, "hidden")]}
            for name in ("", "a b", "a:", "Host", "Content-Length")
        ),
        *({"secrets": [Secret("a.b", "X-Key", f"hidden{end}")]} for end in ("\r\nX: y", "\0", "é", " ")),
        *({"secrets": [Secret(name, "X-Key", "hidden")]} for name in ("*", "", "1.2.3.4")),
        {"domains": ["a.b"] * LINES_MAX, "cidrs": ["1.2.3.4"]},
    ],
)
def test_a_line_that_is_none_is_named_and_a_secret_is_not(bad: dict[str, list[str]]) -> None:
    with pytest.raises(SandboxError) as refused:
        Listing.of(Egress(**bad))  # type: ignore[arg-type]
    assert "hidden" not in str(refused.value)


def test_a_secret_takes_the_place_of_what_a_message_had() -> None:
    headers = [
        *(("x-api-key", "mine"), ("X-API-KEY", "mine"), ("Connection", "x-hop, X-Api-Key"), ("X-Hop", "1")),
        *(("Transfer-Encoding", "chunked"), ("Host", "a.b"), ("Cookie", "1"), ("Cookie", "2")),
    ]
    kept = [("Cookie", "1"), ("Cookie", "2")]
    assert replaced(headers, [KEY]) == [*kept, ("X-Api-Key", "xyzzy")]
    assert replaced(headers) == kept


def test_a_secret_is_not_shown_by_accident() -> None:
    assert "xyzzy" not in repr(Egress(secrets=[KEY]))
