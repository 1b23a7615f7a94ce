"""What opens a place, and what may be passed on: the rules alone."""

import pytest

from innkeeper.kernel.errors import AccessDenied, Unauthorized
from innkeeper.services.web.admission import COOKIE, TOKEN_HEADER, Admission, Admitted
from innkeeper.services.web.headers import inwards, outwards
from innkeeper.services.web.model import Place, Site, site_of, url_of
from innkeeper.services.web.tokens import WebTokens
from tests.clock import SettableClock

PLACE = Place("123456789012", "AbC", 80)
SITE = Site("AbC", 80, "/-/web/AbC/80", "/")


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/-/web/AbC/80/x%2Fy", "h", Site("AbC", 80, "/-/web/AbC/80", "/x%2Fy")),
        ("/-/web/AbC/80", "h", Site("AbC", 80, "/-/web/AbC/80", "")),
        ("/-/web/AbC/80/../../other/80/", "h", Site("AbC", 80, "/-/web/AbC/80", "/../../other/80/")),
        ("/-/web/a%2Fb/80/", "h", None),
        ("/-/web/AbC/80x/", "h", None),
        ("/%2d/web/AbC/80/", "h", None),
        ("//-/web/AbC/80/", "h", None),
        ("/-/v1/web", "h", None),
        ("/-/web/AbC/80/", "80-abc.inn.example:8471", Site("abc", 80, "", "/-/web/AbC/80/")),
        ("/x", "80-ABC.inn.example.", Site("abc", 80, "", "/x")),
        ("/x", "80-abc.inn.example.evil", None),
        ("/x", "80-abc.evilinn.example", None),
        ("/x", "bucket.inn.example", None),
        ("/x", "", None),
    ],
)
def test_a_site_is_named_by_its_host_or_its_path(path: str, host: str, expected: Site | None) -> None:
    assert site_of(path, host, "inn.example") == expected


def test_urls() -> None:
    origin = "http://127.0.0.1:8471"
    assert url_of(PLACE, origin, "") == "http://127.0.0.1:8471/-/web/AbC/80/"
    assert url_of(PLACE, origin, "localhost") == "http://80-abc.localhost:8471/"
    assert url_of(PLACE, origin, "inn.example") == "https://80-abc.inn.example/"


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def tokens(clock: SettableClock) -> WebTokens:
    return WebTokens([b"k" * 32], clock)


def admit(tokens: WebTokens, headers: dict[str, str], query: str = "", site: Site = SITE) -> Admitted:
    return Admission(tokens).admit(site, [("host", "h"), *headers.items()], query)


def test_a_token_opens_its_place_alone_until_it_expires(tokens: WebTokens, clock: SettableClock) -> None:
    token = tokens.issue(PLACE, 60).token
    bearer = {"authorization": f"Bearer {token}"}
    assert admit(tokens, bearer).grant.place == PLACE
    assert admit(tokens, bearer, site=Site("abc", 80, "", "/")).grant.place == PLACE
    forged = WebTokens([b"x" * 32], clock).issue(PLACE, 60).token
    for sent in (forged, "", "a.b.c", "x" * 10_000):
        with pytest.raises(Unauthorized):
            admit(tokens, {"authorization": f"Bearer {sent}"}, f"token={sent}")
    for elsewhere in (Site("AbC", 81, "/-/web/AbC/81", "/"), Site("abc", 80, "/-/web/abc/80", "/")):
        with pytest.raises(Unauthorized):
            admit(tokens, bearer, site=elsewhere)
    clock.pass_time(61)
    with pytest.raises(Unauthorized):
        admit(tokens, {"cookie": f"{COOKIE}={token}"})


def test_no_token_is_passed_on_and_all_else_is(tokens: WebTokens, clock: SettableClock) -> None:
    old = tokens.issue(PLACE, 1).token
    clock.pass_time(2)
    token = tokens.issue(PLACE, 60).token
    headers = {
        "authorization": f"Bearer {old}",
        "cookie": f"a=1; {COOKIE}={token};b=2 ; {COOKIE}=x",
        TOKEN_HEADER: token,
    }
    admitted = admit(tokens, headers, f"a=%20b&token=its-own&tok%65n={token}&token={old}&c")
    assert admitted.query == "a=%20b&token=its-own&c"
    assert admitted.headers == [("host", "h"), ("cookie", "a=1;b=2")]
    assert admitted.by_query
    own = admit(tokens, {"authorization": "Basic dTpw", TOKEN_HEADER: token})
    assert own.headers == [("host", "h"), ("authorization", "Basic dTpw")]


def test_a_cookie_is_only_used_by_the_places_own_pages(tokens: WebTokens) -> None:
    cookie = {"cookie": f"{COOKIE}=tossed; {COOKIE}={tokens.issue(PLACE, 60).token}"}
    page = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert admit(tokens, {**cookie, "origin": "http://h", "sec-fetch-site": "same-origin"})
    assert admit(tokens, {**cookie, **page, "sec-fetch-site": "cross-site"})
    for told in (
        {"origin": "http://80-neighbour.localhost"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ):
        with pytest.raises(AccessDenied):
            admit(tokens, {**cookie, **told})


def test_what_belongs_to_a_connection_or_reaches_too_far_is_left_out() -> None:
    sent = [("host", "h"), ("connection", "x-a, close"), ("x-a", "1"), ("te", "trailers"), ("x-b", "2")]
    assert inwards(
        [*sent, ("x-forwarded-for", "forged"), ("expect", "100-continue")], SITE, "http", "1.2.3.4"
    ) == [
        ("host", "h"),
        ("x-b", "2"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "h"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/-/web/AbC/80"),
    ]
    answer = [
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"),
        ("Set-Cookie", "a=1; path=/x; domain=h; Secure"),
        ("Set-Cookie", "b=2"),
        ("Set-Cookie", f"{COOKIE}=forged"),
        ("Location", "http://h/login?next=/"),
        ("Clear-Site-Data", "*"),
    ]
    root = "/-/web/AbC/80"
    assert list(outwards(answer, SITE, "h")) == [
        ("set-cookie", f"a=1; Secure; Path={root}/x"),
        ("set-cookie", f"b=2; Path={root}/"),
        ("location", f"http://h{root}/login?next=/"),
    ]
    for away in ("//evil.example/", "https://evil.example/", f"{root}/x", "relative", "http://[bad"):
        assert list(outwards([("Location", away)], SITE, "h")) == [("location", away)]
    assert list(outwards(answer[2:3], Site("abc", 80, "", "/"), "h")) == [
        ("set-cookie", "a=1; Secure; Path=/x")
    ]
