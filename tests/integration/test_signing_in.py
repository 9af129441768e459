"""Who may look at pages: tokens in cookies, hosts that are known, forms of our own pages only."""

import http.client
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import pytest

from collector.admit.auth import hash_token
from collector.web.operations import OPERATIONS
from collector.web.pages.routes import PAGES
from tests.support.budgets import Desk
from tests.support.served import served
from tests.support.webserver import Web

READER, CHECKER, LABELER = "reader-token", "checker-token", "labeler-token"
TOKENS = [
    {"name": "reader", "sha256": hash_token(READER), "scopes": ["traces:read"]},
    {"name": "labeler", "sha256": hash_token(LABELER), "scopes": ["traces:read", "evals:write"]},
    {"name": "checker", "sha256": hash_token(CHECKER), "scopes": ["budgets:check"]},
]
Found = tuple[int, Mapping[str, str], str]


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    with served(desk, TOKENS) as web:
        yield web


@pytest.fixture
def open_web(desk: Desk) -> Iterator[Web]:
    """Without tokens: anyone on this machine may read."""
    with served(desk) as web:
        yield web


def ask(web: Web, method: str, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Found:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = urlencode(fields) if fields is not None else None
    connection.request(method, path, body, {"content-type": "application/x-www-form-urlencoded", **sent})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    connection.close()
    return found


def sign_in(web: Web, token: str = READER, after: str = "", origin: str | None = None) -> Found:
    own = web.url if origin is None else origin
    return ask(web, "POST", "/sign-in", {"token": token, "next": after}, **({"origin": own} if own else {}))


def test_a_page_asks_for_a_token_once_and_keeps_it(web: Web) -> None:
    status, headers, _ = ask(web, "GET", "/budgets?x=1")
    assert (status, headers["location"]) == (302, "/sign-in?next=%2Fbudgets%3Fx%3D1")
    assert "Token" in ask(web, "GET", "/sign-in")[2]
    status, headers, _ = sign_in(web, after="/budgets?x=1")
    assert (status, headers["location"]) == (303, "/budgets?x=1")
    cookie = headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    kept = cookie.partition(";")[0]
    status, _, body = ask(web, "GET", "/budgets", cookie=kept)
    assert status == 200
    assert "Sign out" in body
    assert ask(web, "GET", "/api/v1/budgets", cookie=kept)[0] == 200
    status, headers, _ = ask(web, "POST", "/sign-out", {}, cookie=kept, origin=web.url)
    assert (status, "Max-Age=0" in headers["set-cookie"]) == (303, True)


def test_labels_take_a_scope_and_a_form_of_our_own(web: Web) -> None:
    path, fields = f"/runs/{1:032x}/labels", {"evaluator": "kind", "verdict": "pass"}
    reader, labeler = (f"spanmeter_token={token}" for token in (READER, LABELER))
    assert ask(web, "POST", path, fields, origin=web.url)[0] == 401
    assert ask(web, "POST", path, fields, cookie=reader, origin=web.url)[0] == 403
    for origin in ({}, {"origin": "http://evil.example"}, {"origin": "null"}):
        assert ask(web, "POST", path, fields, cookie=labeler, **origin)[0] == 403
    assert ask(web, "POST", path, {"verdict": "pass"}, cookie=labeler, origin=web.url)[0] == 400
    status, _, body = ask(web, "POST", path, fields, cookie=labeler, origin=web.url)
    assert status not in (303, 401, 403), "whoever may label is let through, to a store that has no such run"
    assert "traces:read" not in body


def test_other_tokens_do_not_sign_in(web: Web) -> None:
    for token in (CHECKER, "unknown", "", "a;b", "ü"):
        status, headers, body = sign_in(web, token)
        assert status == 401
        assert "set-cookie" not in headers
        assert "no token with the scope traces:read" in body


@pytest.mark.parametrize("after", ["https://evil.example", "//evil.example", "/\\evil.example", "runs", "/a\r\nb: c"])
def test_nobody_is_led_elsewhere(web: Web, after: str) -> None:
    assert sign_in(web, after=after)[1]["location"] == "/runs"


def test_a_form_comes_from_our_own_page(web: Web) -> None:
    for origin in ("", "null", "https://evil.example", "http://127.0.0.1:1", f"{web.url}.evil.example"):
        assert sign_in(web, origin=origin)[0] == 403, origin
        assert ask(web, "POST", "/sign-out", {}, **({"origin": origin} if origin else {}))[0] == 403


def test_a_cookie_only_reads(web: Web) -> None:
    kept = f"spanmeter_token={READER}"
    assert ask(web, "POST", "/api/v1/reprice", {}, cookie=kept, origin=web.url)[0] == 401
    assert ask(web, "POST", "/deliveries/replay", {}, cookie=kept, origin=web.url)[0] == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_name_that_points_here_reads_nothing(open_web: Web, host: str) -> None:
    for path in ("/runs", "/budgets", "/sign-in", "/live/events", "/api/v1/budgets", "/api/v1/runs"):
        status, _, body = ask(open_web, "GET", path, host=host)
        assert (status, "spanmeter is not known as" in body) == (403, True), path
    assert ask(open_web, "POST", "/api/v1/budgets/check", None, host=host)[0] == 200, "gateways ask by any name"
    assert ask(open_web, "GET", "/healthz", host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "10.0.0.7:80", "a.localhost"]
)
def test_addresses_and_this_machine_are_known(open_web: Web, host: str) -> None:
    assert ask(open_web, "GET", "/api/v1/budgets", host=host)[0] == 200


def test_a_token_in_a_header_needs_no_known_host(web: Web) -> None:
    headers = {"authorization": f"Bearer {READER}", "host": "anything.example"}
    assert ask(web, "GET", "/api/v1/budgets", None, **headers)[0] == 200


def test_every_page_needs_a_token(web: Web) -> None:
    for path in PAGES:
        filled = path.replace("{trace_id}", "0" * 32).replace("{span_id}", "0" * 16).replace("{name:path}", "month")
        assert ask(web, "GET", filled)[0] == 302, path
    assert ask(web, "GET", "/live/events")[0] == 401
    assert not {operation.path for operation in OPERATIONS}.intersection(PAGES)


def test_a_form_is_small(web: Web) -> None:
    assert ask(web, "POST", "/sign-in", {"token": "x" * 10_000}, origin=web.url)[0] == 413


def test_pages_of_others_change_nothing_where_nobody_needs_a_token(open_web: Web) -> None:
    """A browser sends what they post to this machine; the answer would stay hidden from them, and the change be made."""
    for path in ("/api/v1/backups", "/api/v1/reprice", "/api/v1/evaluations/labels", "/api/v1/leases"):
        for origin in ("http://evil.example", "null"):
            assert ask(open_web, "POST", path, {}, origin=origin)[0] == 403, (path, origin)
        assert ask(open_web, "POST", path, {}, origin=open_web.url)[0] != 403
        assert ask(open_web, "POST", path, {}, origin="http://evil.example", host="evil.example")[0] == 403
