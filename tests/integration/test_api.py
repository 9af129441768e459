"""The web application over a real store: runs, spend, unpriced models, re-pricing; scopes and sentences."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.applications import Starlette

from collector.admit.auth import hash_token
from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.billing.reprice import Outcome, Selection, apply, compare
from collector.config import PricingConfig
from collector.enrich import RecentTraces
from collector.model.principal import ANONYMOUS
from collector.model.progress import Progress
from collector.query.service import Query
from collector.runs import read_spans, run_of
from collector.store import Store
from collector.web.run import run_json
from collector.web.times import rfc3339
from tests.support import stored
from tests.support.budgets import Desk
from tests.support.calls import Call, envelope
from tests.support.captured import captured
from tests.support.stored import ENRICHER
from tests.support.waiting import wait_until
from tests.support.webservices import application, services

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
def app(store: Store, desk: Desk) -> Iterator[Starlette]:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), captured("oi-openai"), "run")

    def reprice(selection: Selection, dry_run: bool, progress: Progress) -> Outcome:
        if dry_run:
            return compare(store, enricher(PricingConfig()), selection, progress)
        return apply(store, enricher(PricingConfig()), selection, progress=progress)

    parts = services(desk.enforcement, desk.clock, store=lambda: store, reprice=reprice)
    yield application(parts, TOKENS)
    parts.jobs.close()


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
    run = max(listed["runs"], key=lambda run: run["spans"])
    nanoseconds = int(run["started_at_unix_nano"])
    assert run["started_at"] == rfc3339(nanoseconds)
    assert int(run["ended_at_unix_nano"]) - nanoseconds == run["duration_nanoseconds"]
    assert run["models"]
    status, spent = call(app, "/api/v1/spend?by=day&since=2026-01-01")
    assert status == 200
    status, by_model = call(app, "/api/v1/spend?by=model&since=2026-01-01")
    assert status == 200
    assert {row["value"] for row in by_model["spend"]} >= {"gpt-4o-mini-2024-07-18"}
    assert sum(float(row["cost"]) for row in spent["spend"]) == pytest.approx(
        sum(float(run["cost"] or 0) for run in listed["runs"])
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
    model = found[0]["models"][0]
    _, filtered = call(app, f"/api/v1/runs?since=2026-01-01&model={model}")
    assert filtered["runs"] == [run for run in found if model in run["models"]] != []
    assert call(app, "/api/v1/runs?since=2026-01-01&feature=none")[1] == {"runs": [], "next": None}


def test_lists_of_runs_agree(app: Starlette) -> None:
    _, listed = call(app, "/api/v1/runs?since=2026-01-01&limit=1000&titles=true")
    runs = listed["runs"]
    assert any(run["title"] for run in runs)
    _, dearest = call(app, "/api/v1/runs?since=2026-01-01&limit=1000&sort=cost")
    assert [run["cost"] for run in dearest["runs"]] == sorted((run["cost"] for run in runs), reverse=True)
    _, facets = call(app, "/api/v1/facets?since=2026-01-01")
    for value in facets["facets"]["model"]:
        assert value["runs"] == sum(value["value"] in run["models"] for run in runs)
    assert sum(value["runs"] for value in facets["facets"]["status"]) == len(runs)
    _, kpis = call(app, "/api/v1/kpis?since=2026-01-01&steps=3")
    assert kpis["window"]["kpis"]["runs"] == len(runs) == sum(step["kpis"]["runs"] for step in kpis["steps"])
    assert kpis["window"]["kpis"]["input_tokens"] == sum(run["input_tokens"] for run in runs)
    assert kpis["other"]["until"] == kpis["window"]["since"] == kpis["steps"][0]["since"]
    assert (len(kpis["steps"]), kpis["steps"][-1]["until"]) == (3, kpis["window"]["until"])
    _, other = call(app, "/api/v1/kpis?since=2026-01-01&other_since=2026-01-01")
    assert other["other"]["kpis"] == other["window"]["kpis"]


def test_conversations(app: Starlette, store: Store) -> None:
    store.command(
        "INSERT INTO otel_traces (Kind, Project, Timestamp, TraceId, SpanId, Version, ConversationId, Input) "
        "SELECT 'agent', 'default', toDateTime64('2026-03-01', 9, 'UTC') + toIntervalMinute(number), lower(hex(sipHash128(number))), "
        "leftPad(toString(number), 16, '0'), 1, 'a/b c', concat('hello ', toString(number)) FROM numbers(5)"
    )
    _, page = call(app, "/api/v1/conversations?since=2026-01-01")
    (found,) = (each for each in page["conversations"] if each["conversation_id"] == "a/b c")
    assert found["runs"] == 5
    _, one = call(app, "/api/v1/conversations/a/b c?titles=true&limit=3")
    _, rest = call(app, f"/api/v1/conversations/a/b c?titles=true&after={one['next']}")
    assert one["conversation"] == found
    assert [run["title"] for run in [*one["runs"], *rest["runs"]]] == [f"hello {number}" for number in range(5)]
    assert rest["next"] is None
    status, missing = call(app, "/api/v1/conversations/none")
    assert (status, missing["error"]["reason"]) == (404, "not_found")


def test_the_document_of_a_run_needs_no_other_columns(app: Starlette, store: Store) -> None:
    query = Query(lambda: store)
    for row in call(app, "/api/v1/runs?since=2026-01-01&limit=1000")[1]["runs"]:
        trace_id = row["trace_id"]
        _, document = call(app, f"/api/v1/runs/{trace_id}")
        assert document == run_json(trace_id, run_of(read_spans(query.trace(ANONYMOUS, trace_id))))


def test_a_run_tells_its_rounds_prompt_and_tools(app: Starlette) -> None:
    _, listed = call(app, "/api/v1/runs?since=2026-01-01&limit=1000")
    largest = max(listed["runs"], key=lambda run: run["spans"])
    status, run = call(app, f"/api/v1/runs/{largest['trace_id'].upper()}")
    assert status == 200
    assert (run["trace_id"], run["spans"]) == (largest["trace_id"], largest["spans"])
    assert run["cost"] == largest["cost"]
    assert run["system_prompt"]["characters"] == len(run["system_prompt"]["text"]) > 0
    assert [(tool["name"], tool["calls"] > 0) for tool in run["tools"]][:1] == [("get_weather", True)]
    first = run["rounds"][0]
    assert first["answered_model"] == "gpt-4o-mini-2024-07-18"
    assert (first["finish_reason"], first["input_tokens"]) == ("tool_calls", 1011)
    assert json.loads(first["actions"][0]["arguments"])["city"] == "Zürich"


def test_periods_are_half_open_to_the_nanosecond(store: Store, app: Starlette) -> None:
    start = 1_795_248_000_999_999_999
    deliver = envelope([Call(1, 1, start, 500, model="gpt-4o")], start)
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10)), [deliver], "edge")
    for what in ("spend", "runs"):
        for since, until, found in ((0, 1, 1), (-1, 0, 0), (1, 10**9, 0), (-1, 1, 1)):
            period = f"since={rfc3339(start + since)}&until={rfc3339(start + until)}"
            _, answer = call(app, f"/api/v1/{what}?{period}")
            assert len(answer[what]) == found, (what, since, until)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("/api/v1/runs?limit=0", "limit='0' is not a whole number from 1 to 1000."),
        ("/api/v1/runs?limit=many", "limit='many' is not a whole number from 1 to 1000."),
        ("/api/v1/runs?modle=gpt-5", "'modle' is not a known parameter; did you mean model?"),
        ("/api/v1/runs?status=bad", "status='bad' is not known; choose one of ok, errors, failed, incomplete."),
        ("/api/v1/runs?sort=name", "sort='name' is not known; choose one of start, cost, duration, tokens, failed."),
        ("/api/v1/runs?order=up", "order='up' is not known; choose one of desc, asc."),
        ("/api/v1/runs?titles=1", "titles='1' is neither true nor false."),
        ("/api/v1/runs?min_cost=much", "min_cost='much' is not an amount"),
        ("/api/v1/runs?max_seconds=-1", "max_seconds='-1' is not a number of seconds"),
        ("/api/v1/runs?min_tokens=1.5", "min_tokens='1.5' is not a number of tokens"),
        ("/api/v1/runs?attribute=tenant", "attribute='tenant' is not a name and a value"),
        ("/api/v1/kpis?steps=1000", "steps='1000' is not a whole number from 0 to 400."),
        ("/api/v1/conversations?after=last", "after='last' is not the `next` of a page."),
        ("/api/v1/runs?after=last", "after='last' is not the `next` of a page."),
        ("/api/v1/runs?since=yesterday", "since='yesterday' is not a time"),
        ("/api/v1/spend?by=mood", "by='mood' is not known; choose one of model, provider"),
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
    status, queued = call(app, "/api/v1/reprice", ADMIN, {"since": "2026-01-01"})
    assert (status, queued["job"]["kind"]) == (202, "reprice")
    path = f"/api/v1/jobs/{queued['job']['id']}"
    wait_until(lambda: call(app, path, ADMIN)[1]["job"]["finished_at"] is not None, 30, "the job's end")
    job = call(app, path, ADMIN)[1]["job"]
    assert (job["state"], job["error"], job["result"]["written"]) == ("succeeded", None, 0)
    assert job["done"] == job["total"] == sum(model["calls"] for model in job["result"]["models"].values()) > 0
    assert job["result"]["models"]["gpt-4o-mini-2024-07-18"]["changed"] == 0
    assert call(app, "/api/v1/jobs", ADMIN)[1] == {"jobs": [job], "next": None}
    assert call(app, f"{path}/cancel", ADMIN, {})[1]["job"] == job, "what has ended is left as it is"
    assert call(app, path, READER)[0] == 404, "it could not have started it"
    assert call(app, "/api/v1/jobs", READER)[1]["jobs"] == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"since": "2026-01-01", "as_model": "gpt-4o", "dry_run": False},
            "as_model only compares; send dry_run: true.",
        ),
        ({"sinse": "2026-01-01"}, "'sinse' is not a known field; did you mean since?"),
        ({}, "since is required, for example 2026-11-01T00:00:00Z."),
        ({"since": "2026-01-01", "dry_run": "no"}, 'dry_run is true or false, not "no".'),
        ({"since": 1}, "since is a string, not 1."),
        ({"since": None}, "since is required, for example 2026-11-01T00:00:00Z."),
    ],
)
def test_mistakes_about_repricing_get_a_sentence(app: Starlette, body: Any, sentence: str) -> None:
    status, refused = call(app, "/api/v1/reprice", ADMIN, body)
    assert (status, refused["error"]["message"]) == (400, sentence)


def test_unpriced_models_are_listed(app: Starlette) -> None:
    assert call(app, "/api/v1/prices/unpriced") == (200, {"models": []})
