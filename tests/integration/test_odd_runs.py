"""Runs that no library sends and some program will: every page, answer and export of them is one, and no defect."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admit.validate import validate_traces
from collector.billing.across_batches import Billing
from collector.enrich import RecentTraces
from collector.model.envelope import Encoding, Envelope
from collector.store import Store
from collector.store.run_sums import sum_all
from collector.web.operations import OPERATIONS
from collector.web.pages.routes import PAGES
from tests.support import stored
from tests.support.budgets import Desk
from tests.support.served import served
from tests.support.stored import ENRICHER
from tests.support.webserver import Web

CALL: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"}
DEEP = 1500  # more than functions may call themselves
NESTED = "[" * 5000 + "]" * 5000
TEXTS: dict[str, Any] = {
    "no JSON": "{'role': user",
    "a number": "17",
    "null": "null",
    "nested": NESTED,
    "a string": '"only a text"',
    "odd messages": json.dumps([1, None, [], {"role": None, "parts": None}, {"role": 5, "content": {"a": [1]}}]),
    "odd parts": json.dumps([{"role": "user", "parts": [None, 3, {"type": None}, {"type": "text", "content": 7}]}]),
    "odd calls": json.dumps([{"role": "assistant", "tool_calls": [None, {}, {"function": 3}, {"function": {"name": 1}}]}]),
    "huge numbers": json.dumps([{"role": "user", "content": 10**400}]),
    "half a character": '[{"role": "user", "content": "\\ud83d"}]',
    "NaN": '[{"role": "user", "content": NaN}]',
}  # fmt: skip

Make = Callable[[Any], None]


def _span(message: Any, number: int, parent: int = 0, start: int = 0, length: int = 10**6, **attributes: Any) -> Any:
    begin = time.time_ns() - 10**11 + start
    found = (
        message.resource_spans[0]
        .scope_spans[0]
        .spans.add(
            span_id=number.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            name=attributes.pop("name", f"span {number}"),
            start_time_unix_nano=begin,
            end_time_unix_nano=max(begin + length, 0),
        )
    )
    for key, value in attributes.items():
        _put(found.attributes.add(key=key.replace("__", ".")).value, value)
    return found


def _put(into: Any, value: Any) -> None:
    match value:
        case bool():
            into.bool_value = value
        case int():
            into.int_value = value
        case float():
            into.double_value = value
        case bytes():
            into.bytes_value = value
        case str():
            into.string_value = value
        case list():
            into.array_value.SetInParent()
            for each in value:
                _put(into.array_value.values.add(), each)
        case dict():
            into.kvlist_value.SetInParent()
            for key, each in value.items():
                _put(into.kvlist_value.values.add(key=key).value, each)


def _cycle(message: Any) -> None:
    _span(message, 1, 2, **CALL)
    _span(message, 2, 3)
    _span(message, 3, 1)
    _span(message, 4, 4, **CALL)


def _parents_missing(message: Any) -> None:
    for number in range(1, 5):
        _span(message, number, 100 + number, start=-number, **CALL)


def _repeated_ids(message: Any) -> None:
    _span(message, 1)
    for at in range(4):
        _span(message, 2, 1, start=at * 10**6, name=f"again {at}", **CALL)
    _span(message, 1, 2)


def _times(message: Any) -> None:
    _span(message, 1, length=-5 * 10**9)
    _span(message, 2, 1, length=0, **CALL)
    _span(message, 3, 1, length=-(10**18) * 3)
    _span(message, 4, 1, start=86_400 * 10**9 * 30, **CALL)
    zero = _span(message, 5, 1)
    zero.end_time_unix_nano = 0


def _values(message: Any) -> None:
    tokens = {"gen_ai.usage.input_tokens": 2**63 - 1, "gen_ai.usage.output_tokens": -(2**63)}
    _span(message, 1, **{**CALL, **tokens})
    _span(message, 2, 1, **{**CALL, "gen_ai.usage.input_tokens": float("nan"), "gen_ai.usage.output_tokens": 1e300})
    _span(
        message,
        3,
        1,
        a=float("inf"),
        b=float("-inf"),
        c=float("nan"),
        d=b"\x00\xff\xfe",
        e=[],
        f={},
        g=[[{"": [b"\xff"]}]],
    )
    odd_keys: dict[str, Any] = {"": "no key", " ": "", "a\n<b>": 2**63 - 1, "gen_ai.tool.definitions": b"\xff\x00"}
    _span(message, 4, 1, **odd_keys)
    tool: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": ""}
    _span(message, 5, 1, name="", **{**tool, "gen_ai.tool.call.arguments": [{"a": 5}]})
    _span(message, 6, 1, **{**CALL, "gen_ai.request.model": ["a", "b"], "gen_ai.input.messages": [b"\xff", 1]})
    odd = _span(message, 7, 1)
    odd.events.add(name="", time_unix_nano=0)
    odd.links.add(trace_id=b"", span_id=b"")
    odd.status.code = 2


def _texts(message: Any) -> None:
    _span(message, 1)
    for number, text in enumerate(TEXTS.values(), 2):
        sides: dict[str, Any] = {"gen_ai.input.messages": text, "gen_ai.output.messages": text}
        more: dict[str, Any] = {
            "gen_ai.tool.definitions": text,
            "gen_ai.system_instructions": text,
            "gen_ai.tool.call.arguments": text,
        }
        _span(message, number, 1, start=number * 10**6, **CALL, **sides, **more)


def _deep(message: Any) -> None:
    for number in range(1, DEEP):
        _span(message, number, number - 1, start=number, length=10**9 - number, **(CALL if number % 100 == 0 else {}))


def _long_text(message: Any) -> None:
    text = json.dumps([{"role": "user", "content": "a line of five megabytes \u00fc\n" * 180_000}])
    _span(message, 1, **{**CALL, "gen_ai.input.messages": text})


RUNS: dict[str, Make] = {
    "cycle": _cycle,
    "parents missing": _parents_missing,
    "repeated ids": _repeated_ids,
    "times": _times,
    "values": _values,
    "texts": _texts,
    "deep": _deep,
    "long text": _long_text,
}


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    with served(desk, store=store) as web:
        yield web


def _stored(store: Store, name: str) -> str:
    """The trace id of the run, which is stored."""
    trace = (list(RUNS).index(name) + 1).to_bytes(16, "big")
    message: Any = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add()
    RUNS[name](message)
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.trace_id = trace
    valid = validate_traces(message.SerializeToString(), Encoding.PROTOBUF)
    envelope = Envelope("default", time.time_ns(), valid.receipt.accepted, valid.payload)
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), [envelope], name)
    sum_all(store)
    return trace.hex()


def _of_a_span(path: str) -> Iterator[str]:
    yield from (path, f"{path}/input?as=json", f"{path}/output?as=markdown", f"/api/v1{path}", f"/api/v1{path}/input")


def _of_a_run(trace: str) -> Iterator[str]:
    for path in (*PAGES, *(one.path for one in OPERATIONS if one.method == "GET")):
        if "{trace_id}" in path and path.count("{") == 1:
            yield path.replace("{trace_id}", trace)
    yield from (f"/runs/{trace}?view={view}" for view in ("conversation", "rounds", "prompt", "tools", "json", "print"))
    yield from (f"/runs/{trace}?view=conversation&unfold=1&as={form}" for form in ("markdown", "exact"))
    yield from (f"/runs/{trace}?only={only}" for only in ("errors", "critical", "slow", "dear"))
    for form in ("otlp", "otlp&encoding=proto", "html", "html&audience=client", "md", "md&audience=client", "arrow"):
        yield f"/api/v1/runs/{trace}/export?format={form}"
    yield from (f"{path}?a={trace}&b={trace}" for path in ("/compare", "/api/v1/compare/runs"))
    yield f"/runs/{trace}/replay?step=99999999"


@pytest.mark.parametrize("name", RUNS)
def test_an_odd_run_is_a_run(store: Store, web: Web, name: str) -> None:
    trace = _stored(store, name)
    spans = web.ask("GET", f"/api/v1/runs/{trace}/spans").body["columns"]["span_id"]
    assert spans
    own = (path for span in dict.fromkeys(spans[:12]) for path in _of_a_span(f"/runs/{trace}/spans/{span}"))
    lists = ("/runs", "/live", "/spend?last=24h", "/compare", "/api/v1/spend") if name in {"values", "times"} else ()
    answers = {path: web.download(path).status for path in (*_of_a_run(trace), *own, *lists)}
    too_large = {path for path, status in answers.items() if status == 413 and "as=" in path}
    assert {path: status for path, status in answers.items() if status != 200 and path not in too_large} == {}
