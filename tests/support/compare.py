"""How facts compare with the truth: field by field, `right`, `absent` or `wrong`."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from collector.enrich.conventions.content import content_of
from collector.enrich.conventions.reader import Conventions, load
from collector.enrich.conventions.usage import INCONSISTENT
from collector.model.facts import Facts, Kind, SpanView
from collector.schema import schema_root
from tests.support.captured import Captured, spans, truth

Pair = tuple[Captured, Facts]

# What providers and libraries call the same ending. A Responses call that completed may have asked for tools.
_ENDINGS = {
    "stop": "stop", "end_turn": "stop", "completed": "done", "tool_calls": "tools", "tool_use": "tools",
    "tool-calls": "tools", "tool_call": "tools", "length": "length",
}  # fmt: skip


def conventions() -> Conventions:
    return load(schema_root())


def facts(case: str, loaded: Conventions) -> list[Pair]:
    return [(span, loaded.normalise(span.view)) for span in spans(case)]


def failures(case: str, loaded: Conventions) -> dict[str, set[Any]]:
    """`field:outcome` to the numbers of the calls it is true of, or names for what belongs to the whole case."""
    found: dict[str, set[Any]] = {}
    told = facts(case, loaded)
    for number, name, outcome in (*_calls(case, told), *_invented(case, told), *_case(case, told)):
        if outcome != "right":
            found.setdefault(f"{name}:{outcome}", set()).add(number)
    return found


def _calls(case: str, told: list[Pair]) -> Iterator[tuple[Any, str, str]]:
    by_id = {(span.trace_id, span.span_id): (span, said) for span, said in told}
    for call in truth(case)["llm_calls"]:
        own = [
            by_id[place["trace_id"], place["span_id"]]
            for place in call["spans"]
            if place["own"] and place["kind"] in ("llm", "embedding")
        ]
        if not own:
            if call.get("usage_reached_client"):
                yield call["n"], "call", "absent"
            continue
        yield call["n"], "kind", "right" if all(said.kind is Kind.LLM for _, said in own) else "wrong"
        yield call["n"], "aggregate", "wrong" if any(said.usage_is_aggregate for _, said in own) else "right"
        for name, read, expected in _expectations(call):
            yield call["n"], name, _outcome([read(said) for _, said in own], expected)
        for name, key in (("prompt", "input_key"), ("completion", "output_key")):
            if wanted := list(_wanted(call, name)):
                texts = [list(texts_of(span.view, getattr(said, key))) for span, said in own]
                yield call["n"], name, _content(texts, wanted)
        yield from _identity(case, call["n"], {span.trace_id for span, _ in own}, told)


def _expectations(call: dict[str, Any]) -> Iterator[tuple[str, Callable[[Facts], Any], Any]]:
    yield "provider", lambda said: said.provider_id, call["provider"]
    yield "request_model", lambda said: said.request_model, call["request_model"]
    yield "response_model", lambda said: said.response_model, call.get("response_model", "")
    if call.get("response_id"):
        yield "response_id", lambda said: said.response_id, call["response_id"]
    if call.get("finish_reason") and not call.get("client_abandoned_stream"):
        yield "finish_reason", lambda said: _ending(said.finish_reason, call), _ending(call["finish_reason"], call)
    if not call.get("usage_reached_client"):
        return
    writes = call["raw_usage"].get("cache_creation") or {}
    for name, attribute, expected in (
        ("input", "input_tokens", call["input_tokens_all"]),
        ("output", "output_tokens", call["output_tokens_all"]),
        ("cache_read", "cache_read_tokens", call["cached_tokens"]),
        ("cache_write", "cache_write_tokens", call["cache_creation_tokens"]),
        ("cache_write_1h", "cache_write_1h_tokens", writes.get("ephemeral_1h_input_tokens", 0)),
        ("reasoning", "reasoning_tokens", call["reasoning_tokens"]),
    ):
        yield name, _count(attribute), expected
    yield "flags", lambda said: INCONSISTENT in said.usage.details if said.usage else False, False


def _count(attribute: str) -> Callable[[Facts], int]:
    return lambda said: getattr(said.usage, attribute, 0)


def _outcome(said: list[Any], expected: Any) -> str:
    """Right when one span says it and none says otherwise; saying nothing is allowed beside one that speaks."""
    if any(value and value != expected for value in said):
        return "wrong"
    return "right" if expected in said or not expected else "absent"


def _ending(reason: str, call: dict[str, Any]) -> str:
    ending = _ENDINGS.get(reason.lower(), reason.lower())
    if ending in ("stop", "tools", "done") and "completed" in (call["finish_reason"], reason):
        return "done"
    # Google ends with STOP also when it asks for tools.
    return "stop" if ending == "tools" and call["provider"] == "google" else ending


def _wanted(call: dict[str, Any], name: str) -> Iterator[Any]:
    if name == "completion" and call.get("client_abandoned_stream"):
        return
    for text in [call.get(f"{name}_text")]:
        if text:
            yield (text["head"] if isinstance(text, dict) else text).strip()
    if name == "completion":
        for tool in call.get("tool_calls", ()):
            yield _arguments(tool["arguments"])


def _content(texts: list[list[Any]], wanted: list[Any]) -> str:
    """Right when one span's content holds all that is wanted; wrong when content is there and holds it nowhere."""
    if not any(texts):
        return "absent"
    return "right" if any(all(holds(text, item) for item in wanted) for text in texts) else "wrong"


def _identity(case: str, number: int, traces: set[str], told: list[Pair]) -> Iterator[tuple[Any, str, str]]:
    known = truth(case)
    near = [said for span, said in told if span.trace_id in traces]
    conversations = {known[key] for key in ("session_id", "thread_id", "group_id") if known.get(key)}
    for name, wanted, said in (
        ("conversation", conversations, {each.conversation_id for each in near} - {""}),
        ("user", {known["user_id"]} if known.get("user_id") else set(), {each.user_id for each in near} - {""}),
    ):
        if wanted:
            yield number, name, "absent" if not said else "right" if said <= wanted else "wrong"


def _invented(case: str, told: list[Pair]) -> Iterator[tuple[Any, str, str]]:
    """Usage on a call's span that belongs to no call whose usage the client got."""
    real = {
        (place["trace_id"], place["span_id"])
        for call in truth(case)["llm_calls"]
        for place in call["spans"]
        if call.get("usage_reached_client")
    }
    for span, said in told:
        billed = said.usage and said.kind is Kind.LLM and not said.usage_is_aggregate
        if billed and (span.trace_id, span.span_id) not in real:
            yield span.view.name, "usage", "invented"


def _case(case: str, told: list[Pair]) -> Iterator[tuple[Any, str, str]]:
    known = truth(case)
    names = {said.agent_name for _, said in told}
    agents = {agent["name"] for agent in known.get("agents", ())} | set(known.get("function_ids", ()))
    for name in agents - names:
        yield name, "agent", "absent"
    tools = [(span.view, said) for span, said in told if said.kind is Kind.TOOL]
    for run in known["tool_calls"]:
        match = next((tool for tool in tools if _ran(*tool, run)), None)
        if match:
            tools.remove(match)
        yield run["name"], "tool", "right" if match else "absent"
    for span, _ in tools:
        yield span.name, "tool", "invented"


def _ran(span: SpanView, said: Facts, run: dict[str, Any]) -> bool:
    if said.tool_name != run["name"] or not _holds(span, said.input_key, _arguments(run["arguments"])):
        return False
    return run["error"] or _holds(span, said.output_key, run["result"])


def _holds(span: SpanView, key: str, wanted: Any) -> bool:
    return any(holds(text, wanted) for text in [list(texts_of(span, key))] if text)


def _arguments(sent: Any) -> Any:
    return json.loads(sent) if isinstance(sent, str) else sent


def texts_of(span: SpanView, key: str) -> Iterator[Any]:
    """Every text and object in the content under `key`, JSON inside JSON included."""
    exact = content_of(span, key) if key else None
    if exact is not None:
        yield from _inside(exact, 4)
    elif key.endswith("."):
        for name, value in span.attributes.items():
            if name.startswith(key):
                yield from _inside(value, 4)


def holds(texts: Iterable[Any], wanted: Any) -> bool:
    if isinstance(wanted, str):
        return any(isinstance(text, str) and wanted in text for text in texts)
    return any(isinstance(text, dict) and wanted.items() <= text.items() for text in texts)


def _inside(value: Any, depth: int) -> Iterator[Any]:
    yield value
    if isinstance(value, str) and depth and value[:1] in ("{", "[", '"'):
        try:
            yield from _inside(json.loads(value), depth - 1)
        except ValueError:
            return
    elif isinstance(value, dict):
        for item in value.values():
            yield from _inside(item, depth)
    elif isinstance(value, list):
        for item in value:
            yield from _inside(item, depth)
