"""The page of a store without runs: the lines that send the first one, and what listens for it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from collector.web.operation import Facts
from collector.web.pages.page import Asked, Shown

_DEFAULT: Final = Facts(
    "127.0.0.1:4317", "127.0.0.1:4318", "http://127.0.0.1:4318", needs_token=False, store="", prices=""
)


def first_visit(asked: Asked) -> Shown:
    facts = asked.services.facts() if asked.services.facts else None
    wanted = asked.query.get("send", "")
    chosen = wanted if wanted in _WAYS else next(iter(_WAYS))
    _, lines = _WAYS[chosen]
    context = {
        "facts": facts,
        "since": asked.now,
        "needs_token": facts is not None and facts.needs_token,
        "ways": [(title, asked.without(send=name), name == chosen) for name, (title, _) in _WAYS.items()],
        "lines": lines(facts or _DEFAULT, asked.now // 10**9),
    }
    return Shown("first_visit.html", "No runs yet", "Runs", context, ("first_visit",))


def _python(facts: Facts, _: int) -> Sequence[str]:
    return *_exported(f"http://{facts.grpc}", facts), "opentelemetry-instrument python agent.py"


def _node(facts: Facts, _: int) -> Sequence[str]:
    return *_exported(
        facts.otlp_url, facts
    ), "node --require @opentelemetry/auto-instrumentations-node/register agent.js"


def _exported(url: str, facts: Facts) -> Sequence[str]:
    token = ("export OTEL_EXPORTER_OTLP_HEADERS=x-api-key=TOKEN",) if facts.needs_token else ()
    return f"export OTEL_EXPORTER_OTLP_ENDPOINT={url}", *token


def _claude_code(_: Facts, __: int) -> Sequence[str]:
    return "spanmeter connect claude-code --write --wait", 'claude -p "Say hello."'


def _curl(facts: Facts, now: int) -> Sequence[str]:
    """One call of a model, priced when it arrives."""
    attributes = {
        "gen_ai.operation.name": {"stringValue": "chat"},
        "gen_ai.request.model": {"stringValue": "gpt-4o"},
        "gen_ai.usage.input_tokens": {"intValue": "1200"},
        "gen_ai.usage.output_tokens": {"intValue": "300"},
    }
    span = {
        "traceId": f"{now:032x}",
        "spanId": f"{now:016x}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": f"{now}000000000",
        "endTimeUnixNano": f"{now}900000000",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    token = " -H 'x-api-key: TOKEN'" if facts.needs_token else ""
    return (f"curl {facts.otlp_url}/v1/traces -H 'content-type: application/json'{token} -d '{body}'",)


_WAYS: Final[Mapping[str, tuple[str, Callable[[Facts, int], Sequence[str]]]]] = {
    "python": ("Python", _python),
    "node": ("Node", _node),
    "claude-code": ("Claude Code", _claude_code),
    "curl": ("curl", _curl),
}
