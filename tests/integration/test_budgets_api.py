"""Checks and leases over the real web server: decisions, headers, scopes, and a sentence for each mistake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from collector.errors import Rejected
from collector.web.budget_inputs import run_of_headers
from tests.support.budgets import CHECKER, FEATURES, MONTH, OTHER, READER, Desk, checks_of
from tests.support.webserver import Answer, Web, serving
from tests.support.webservices import application, services


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, MONTH, FEATURES)
    yield desk
    desk.close()


@pytest.fixture
def web(desk: Desk) -> Iterator[Web]:
    with serving(checks_of(desk)) as web:
        yield web


def check(web: Web, token: str = CHECKER, **question: Any) -> Answer:
    return web.ask("POST", "/api/v1/budgets/check", question, token=token)


def take(web: Web, **question: Any) -> Answer:
    return web.ask("POST", "/api/v1/leases", question, token=CHECKER)


def test_a_run_is_allowed_until_a_budget_is_used_up(desk: Desk, web: Web) -> None:
    answer = check(web, service="shop", feature="checkout")
    assert (answer.status, answer.body["allowed"]) == (200, True)
    assert [budget["name"] for budget in answer.body["budgets"]] == ["month", "features"]
    desk.spend("1.000000000001", service="shop", feature="checkout")
    answer = check(web, service="shop", feature="checkout")
    assert (answer.status, answer.body["allowed"], answer.body["reason"]) == (200, False, "over_limit")
    budget = answer.body["budget"]
    assert (budget["name"], budget["scope"], budget["unit"]) == ("features", {"feature": "checkout"}, "usd")
    assert (budget["limit"], budget["spend"]) == ("1.000000000000", "1.000000000001")
    assert (budget["remaining"], budget["fraction"]) == ("0.000000000000", "1.000000")
    assert budget["period"]["end"] == "2025-10-10T00:00:00-04:00"
    assert answer.headers["retry-after"] == str(answer.body["retry_after_seconds"])
    assert check(web, service="shop", feature="search").body["allowed"], "another feature has its own budget"
    assert check(web, OTHER, service="shop", feature="search").body["allowed"]


def test_estimates_are_exact(desk: Desk, web: Web) -> None:
    desk.spend("9.9")
    for estimate in ("0.1", 0.1, "1e-1", "0.10"):
        assert check(web, estimate_usd=estimate).body["allowed"]
    for written in (b"0.100000000001", b'"0.100000000001"', b"1"):
        answer = web.ask("POST", "/api/v1/budgets/check", b'{"estimate_usd": ' + written + b"}", token=CHECKER)
        assert answer.body["allowed"] is False
    assert check(web, estimate_usd=1).body["budget"]["remaining"] == "0.100000000000"


def test_a_lease_over_its_life(desk: Desk, web: Web) -> None:
    answer = take(web, service="shop", feature="checkout", estimate_usd="0.75", ttl_seconds=120, attributes={"a": "b"})
    assert (answer.status, answer.body["allowed"]) == (201, True)
    lease = answer.body["lease"]
    path = answer.headers["location"]
    assert path == f"/api/v1/leases/{lease['id']}"
    assert lease == {
        "id": lease["id"],
        "state": "open",
        "said": {"service": "shop", "feature": "checkout", "attribute.a": "b"},
        "amount_usd": "0.750000000000",
        "amount_tokens": "0",
        "spent_usd": "0.000000000000",
        "spent_tokens": "0",
        "held_usd": "0.750000000000",
        "held_tokens": "0",
        "created": "2025-10-09T08:53:20+00:00",
        "expires": "2025-10-09T08:55:20+00:00",
    }
    assert web.ask("GET", path, token=CHECKER).body == {"lease": lease}
    refused = take(web, service="shop", feature="checkout", estimate_usd="0.5")
    assert (refused.status, refused.body["allowed"], refused.body["lease"]) == (200, False, None)
    assert refused.headers["retry-after"] == "10"
    ended = web.ask("POST", f"{path}/settle", {"spent_usd": "0.5"}, token=CHECKER)
    assert (ended.status, ended.body["lease"]["held_usd"]) == (200, "0.500000000000")
    assert take(web, service="shop", feature="checkout", estimate_usd="0.5").status == 201
    released = web.ask("DELETE", path, token=CHECKER)
    assert (released.status, released.body["lease"]["state"]) == (200, "released")
    assert web.ask("GET", path, token=CHECKER).body == released.body


def test_scopes_and_projects_hold(web: Web) -> None:
    path = take(web, estimate_usd="1").headers["location"]
    for method, target in (
        ("POST", "/api/v1/budgets/check"),
        ("GET", "/api/v1/budgets/authorize"),
        ("POST", "/api/v1/leases"),
        ("GET", path),
        ("DELETE", path),
        ("POST", f"{path}/settle"),
    ):
        assert web.ask(method, target, {}, token=READER).status == 403, target
        assert web.ask(method, target, {}, token="no-such-token").status == 401, target
    for method, target in (("GET", path), ("DELETE", path), ("POST", f"{path}/settle")):
        assert web.ask(method, target, {}, token=OTHER).status == 404
    answer = web.ask("GET", path, token=OTHER)
    assert answer.body["error"]["message"] == f"There is no lease {path.rpartition('/')[2]!r} in project other."
    assert web.ask("GET", path, token=CHECKER).body["lease"]["state"] == "open"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "The body must be a JSON object."),
        (b"[]", "The body must be a JSON object."),
        (b'{"estimate_usd": NaN}', "The body must be a JSON object."),
        (b'{"a":' * 10_000, "The body must be a JSON object."),
        (b"\xff", "The body must be a JSON object."),
        (b'{"featur": "x"}', "'featur' is not a known field; did you mean feature?"),
        (b'{"zzzzzzz": 1}', "'zzzzzzz' is not a known field; known are service, environment, provider, model, agent,"),
        (b'{"project": "other"}', "project cannot be stated: it is your token's own, default."),
        (b'{"feature": 1}', "feature is a string, not 1."),
        (
            rb'{"feature": "a\ud800"}',
            r"feature='a\ud800' is not Unicode: half a surrogate pair stands alone.",
        ),
        (rb'{"attributes": {"\udfff": "a"}}', r"attributes='\udfff' is not Unicode: half a surrogate pair"),
        (rb'{"attributes": {"a": "\udfff"}}', r"attributes='\udfff' is not Unicode: half a surrogate pair"),
        (b'{"attributes": ["a"]}', 'attributes is an object of strings, for example {"tenant": "acme"}.'),
        (b'{"attributes": {"a": 1}}', 'attributes is an object of strings, for example {"tenant": "acme"}.'),
        (b'{"estimate_usd": "much"}', "estimate_usd='much' is not an amount: a number or string such as \"0.25\", at"),
        (b'{"estimate_usd": -0.01}', "estimate_usd='-0.01' is not an amount"),
        (b'{"estimate_usd": 1e400000000}', "estimate_usd='1E+400000000' is not an amount"),
        (b'{"estimate_usd": true}', "estimate_usd='True' is not an amount"),
        (b'{"estimate_usd": "NaN"}', "estimate_usd='NaN' is not an amount"),
        (b'{"estimate_tokens": 1.5}', "estimate_tokens='1.5' is not a number of tokens: whole, at least 0."),
        (b'{"estimate_tokens": -1}', "estimate_tokens='-1' is not a number of tokens"),
        (
            b'{"estimate_tokens": 9223372036854775808}',
            "estimate_tokens='9223372036854775808' is not a number of tokens",
        ),
        (b'{"estimate_tokens": 1e999999999}', "estimate_tokens='1E+999999999' is not a number of tokens"),
    ],
)
def test_questions_that_make_no_sense_get_a_sentence(web: Web, body: bytes, sentence: str) -> None:
    for path in ("/api/v1/budgets/check", "/api/v1/leases"):
        answer = web.ask("POST", path, body, token=CHECKER)
        assert (answer.status, answer.body["error"]["reason"]) == (400, "malformed")
        assert answer.body["error"]["message"].startswith(sentence)


def test_mistakes_about_leases_get_a_sentence(web: Web) -> None:
    for ttl in (0, -1, "60", True, 10**9):
        answer = take(web, estimate_usd="1", ttl_seconds=ttl)
        assert answer.body["error"]["message"] == "ttl_seconds is a number of seconds above 0, for example 600."
    answer = take(web, estimate_usd="1", ttl_seconds=86_401)
    assert answer.body["error"]["message"].startswith("ttl_seconds is above 0 and at most 86400 ")
    answer = take(web, service="shop")
    assert answer.body["error"]["message"].startswith("The budget 'month' is in usd: say estimate_usd")
    path = take(web, estimate_usd="1").headers["location"]
    answer = web.ask("POST", f"{path}/settle", {"spent": 1}, token=CHECKER)
    assert answer.body["error"]["message"] == "'spent' is not a known field; did you mean spent_usd?"
    assert web.ask("GET", f"/api/v1/leases/{'x' * 10_000}", token=CHECKER).status == 404


def test_bodies_are_bounded(web: Web) -> None:
    answer = check(web, feature="x" * 1_000_000)
    assert (answer.status, answer.body["error"]["reason"]) == (413, "too_large")
    assert answer.body["error"]["message"] == "The body is larger than 65536 bytes."


# -- for gateways -----------------------------------------------------------------------------------------------------


def authorize(web: Web, rest: str = "", method: str = "GET", **headers: str) -> Answer:
    said = {f"x-spanmeter-{name.replace('_', '-')}": value for name, value in headers.items()}
    return web.ask(method, f"/api/v1/budgets/authorize{rest}", headers={**said, "x-api-key": CHECKER})


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_gateways_are_told_by_status_and_headers(desk: Desk, web: Web, method: str) -> None:
    said: dict[str, Any] = {"service": "shop", "feature": "checkout"}
    answer = authorize(web, "/v1/chat/completions?stream=true", method, **said)
    assert answer.status == 200
    assert answer.headers["x-spanmeter-budget"] == "month", "both are whole: the first"
    assert "retry-after" not in answer.headers
    desk.spend("0.6", **said)
    assert authorize(web, "/v1/chat", method, **said, estimate_usd="0.4").headers["x-spanmeter-budget"] == "features"
    answer = authorize(web, "/v1/chat/completions", method, **said, estimate_usd="0.400000000001")
    assert answer.status == 403
    told = {name.removeprefix("x-spanmeter-"): value for name, value in answer.headers.items() if "spanmeter" in name}
    assert told == {
        "budget": "features",
        "scope": "feature=checkout",
        "unit": "usd",
        "spend": "0.600000000000",
        "reserved": "0.000000000000",
        "limit": "1.000000000000",
        "remaining": "0.400000000000",
        "reset": "2025-10-10T00:00:00-04:00",
        "reason": "over_limit",
    }
    assert answer.headers["retry-after"] == str(answer.body["retry_after_seconds"])


def test_the_keys_of_providers_are_no_tokens_of_ours(web: Web) -> None:
    """Envoy always forwards the client's own Authorization."""
    headers = {"authorization": "Bearer sk-of-some-provider", "x-api-key": CHECKER}
    assert web.ask("GET", "/api/v1/budgets/authorize/v1/chat", headers=headers).status == 200


@pytest.mark.parametrize("path", ["/", "/a%0Ab", "/%0A"])
def test_any_path_of_a_client_is_looked_past(web: Web, path: str) -> None:
    headers = {"x-api-key": CHECKER}
    assert web.ask("GET", f"/api/v1/budgets/authorize{path}", headers=headers).status == 200


def test_a_client_cannot_say_who_it_is_in_its_own_query(desk: Desk, web: Web) -> None:
    desk.spend("1", service="shop", feature="checkout")
    assert authorize(web, "?service=shop&feature=checkout").status == 403
    assert authorize(web, "?service=shop&feature=checkout&stream=1", feature="search").status == 200, "headers win"
    assert authorize(web, "/v1/chat?feature=search", service="shop", feature="checkout").status == 403
    assert authorize(web, "/v1/chat?service=shop&feature=checkout").status == 200, "nobody we trust said so"


def test_what_states_a_run_is_stated_once(web: Web) -> None:
    """One of two may be the gateway's and one the client's."""
    answer = authorize(web, "?feature=a&stream=1&stream=2&feature=b")
    assert (answer.status, answer.body["error"]["message"]) == (400, "'feature' is given more than once.")
    assert authorize(web, "?attribute.Tenant=a&attribute.Tenant=b").status == 400
    assert authorize(web, "?stream=1&stream=2").status == 200
    twice = [("x-spanmeter-feature", "a"), ("X-Spanmeter-Feature", "b")]
    with pytest.raises(Rejected, match="'x-spanmeter-feature' is given more than once"):
        run_of_headers(
            "default", Headers(raw=[(name.lower().encode(), value.encode()) for name, value in twice]), (), ()
        )


def test_headers_hold_what_headers_cannot(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {**MONTH, "name": "Zürich, 50 %", "per": ["feature", "attribute.Tenant"]})
    app = application(services(desk.enforcement, desk.clock))
    desk.spend("10", feature="prüfen\r\nx-injected: 1", attributes=("ä",))
    desk.spend("10", feature="prüfen", attributes=("ä",))
    with serving(app) as web:
        headers = {"x-spanmeter-feature": "prüfen", "x-spanmeter-attribute-tenant": "ä"}
        answer = web.ask("GET", "/api/v1/budgets/authorize", headers={k: v.encode() for k, v in headers.items()})  # type: ignore[misc]
        assert answer.status == 403
        assert answer.headers["x-spanmeter-budget"] == "Z%C3%BCrich, 50 %25"
        assert answer.headers["x-spanmeter-scope"] == "feature=pr%C3%BCfen,attribute.Tenant=%C3%A4"
        answer = web.ask(
            "GET", "/api/v1/budgets/authorize?feature=pr%C3%BCfen%0D%0Ax-injected:%201&attribute.Tenant=%C3%A4"
        )
        assert answer.status == 403
        assert "x-injected" not in answer.headers
    desk.close()


def test_keys_of_attributes_are_encoded_as_values_are(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {**MONTH, "per": ["attribute.客户", "attribute.a,b=c"]})
    app = application(services(desk.enforcement, desk.clock))
    with serving(app) as web:
        answer = web.ask("GET", "/api/v1/budgets/authorize?attribute.%E5%AE%A2%E6%88%B7=acme")
        assert (answer.status, answer.body["allowed"]) == (200, True)
        scope = "attribute.%E5%AE%A2%E6%88%B7=acme,attribute.a%2Cb%3Dc="
        assert answer.headers["x-spanmeter-scope"] == scope
    desk.close()


def test_a_misspelt_header_is_refused(web: Web) -> None:
    answer = authorize(web, feture="checkout")
    assert (answer.status, answer.body["error"]["message"]) == (
        400,
        "'x-spanmeter-feture' is not a known header; did you mean x-spanmeter-feature?",
    )
    assert authorize(web, budget="month", remaining="1").status == 200, "what another gateway was told"
    assert authorize(web, estimate_usd="much").status == 400


def test_closed_refuses_while_spend_is_not_known(tmp_path: Path) -> None:
    desk = Desk(tmp_path, MONTH, fail="closed")
    desk.why_ill = "The store does not answer: ümlaut."
    app = application(services(desk.enforcement, desk.clock))
    with serving(app) as web:
        answer = web.ask("GET", "/api/v1/budgets/authorize")
        assert (answer.status, answer.headers["x-spanmeter-reason"]) == (403, "unavailable")
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["x-spanmeter-degraded"] == "The store does not answer: %C3%BCmlaut."
        answer = web.ask("POST", "/api/v1/budgets/check", {})
        assert (answer.status, answer.body["allowed"], answer.body["reason"]) == (200, False, "unavailable")
    desk.close()
