"""The parts of a run, comparisons, tables of spend and live runs over REST, against the run that they are made from."""

import csv
import http.client
import io
import json
import urllib.request
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.model.principal import ANONYMOUS
from collector.query.service import Query
from collector.runs import Run, read_spans, run_of
from collector.store import Store
from tests.support import stored
from tests.support.budgets import Desk
from tests.support.captured import captured
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

_CASES = ("oi-langgraph+openai-double", "pydantic-ai-native", "oi-openai-agents")
_SINCE = "since=2026-01-01"


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    billing = Billing(ENRICHER, RecentTraces(100_000))
    for case in _CASES:
        stored.deliver(store, billing, captured(case), case)
    with served(desk, store=store) as web:
        yield web


def runs(web: Web) -> Sequence[str]:
    return [run["trace_id"] for run in web.ask("GET", f"/api/v1/runs?{_SINCE}").body["runs"]]


def ask(web: Web, path: str) -> Any:
    answer = web.ask("GET", path)
    assert answer.status == 200, answer.body
    return answer.body


def run(store: Store, trace_id: str) -> Run:
    return run_of(read_spans(Query(lambda: store).run_spans(ANONYMOUS, trace_id)))


def test_parts_are_those_of_the_run(web: Web, store: Store) -> None:
    said = 0
    for trace_id in runs(web):
        whole, path = ask(web, f"/api/v1/runs/{trace_id}"), f"/api/v1/runs/{trace_id}"
        pages, after = [], ""
        while after is not None:
            page = ask(web, f"{path}/rounds?limit=2&after={after}")
            pages += page["rounds"]
            after = page["next"]
        own = {"owner_span_id", "duration_nanoseconds", "cost_so_far"}
        assert [{name: value for name, value in each.items() if name not in own} for each in pages] == whole["rounds"]
        if pages:
            assert pages[-1]["cost_so_far"] == whole["cost"]
        turns = ask(web, f"{path}/conversation?limit=1000")["turns"]
        assert [turn["round"] for turn in turns] == [each["number"] for each in whole["rounds"]]
        assert [turn["actions"] for turn in turns] == [each["actions"] for each in whole["rounds"]]
        for turn, each in zip(turns, run(store, trace_id).rounds, strict=True):
            assert turn["repeated"] <= len(each.messages.input)
            assert len(turn["output"]) == len(each.messages.output)
            said += len(turn["input"])
        prompts = ask(web, f"{path}/system-prompts")["prompts"]
        assert bool(prompts) == bool(whole["system_prompt"])
        if prompts:
            assert prompts[0]["text"] == whole["system_prompt"]["text"]
        tools = ask(web, f"{path}/tools")["tools"]
        assert sorted(tool["name"] for tool in tools) == sorted(tool["name"] for tool in whole["tools"])
        assert [tool["calls"] for tool in tools] == sorted((tool["calls"] for tool in whole["tools"]), reverse=True)
        assert all(tool["span_id"] for tool in tools if tool["p50_nanoseconds"] is not None)
    assert said > 3


def test_a_run_beside_itself_is_the_same(web: Web) -> None:
    for trace_id in runs(web):
        found = ask(web, f"/api/v1/compare/runs?a={trace_id}&b={trace_id}")
        assert all(figure["verdict"] is None for figure in found["figures"])
        assert all(pair["a"] == pair["b"] for pair in found["spans"])
        assert len(found["spans"]) == ask(web, f"/api/v1/runs/{trace_id}/spans")["spans"]
        assert not [line for line in found["prompt"] or () if line["mark"] != " "]


def test_two_runs_differ_by_what_each_has(web: Web) -> None:
    first, second, *_ = runs(web)
    found = ask(web, f"/api/v1/compare/runs?a={first}&b={second}")
    other = ask(web, f"/api/v1/compare/runs?a={second}&b={first}")
    assert [pair for pair in found["spans"] if pair["a"] is None or pair["b"] is None]
    for figure, swapped in zip(found["figures"], other["figures"], strict=True):
        assert (figure["a"], figure["b"]) == (swapped["b"], swapped["a"])
        if figure["difference"] is not None:
            assert Decimal(figure["difference"]) == Decimal(figure["b"]) - Decimal(figure["a"])
        assert {figure["verdict"], swapped["verdict"]} in ({None}, {"better", "worse"})
    assert all(bool(line["line_a"]) == (line["mark"] in "- ") for line in found["prompt"] or ())
    assert all(bool(line["line_b"]) == (line["mark"] in "+ ") for line in found["prompt"] or ())
    assert web.ask("GET", f"/api/v1/compare/runs?a={first}&b={'0' * 32}").status == 404
    assert web.ask("GET", f"/api/v1/compare/runs?a={first}").status == 400


def test_a_window_beside_another(web: Web) -> None:
    found = ask(web, f"/api/v1/compare/windows?{_SINCE}")
    kpis = ask(web, f"/api/v1/kpis?{_SINCE}")
    assert (found["a"]["runs"], found["b"]["runs"]) == (0, len(runs(web)))
    cost = next(figure for figure in found["figures"] if figure["name"] == "cost")
    assert Decimal(cost["b"]) == Decimal(kpis["window"]["kpis"]["cost"])
    assert cost["verdict"] == "worse"


def test_a_table_of_spend_adds_up(web: Web) -> None:
    whole = ask(web, f"/api/v1/spend?by=service&{_SINCE}")["spend"]
    total = sum(Decimal(row["cost"] or 0) for row in whole)
    for split in ("model", "day", "model,day"):
        found = ask(web, f"/api/v1/spend/table?by=service&split={split}&zone=Asia/Kathmandu&{_SINCE}")
        assert found["truncated"] is False
        assert sum(Decimal(cell["cost"] or 0) for cell in found["cells"]) == total
        assert all((cell["model"] is None) != ("model" in split) for cell in found["cells"])
        assert all((cell["day"] is None) != ("day" in split) for cell in found["cells"])
        assert sum(cell["priced_calls"] for cell in found["cells"]) == sum(row["priced_calls"] for row in whole)
        with urllib.request.urlopen(
            f"{web.url}/api/v1/spend/table?by=service&split={split}&format=csv&{_SINCE}"
        ) as file:
            assert file.headers["content-disposition"] == 'attachment; filename="spend.csv"'
            rows = list(csv.DictReader(io.StringIO(file.read().decode(), newline="")))
        assert sum(Decimal(row["cost"] or 0) for row in rows) == total
        assert all((row["model"] == "") != ("model" in split) for row in rows)
    wrong = web.ask("GET", "/api/v1/spend/table?zone=Mars/Base")
    assert "There is no time zone" in wrong.body["error"]["message"]


def test_runs_come_as_events(web: Web) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request("HEAD", "/api/v1/live")
    assert connection.getresponse().read() == b""
    connection.close()
    connection.request("GET", "/api/v1/live?status=ok")
    answer = connection.getresponse()
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    assert answer.readline() == b"retry: 2000\n"
    lines = [answer.readline() for _ in range(2)]
    assert lines == [b"\n", b": nothing new\n"], "runs of 2026 began long ago"
    connection.close()
    refused = web.ask("GET", "/api/v1/live?status=odd")
    assert (refused.status, json.dumps(refused.body)[:10]) == (400, '{"error": ')
