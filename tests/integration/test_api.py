"""The web application over a real store: runs, spend, unpriced models, re-pricing; scopes and sentences."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.applications import Starlette

from collector.admit.auth import Gate, hash_token
from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.billing.reprice import Outcome, Selection, apply, compare
from collector.config import AuthConfig, PricingConfig
from collector.enrich import RecentTraces
from collector.errors import SpanmeterError
from collector.model.principal import ANONYMOUS
from collector.query.service import Query
from collector.runs import read_spans, run_of
from collector.store import Store
from collector.web import api
from collector.web.run import run_json
from tests.support import stored
from tests.support.captured import captured
from tests.support.stored import ENRICHER

READER, ADMIN, WRITER = "reader-token", "admin-token", "writer-token"
TOKENS = [
    {"name": name, "sha256": hash_token(token), "scopes": [scope]}
    for name, token, scope in (
        ("reader", READER, "traces:read"),
        ("admin", ADMIN, "admin"),
        ("writer", WRITER, "traces:write"),
    )
]


@pytest.fixture
def app(store: Store) -> Starlette:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), captured("oi-openai"), "run")
    gate = Gate(AuthConfig.model_validate({"tokens": TOKENS}))

    def reprice(selection: Selection, dry_run: bool) -> Outcome:
        return (compare if dry_run else apply)(store, enricher(PricingConfig()), selection)

    routes = api.routes(Query(lambda: store), gate, reprice)
    return Starlette(routes=routes, exception_handlers={SpanmeterError: api.error_response})


def call(app: Starlette, target: str, token: str = READER, body: Any = None) -> tuple[int, Mapping[str, Any]]:
    """One request through the ASGI interface; status and JSON."""
    path, _, query = target.partition("?")
    answer: list[Any] = []
    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
        "http_version": "1.1",
        "server": ("test", 80),
        "scheme": "http",
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode(), "more_body": False}

    async def send(message: Any) -> None:
        answer.append(message)

    asyncio.run(app(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in answer)
    return answer[0]["status"], json.loads(text)


def test_runs_and_spend_agree(app: Starlette) -> None:
    status, listed = call(app, "/api/v1/runs?since=2026-01-01&limit=1000")
    assert status == 200
    run = max(listed["runs"], key=lambda run: run["Spans"])
    assert run["Start"].isdecimal(), "times are strings of nanoseconds"
    assert run["Models"]
    status, spent = call(app, "/api/v1/spend?by=day&since=2026-01-01")
    assert status == 200
    status, by_model = call(app, "/api/v1/spend?by=model&since=2026-01-01")
    assert status == 200
    assert {row["Value"] for row in by_model["spend"]} >= {"gpt-4o-mini-2024-07-18"}
    assert sum(float(row["Cost"]) for row in spent["spend"]) == pytest.approx(
        sum(float(run["Cost"] or 0) for run in listed["runs"])
    )


def test_pages_of_runs_follow_each_other(app: Starlette) -> None:
    _, whole = call(app, "/api/v1/runs?since=2026-01-01&limit=1000")
    assert whole["next"] is None
    found, after = [], ""
    while after is not None:
        _, page = call(app, f"/api/v1/runs?since=2026-01-01&limit=3&after={after}")
        found += page["runs"]
        after = page["next"]
    assert found == whole["runs"]
    model = found[0]["Models"][0]
    _, filtered = call(app, f"/api/v1/runs?since=2026-01-01&model={model}")
    assert filtered["runs"] == [run for run in found if model in run["Models"]] != []
    assert call(app, "/api/v1/runs?since=2026-01-01&feature=none")[1] == {"runs": [], "next": None}


def test_the_document_of_a_run_needs_no_other_columns(app: Starlette, store: Store) -> None:
    query = Query(lambda: store)
    for row in call(app, "/api/v1/runs?since=2026-01-01&limit=1000")[1]["runs"]:
        trace_id = row["TraceId"]
        _, document = call(app, f"/api/v1/runs/{trace_id}")
        assert document == run_json(trace_id, run_of(read_spans(query.trace(ANONYMOUS, trace_id))))


def test_a_run_tells_its_rounds_prompt_and_tools(app: Starlette) -> None:
    _, listed = call(app, "/api/v1/runs?since=2026-01-01&limit=1000")
    largest = max(listed["runs"], key=lambda run: run["Spans"])
    status, run = call(app, f"/api/v1/runs/{largest['TraceId'].upper()}")
    assert status == 200
    assert (run["trace_id"], run["spans"]) == (largest["TraceId"], largest["Spans"])
    assert run["cost"] == largest["Cost"]
    assert run["system_prompt"]["characters"] == len(run["system_prompt"]["text"]) > 0
    assert [(tool["name"], tool["calls"] > 0) for tool in run["tools"]][:1] == [("get_weather", True)]
    first = run["rounds"][0]
    assert first["answered_model"] == "gpt-4o-mini-2024-07-18"
    assert (first["finish_reason"], first["input_tokens"]) == ("tool_calls", 1011)
    assert json.loads(first["actions"][0]["arguments"])["city"] == "Zürich"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("/api/v1/runs?limit=0", "limit is between 1 and 1000, not 0."),
        ("/api/v1/runs?limit=many", "limit='many' is not a whole number."),
        ("/api/v1/runs?after=last", "after='last' is not the `next` of a page of runs."),
        ("/api/v1/runs?since=yesterday", "since='yesterday' is not a time"),
        ("/api/v1/spend?by=mood", "Spend cannot be broken down by 'mood'; choose one of model, provider"),
        ("/api/v1/traces/xyz", "'xyz' is not a trace id: 32 hexadecimal digits."),
    ],
)
def test_questions_that_make_no_sense_get_a_sentence(app: Starlette, target: str, sentence: str) -> None:
    status, answer = call(app, target)
    assert (status, answer["error"]["reason"]) == (400, "malformed")
    assert answer["error"]["message"].startswith(sentence)


def test_scopes_hold(app: Starlette) -> None:
    assert call(app, "/api/v1/runs", token="")[0] == 401
    assert call(app, "/api/v1/runs", token=WRITER)[0] == 403
    assert call(app, "/api/v1/reprice", READER, {"since": "2026-01-01"})[0] == 403
    assert call(app, f"/api/v1/traces/{'0' * 31}1")[0] == 404


def test_repricing_over_the_api(app: Starlette) -> None:
    status, outcome = call(app, "/api/v1/reprice", ADMIN, {"since": "2026-01-01"})
    assert (status, outcome["written"]) == (200, 0)
    assert outcome["models"]["gpt-4o-mini-2024-07-18"]["changed"] == 0
    other = {"since": "2026-01-01", "as_model": "gpt-4o", "dry_run": False}
    status, refused = call(app, "/api/v1/reprice", ADMIN, other)
    assert (status, refused["error"]["message"]) == (400, "as_model only compares; send dry_run: true.")
    status, refused = call(app, "/api/v1/reprice", ADMIN, {"sinse": "2026-01-01"})
    assert refused["error"]["message"] == "Unknown fields: sinse."


def test_unpriced_models_are_listed(app: Starlette) -> None:
    assert call(app, "/api/v1/prices/unpriced") == (200, {"models": []})
