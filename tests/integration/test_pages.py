"""What pages answer, read as they are sent: no browser is needed for these."""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pytest

from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.model.envelope import Envelope
from collector.store import Store
from tests.support import stored
from tests.support.agent_runs import Step, request
from tests.support.budgets import Desk
from tests.support.captured import captured
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

USED = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2}


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), captured("oi-openai"), "run")
    with served(desk, store=store) as web:
        yield web


def sent(store: Store, steps: Sequence[Step], trace: int, begin: int) -> None:
    """A run of these steps is stored."""
    envelope = Envelope("default", time.time_ns(), len(steps), request(steps, trace, begin))
    stored.deliver(store, Billing(ENRICHER, RecentTraces(1000)), [envelope], str(trace))


def a_span(web: Web) -> dict[str, Any]:
    run = web.ask("GET", "/api/v1/runs?since=2026-01-01&limit=1").body["runs"][0]
    span: dict[str, Any] = web.ask("GET", f"/api/v1/traces/{run['trace_id']}").body["spans"][-1]
    return span


def test_an_id_that_is_searched_for_leads_to_its_run(web: Web) -> None:
    span = a_span(web)
    run, place = f"/runs/{span['TraceId']}", f"/runs/{span['TraceId']}?span={span['SpanId']}"
    for typed, found in (
        (span["TraceId"], run),
        (f"+{span['TraceId'].upper()}+", run),
        (span["SpanId"], place),
        (span["SpanId"].upper(), place),
    ):
        answer = web.download(f"/runs?q={typed}")
        assert (answer.status, answer.headers["location"]) == (303, found)
    assert web.download("/runs?last=30d&q=0123456789abcdef").status == 200, "an id that nothing has is a text"
    path = "/api/v1/spans"
    assert web.ask("GET", f"{path}/{span['SpanId']}").body == {"trace_id": span["TraceId"], "span_id": span["SpanId"]}
    missing = web.ask("GET", f"{path}/0123456789abcdef")
    assert (missing.status, missing.body["error"]["message"]) == (
        404,
        "No span 0123456789abcdef is stored in project default.",
    )
    assert web.ask("GET", f"{path}/none").status == 400


def test_what_is_missing_of_a_span_is_named(web: Web) -> None:
    span = a_span(web)
    path = f"/runs/{span['TraceId']}/spans/{span['SpanId']}"
    missing = web.ask("GET", f"/api/v1{path}/attributes/nobody.sent.this")
    assert missing.status == 404
    assert missing.body["error"]["message"].endswith("has no attribute 'nobody.sent.this'.")
    gone = web.ask("GET", f"/api/v1/runs/{span['TraceId']}/spans/{'0' * 16}/attributes/any")
    assert gone.body["error"]["message"].startswith(f"No span {'0' * 16} of trace")
    other = web.download(f"{path}/inputs")
    assert other.status == 404
    assert b"The texts of a span are input and output" in other.body


def test_the_next_of_another_list_is_refused(web: Web) -> None:
    lists = "/api/v1/runs?since=2026-01-01&limit=1", "/api/v1/conversations?since=2026-01-01&limit=1"
    own = {path: quote(web.ask("GET", path).body["next"]) for path in lists}
    others = [f"{lists[0]}&{more}" for more in ("sort=cost", "order=asc", "agent=a", "folded=true", "attribute=a=b")]
    for path, after in ((other, own[lists[0]]) for other in [*others, lists[1]]):
        answer = web.ask("GET", f"{path}&after={after}")
        assert answer.status == 400, path
        assert "another order or other filters" in answer.body["error"]["message"]
    for path, after in own.items():
        assert web.ask("GET", f"{path}&after={after}".replace("limit=1", "limit=9")).status == 200, (
            "as many as one likes"
        )
    page = web.download(f"/runs?sort=cost&after={own[lists[0]]}")
    assert (page.status, b"another order or other filters" in page.body) == (400, True)


def test_what_a_page_does_not_know_is_refused(web: Web) -> None:
    run = f"/runs/{a_span(web)['TraceId']}"
    for path, sentence in (
        ("/runs?agnet=x", "&#39;agnet&#39; is not a known parameter; did you mean agent?"),
        ("/live?model=x", "&#39;model&#39; is not a known parameter"),
        ("/budgets?after=x", "&#39;after&#39; is not a known parameter"),
        (f"{run}?view=waterfal", "view=&#39;waterfal&#39; is not known; choose one of waterfall,"),
        (f"{run}?only=error", "only=&#39;error&#39; is not known"),
        (f"{run}?row=-1", "row=&#39;-1&#39; is not a whole number"),
        (f"{run}?view=rounds&from=x", "from=&#39;x&#39; is not a whole number"),
        (f"{run}/replay?step=first", "step=&#39;first&#39; is not a whole number"),
        (f"/compare?a={'0' * 31}", "is not a trace id"),
    ):
        answer = web.download(path)
        assert answer.status == 400, path
        assert sentence in answer.body.decode(), path


def test_what_has_no_price_costs_no_zero_dollars(store: Store, desk: Desk) -> None:
    """On every page, in the file for spreadsheets and in figures: it is not known what a run without prices cost."""
    begin = time.time_ns() - 10**10
    steps = [
        Step("agent", 0, 90, attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "odd"}),
        Step("chat", 1, 5, 0, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "none-such", **USED}),
    ]
    sent(store, steps, 0x77, begin)
    trace = f"{0x77:032x}"
    with served(desk, store=store) as web:
        for path in ("/runs", "/spend?last=24h", f"/runs/{trace}", f"/runs/{trace}/replay?step=2"):
            body = web.download(path).body.decode()
            assert "unpriced" in body, path
            assert not re.findall(r"[^(]\$0\.00[0-9]*", body), path
        table = web.download("/api/v1/spend/table?format=csv").body.decode().splitlines()
        assert table[1].split(",")[3:6] == ["", "0", "1"], table
        assert web.ask("GET", "/api/v1/spend").body["spend"][0]["cost"] is None
        assert web.ask("GET", "/api/v1/kpis").body["window"]["kpis"]["cost"] is None
        weeks = web.ask("GET", "/api/v1/compare/windows").body["figures"]
        assert [one["b"] for one in weeks if one["unit"] == "usd"] == [None] * 4


def test_a_period_that_ends_before_it_begins_is_refused(web: Web) -> None:
    period = "since=2026-11-30&until=2026-11-29"
    for path in ("runs", "facets", "kpis", "conversations", "spend", "spend/table", "compare/windows"):
        answer = web.ask("GET", f"/api/v1/{path}?{period}")
        assert (answer.status, "before it begins" in answer.body["error"]["message"]) == (400, True), path
    for path in ("runs", "spend"):
        page = web.download(f"/{path}?{period}")
        assert (page.status, b"before it begins" in page.body) == (400, True)
    assert web.ask("GET", "/api/v1/kpis?since=2026-11-30&until=2026-11-30").status == 200


def test_where_nothing_is_a_browser_gets_a_page(web: Web) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/runs/", "/nothing", "/runs/x/y/z"):
        page = web.download(path, headers=browser)
        assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is nothing at" in page.body.decode()
        assert "content-security-policy" in page.headers
        assert web.ask("GET", path).body["error"]["reason"] == "not_found", "programs get an answer"
    assert web.ask("GET", "/api/v1/nothing", headers=browser).status == 404
