"""How the runs that are read from captured payloads compare with the truth, call by call and tool by tool."""

import functools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from collector.billing.price_refresh import enricher
from collector.config import PricingConfig
from collector.decode import decode
from collector.enrich import Enricher, RecentTraces
from collector.model.columns import MONEY, SPAN_COLUMNS
from collector.model.envelope import Envelope
from collector.runs import Round, Span, read_spans, rounds, system_prompt, toolbelt
from collector.runs.document import document
from tests.support import captured
from tests.support.captured import truth

Failure = tuple[str, Any]
Place = tuple[int, int]  # the run, the number of the round
Told = tuple[tuple[Span, ...], list[Round]]

_COLUMNS = [column for column in SPAN_COLUMNS if column.name != "CostDetails"]
_EMPTY: dict[pa.DataType, Any] = {pa.string(): "", MONEY: None}

# What providers and libraries call the same ending. A Responses call that completed may have asked for tools.
_ENDINGS = {
    "stop": "stop", "end_turn": "stop", "tool_calls": "tools", "tool_use": "tools", "tool-calls": "tools",
    "tool_call": "tools", "length": "length",
}  # fmt: skip


@functools.cache
def _enricher() -> Enricher:
    return enricher(PricingConfig())


@functools.cache
def runs(case: str) -> tuple[tuple[Span, ...], ...]:
    """The spans of each trace of the case as they are stored, the earliest trace first."""
    batch = decode([Envelope("default", 1, 1, payload) for payload in captured.payloads(case)])
    reading = _enricher().read(batch)
    judgement = RecentTraces(max_spans=100_000).absorb(reading.spans)
    table = pa.Table.from_batches([_enricher().finish(reading, judgement.billed)])
    traces = (table.filter(pc.field("TraceId") == trace) for trace in pc.unique(table.column("TraceId")))
    return tuple(sorted((tuple(read_spans(trace)) for trace in traces), key=lambda spans: spans[0].start))


def stored(*rows: dict[str, Any]) -> pa.Table:
    """Rows as the store answers them; a column that a row does not name is empty, 0 or null."""
    empty = {
        column.name: _EMPTY.get(column.arrow, [] if pa.types.is_nested(column.arrow) else 0) for column in _COLUMNS
    }
    return pa.Table.from_pylist([empty | row for row in rows], pa.schema([(c.name, c.arrow) for c in _COLUMNS]))


def failures(case: str) -> dict[str, set[Any]]:
    """What is not as the truth says: the field, and the numbers of the calls or the names of the things concerned."""
    told: list[Told] = [(spans, rounds(spans)) for spans in runs(case)]
    left = {(index, each.number): each for index, (_, found) in enumerate(told) for each in found if each.call}
    matched: dict[Place, dict[str, Any]] = {}
    failed: dict[str, set[Any]] = {}
    for field, which in (*_calls(case, left, matched), *_tools(case, told, matched), *_belt(case, told)):
        failed.setdefault(field, set()).add(which)
    return failed


def _calls(case: str, left: dict[Place, Round], matched: dict[Place, dict[str, Any]]) -> Iterator[Failure]:
    """What is wrong with the calls of the case. Moves their rounds from `left` to `matched`."""
    missing = [call for call in truth(case)["llm_calls"] if "embed" not in call["api"]]
    for find in (_by_span, _by_answer, _by_request, _by_order):
        for call in list(missing):
            if key := next((key for key, each in left.items() if find(call, each)), None):
                matched[key] = call
                missing.remove(call)
                yield from ((field, call["n"]) for field in _wrong(call, left.pop(key)))
    yield from (("call_absent", call["n"]) for call in missing)
    yield from (("call_invented", each.call.span.name) for each in left.values() if each.call)


def _by_span(call: dict[str, Any], found: Round) -> bool:
    own = {place["span_id"] for place in call["spans"] if place["own"] and place["kind"] == "llm"}
    return found.call is not None and bool(own & {report.span_id for report in found.call.reports})


def _by_answer(call: dict[str, Any], found: Round) -> bool:
    completion = _head(call.get("completion_text"))
    return bool(completion) and any(completion in message.text for message in found.messages.output)


def _by_request(call: dict[str, Any], found: Round) -> bool:
    prompt = _head(call.get("prompt_text"))
    asked = bool(prompt) and any(prompt in message.text for message in found.messages.input)
    return asked and not found.input_tokens and _requests(call) == _requested(found)


def _by_order(call: dict[str, Any], found: Round) -> bool:
    """Calls of which no tokens are told, and no answer of their own: in order of time."""
    if found.call is None or found.input_tokens or found.call.span.error != (call["http_status"] != 200):
        return False
    return found.requested_model in (call["request_model"], "")


def _wrong(call: dict[str, Any], found: Round) -> Iterator[str]:
    ended = not call.get("client_abandoned_stream")
    if (prompt := _head(call.get("prompt_text"))) and not any(prompt in each.text for each in found.messages.input):
        yield "prompt"
    completion = _head(call.get("completion_text"))
    if completion and ended and not any(each.text.strip().startswith(completion) for each in found.messages.output):
        yield "completion"
    if _requests(call) != _requested(found) and ended:
        yield "requests"
    if call.get("finish_reason") and ended and not _ends_as(found.finish_reason, call):
        yield "finish_reason"
    prompted = system_prompt(found.call.reports) if found.call else None
    if (prompted.text if prompted else "") != (call.get("system_text") or ""):
        yield "system_prompt"
    if found.requested_model != call["request_model"]:
        yield "requested_model"
    if found.answered_model != call.get("response_model", "") and call["http_status"] == 200:
        yield "answered_model"
    if call.get("usage_reached_client") and found.input_tokens != call["input_tokens_all"]:
        yield "input_tokens"


def _tools(case: str, told: list[Told], matched: dict[Place, dict[str, Any]]) -> Iterator[Failure]:
    """Every run of a tool is an action with its arguments and result, of the call that asked for it."""
    left = [
        (matched.get((index, each.number), {}), action)
        for index, (_, found) in enumerate(told)
        for each in found
        for action in each.actions
        if action.span.kind == "tool"
    ]
    for run in truth(case)["tool_calls"]:
        named = [pair for pair in left if pair[1].name == run["name"]]
        alike = [pair for pair in named if _covers(document(pair[1].arguments), _sent(run))]
        if not named:
            yield "tool_absent", run["name"]
            continue
        if not alike:
            yield "arguments", run["name"]
        call, action = max(alike or named, key=lambda pair: (pair[1].result == run["result"], _asked(run, pair[0])))
        left.remove((call, action))
        if action.result != run["result"] and not run["error"]:
            yield "result", run["name"]
        if not _asked(run, call):
            yield "cause", run["name"]
        if action.error != bool(run["error"]):
            yield "error", run["name"]
    for _, action in left:
        yield "tool_left", action.name


def _belt(case: str, told: list[Told]) -> Iterator[Failure]:
    """Every tool that was asked for is in a toolbelt, with its description and schema, and counted as called."""
    belt = [tool for spans, _ in told for tool in toolbelt(spans)]
    for name in {tool["name"] for call in truth(case)["llm_calls"] for tool in call.get("tool_calls") or ()}:
        known = [tool for tool in belt if tool.name == name]
        if not known:
            yield "belt_absent", name
        if known and not any(tool.schema and tool.description for tool in known):
            yield "belt_bare", name
        if known and not any(tool.called for tool in known):
            yield "belt_uncalled", name


def _asked(run: dict[str, Any], call: dict[str, Any]) -> bool:
    return (run["name"], _sent(run)) in _requests(call)


def _requests(call: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(tool["name"], _sent(tool)) for tool in call.get("tool_calls") or ()]


def _requested(found: Round) -> list[tuple[str, Any]]:
    return [(asked.name, document(asked.arguments)) for asked in found.messages.calls]


def _covers(said: Any, sent: Any) -> bool:
    return isinstance(said, dict) and sent.items() <= said.items()


def _sent(tool: dict[str, Any]) -> Any:
    sent = tool["arguments"]
    return document(sent) if isinstance(sent, str) else sent


def _ends_as(reason: str, call: dict[str, Any]) -> bool:
    said, wanted = (_ENDINGS.get(each.lower(), each.lower()) for each in (reason, call["finish_reason"]))
    if "completed" in (said, wanted):
        return {said, wanted} <= {"completed", "stop", "tools"}
    return said == wanted or (call["provider"] == "google" and {said, wanted} == {"stop", "tools"})


def _head(text: Any) -> str:
    """A text of the truth, which cuts long ones to {"head", "chars"}."""
    return str(text["head"] if isinstance(text, dict) else text or "").strip()
