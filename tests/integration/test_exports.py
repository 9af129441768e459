"""A run exported by the API and sent again: through the real store, every fixture, both encodings."""

import base64
import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from collector.admit.auth import hash_token
from collector.admit.validate import validate_traces
from collector.billing.across_batches import Billing
from collector.cli import main
from collector.enrich import RecentTraces
from collector.exports.arrow import SCHEMA
from collector.model.columns import SPAN_COLUMNS
from collector.model.envelope import Encoding, Envelope
from collector.store import Store
from tests.support import otlp, stored
from tests.support.budgets import Desk
from tests.support.captured import CASES, captured
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

TOKENS = [
    {"name": project, "sha256": hash_token(project), "project": project, "scopes": ["traces:read"]}
    for project in ("default", "other")
]
# When a row came, and by whom.
OF_ARRIVAL = {"Project", "ReceivedAt", "Version"}
COLUMNS = [column for column in SPAN_COLUMNS if column.name not in OF_ARRIVAL]


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    with served(desk, TOKENS, store=store) as web:
        yield web


def rows(store: Store, project: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every row that counts of a project, as text, by its ids."""
    texts = ", ".join(f"toString(`{column.name}`) AS `{column.name}`" for column in COLUMNS)
    table = store.query(f"SELECT {texts} FROM otel_traces FINAL WHERE Project = {{p:String}}", {"p": project})
    return {(row["TraceId"], row["SpanId"]): row for row in table.to_pylist()}


@pytest.fixture(params=["largest", pytest.param("all", marks=pytest.mark.long)])
def traces(request: pytest.FixtureRequest, store: Store) -> list[str]:
    """The runs of every fixture, or the largest run of each, stored."""
    billing = Billing(ENRICHER, RecentTraces(100_000))
    seen: set[str] = set()
    chosen: list[str] = []
    for case in CASES:
        stored.deliver(store, billing, captured(case), case)
        sizes = "SELECT TraceId FROM otel_traces FINAL GROUP BY TraceId ORDER BY count() DESC, TraceId"
        new = [row["TraceId"] for row in store.query(sizes, {}).to_pylist() if row["TraceId"] not in seen]
        chosen += new if request.param == "all" else new[:1]
        seen.update(new)
    return sorted(chosen)


@pytest.mark.parametrize("encoding", Encoding, ids=lambda encoding: encoding.name)
def test_every_fixture_is_stored_as_the_same_rows_again(
    store: Store, web: Web, traces: list[str], say: Any, encoding: Encoding
) -> None:
    billing = Billing(ENRICHER, RecentTraces(100_000))
    first = {key: row for key, row in rows(store, "default").items() if key[0] in traces}
    exports = [
        web.download(f"/api/v1/runs/{trace_id}/export?format=otlp", "default", {"accept": encoding.value})
        for trace_id in traces
    ]
    assert {(export.status, export.headers["content-type"]) for export in exports} == {(200, encoding.value)}
    valid = [validate_traces(export.body, encoding) for export in exports]
    sent = [Envelope("again", 1_800_000_000_000_000_000, each.receipt.accepted, each.payload) for each in valid]
    stored.deliver(store, billing, sent, "again")
    second = rows(store, "again")
    different = [key for key in first if first[key] != second.get(key)]
    say(
        f"OTLP export, {encoding.name}: {len(first)} rows of {len(traces)} runs stored again, {len(different)} different"
    )
    assert second.keys() == first.keys()
    assert not different


def test_the_json_of_every_fixture_is_as_its_schema_says_and_whole(store: Store, web: Web, traces: list[str]) -> None:
    schema = json.loads((Path(__file__).parents[2] / "docs" / "run-export.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    expected = rows(store, "default")
    for trace_id in traces:
        document = json.loads(web.download(f"/api/v1/runs/{trace_id}/export", "default").body)
        validator.validate(document)
        of_run = {span_id: row for (trace, span_id), row in expected.items() if trace == trace_id}
        assert [span["span_id"] for span in document["spans"]] == [span["span_id"] for span in _in_time(document)]
        assert {span["span_id"] for span in document["spans"]} == of_run.keys()
        for span in document["spans"]:
            row = of_run[span["span_id"]]
            assert (span["input"]["text"], span["output"]["text"]) == (row["Input"], row["Output"])
            assert (span["finish_reason"], span["price"]["status"]) == (row["FinishReason"], row["PriceStatus"])
            assert str(span["tokens"]["input"]) == row["InputTokens"]
        run = web.ask("GET", f"/api/v1/runs/{trace_id}", token="default").body
        for mine, theirs in zip(document["rounds"], run["rounds"], strict=True):
            assert {name: mine[name] for name in mine.keys() & theirs.keys() - {"actions"}} == {
                name: theirs[name] for name in mine.keys() & theirs.keys() - {"actions"}
            }
        assert (document["cost"], document["tools"]) == (run["cost"], run["tools"])


def _in_time(document: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(document["spans"], key=lambda span: int(span["started_at_unix_nano"]))


def test_what_a_client_may_not_have_is_not_left_in(store: Store, web: Web) -> None:
    """Only `html` and `md` leave it out; whoever asks for another format is told."""
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100)), [hostile()], "hostile")
    (trace,) = {trace_id for trace_id, _ in rows(store, "default")}
    for form in ("json", "otlp", "arrow"):
        answer = web.download(f"/api/v1/runs/{trace}/export?format={form}&audience=client", "default")
        assert (answer.status, b"html or md" in answer.body) == (400, True), form


def test_who_may_not_see_a_run_gets_no_export(store: Store, web: Web) -> None:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100)), captured("oi-openai"), "run")
    trace_id = min(trace_id for trace_id, _ in rows(store, "default"))
    path = f"/api/v1/runs/{trace_id}/export"
    assert web.download(path, "default").status == 200
    assert (web.download(path, "other").status, web.download(path).status) == (404, 401)
    assert web.download(f"{path}?format=odd", "default").status == 400


def test_an_encoding_that_is_asked_for_outweighs_what_is_accepted(store: Store, web: Web) -> None:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100)), captured("oi-openai"), "run")
    trace_id = min(trace_id for trace_id, _ in rows(store, "default"))
    path = f"/api/v1/runs/{trace_id}/export?format=otlp&encoding="
    for encoding, media_type in (("json", "application/json"), ("proto", "application/x-protobuf")):
        answer = web.download(path + encoding, "default", {"accept": "application/x-protobuf, application/json"})
        assert answer.headers["content-type"] == media_type
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{trace_id}.otlp.')


def documents(store: Store, web: Web, case: str, query: str) -> dict[str, str]:
    """Every run of a case as a document, by trace id."""
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100_000)), captured(case), case)
    traces = sorted({trace_id for trace_id, _ in rows(store, "default")})
    answers = {trace: web.download(f"/api/v1/runs/{trace}/export?{query}", "default") for trace in traces}
    assert {answer.status for answer in answers.values()} == {200}
    return {trace: answer.body.decode() for trace, answer in answers.items()}


class Page(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


COST = re.compile(r"\$|[Cc]ost|[Pp]rice|USD|unpriced")
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>`` ` @someone #1 | [a](javascript:x) \r\n\x00\u202e\n# head"
)


def test_the_page_needs_nothing_and_shows_the_run(store: Store, web: Web) -> None:
    for trace_id, text in documents(store, web, "oi-langgraph", "format=html").items():
        page = Page(text)
        assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "img", "iframe", "a", "form", "object"})
        assert not [
            name
            for _, attributes in page.elements
            for name in attributes
            if name.startswith("on") or name in {"src", "href", "style"}
        ]
        assert trace_id in page.text
        assert "$" in page.text or "unpriced" in page.text
        policy = next(
            attributes["content"] for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes
        )
        style = text.partition("<style>")[2].partition("</style>")[0]
        assert f"style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in str(policy)


@pytest.mark.parametrize("form", ["html", "md"])
@pytest.mark.parametrize("case", ["oi-langgraph", "pydantic-ai-native-v6", "litellm-native"])
def test_a_client_reads_of_no_cost(store: Store, web: Web, case: str, form: str) -> None:
    ours = documents(store, web, case, f"format={form}")
    theirs = documents(store, web, case, f"format={form}&audience=client")
    assert any(COST.search(text) for text in ours.values())
    for text in theirs.values():
        shown = Page(text).text if form == "html" else text
        assert not COST.search(shown)


def hostile() -> Envelope:
    """A run with hostile text wherever a sender has a say."""
    messages = json.dumps([{"role": HOSTILE, "content": HOSTILE}])
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": HOSTILE,
        "gen_ai.request.model": HOSTILE,
        "gen_ai.response.model": HOSTILE,
        "gen_ai.response.finish_reasons": [HOSTILE],
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.system_instructions": HOSTILE,
        "gen_ai.input.messages": messages,
        "gen_ai.output.messages": messages,
        HOSTILE: HOSTILE,
        "": "",
    }
    trace = otlp.trace_id()
    call = otlp.span(attributes, name=HOSTILE, trace_id=trace, status={"code": 2, "message": HOSTILE})
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": HOSTILE, "gen_ai.tool.call.arguments": HOSTILE}
    ran = otlp.span(
        {**tool, "gen_ai.tool.call.result": HOSTILE}, name=HOSTILE, trace_id=trace, parent_span_id=call.span_id
    )
    ran.events.add(name=HOSTILE).attributes.extend(otlp.span({HOSTILE: HOSTILE}).attributes)
    message = otlp.request(call, ran, resource={"service.name": HOSTILE, HOSTILE: HOSTILE})
    return Envelope("default", 1_800_000_000_000_000_000, 2, message.SerializeToString())


@pytest.mark.parametrize("audience", ["team", "client"])
def test_hostile_text_stays_text(store: Store, web: Web, audience: str) -> None:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100)), [hostile()], "hostile")
    (trace,) = {trace_id for trace_id, _ in rows(store, "default")}
    page = Page(web.download(f"/api/v1/runs/{trace}/export?format=html&audience={audience}", "default").body.decode())
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img", "a"})
    assert page.text.count("<script>alert(1)</script>") >= 6
    assert "\u202e" not in page.text
    text = web.download(f"/api/v1/runs/{trace}/export?format=md&audience={audience}", "default").body.decode()
    rendered = Page(MarkdownIt("gfm-like", {"linkify": False}).render(text))
    assert {tag for tag, _ in rendered.elements} <= {
        "h1",
        "h2",
        "p",
        "code",
        "pre",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "strong",
    }
    outside = Page(re.sub(r"(?s)<(code)[ >].*?</code>", "", MarkdownIt("gfm-like", {"linkify": False}).render(text)))
    assert "alert" not in outside.text
    assert "@" not in outside.text


def test_markdown_is_bounded(store: Store, web: Web) -> None:
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
    trace = otlp.trace_id()
    spans = [
        otlp.span(
            attributes
            | {"gen_ai.input.messages": json.dumps([{"role": "user", "content": f"{number} " + "x" * 9000}])},
            trace_id=trace,
        )
        for number in range(40)
    ]
    envelope = Envelope("default", 1_800_000_000_000_000_000, 40, otlp.request(*spans).SerializeToString())
    stored.deliver(store, Billing(ENRICHER, RecentTraces(100)), [envelope], "long")
    text = web.download(f"/api/v1/runs/{trace.hex()}/export?format=md", "default").body.decode()
    assert 40_000 < len(text) <= 60_000
    assert "The first 4,000 of 9,0" in text
    assert text.rstrip().endswith("the run is too long for one text._")


@pytest.fixture
def many(store: Store, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], dict[str, Any]]:
    """Runs of two projects; the rows of the one whose token commands have."""
    monkeypatch.setenv("SPANMETER_TOKEN", "default")
    billing = Billing(ENRICHER, RecentTraces(100_000))
    for case in CASES[:12]:
        stored.deliver(store, billing, captured(case), case)
    foreign = [dataclasses.replace(envelope, project="other") for envelope in captured(CASES[20])]
    stored.deliver(store, billing, foreign, "other")
    return rows(store, "default")


def test_the_runs_of_a_period_as_parquet(
    many: dict[tuple[str, str], dict[str, Any]], web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "out"
    command = ["export", "--since", "2025-01-01", "--until", "2027-06-01", "--to", str(directory), "--url", web.url]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{len({trace for trace, _ in many})} runs are in 1 file in {directory}.\n"
    table = pq.read_table(directory / "spans-00001.parquet")
    assert table.schema.equals(SCHEMA)
    assert set(zip(table["TraceId"].to_pylist(), table["SpanId"].to_pylist(), strict=True)) == many.keys()
    assert set(table["Project"].to_pylist()) == {"default"}
    assert pc.sum(table["Cost"]).as_py() == sum(Decimal(row["Cost"]) for row in many.values() if row["Cost"])
    assert main(command) == 3
    assert "is not empty" in capsys.readouterr().err


def test_the_runs_of_a_period_as_lines(many: dict[tuple[str, str], dict[str, Any]], web: Web, tmp_path: Path) -> None:
    options = ["--since", "2025-01-01", "--until", "2027-06-01", "--to", str(tmp_path / "out"), "--url", web.url]
    assert main(["export", "--format", "ndjson", *options]) == 0
    runs = [json.loads(line) for line in (tmp_path / "out" / "runs.ndjson").read_text(encoding="utf-8").splitlines()]
    assert {(run["trace_id"], span["span_id"]) for run in runs for span in run["spans"]} == many.keys()


@pytest.mark.parametrize("options", [[], ["0" * 32, "--since", "2026-01-01", "--to", "x"], ["--since", "2026-01-01"]])
def test_what_is_to_be_exported_has_to_be_said(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *options]) == 2
    assert "TRACE_ID, or --since and --to" in capsys.readouterr().err
