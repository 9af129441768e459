"""Two weeks of three agents' runs, dated back and sent through the real OpenTelemetry exporter.

The same every time but for ids and the day it ends: agents that call tools one after another and at once, tools and
calls that fail, one call that cost more than all others of its day, a model without a price.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

DAYS: Final = 14
_MS: Final = 1_000_000
_HOUR: Final = 3_600_000 * _MS
_QUEUE: Final = 16_384
_SERVICES: Final = ("support-agent", "research-agent", "code-reviewer")

_QUESTIONS: Final = (
    ("refunds", "My order 4417 arrived broken. Can I have my money back?", "order 4417 was delivered on Tuesday"),
    ("refunds", "I was charged twice for order 5120.", "order 5120 has two payments of 39.90"),
    ("shipping", "Where is my parcel? Order 6003.", "order 6003 left the warehouse this morning"),
    ("shipping", "Can you send order 6241 to another address?", "order 6241 is not packed yet"),
    ("account", "How do I change the e-mail address of my account?", "the address was changed last on 2 March"),
)
_TOPICS: Final = ("heat pumps in Norway", "used electric cars", "oat milk", "night trains", "office rents in Lyon")
_FILES: Final = ("billing/invoice.py", "api/orders.py", "ui/basket.ts", "jobs/export.py")
_PASSES: Final = 0.5
_RULES: Final = (
    "You help customers of a shop.",
    "Look orders up before you answer.",
    "Answer in the language of the question, in at most 80 words.",
    "If the order service fails, try it again.",
    "Never promise a refund.",
)
_NEW_RULES: Final = (
    *_RULES[:3],
    "If the order service fails, try it once more, then say so.",
    "Promise a refund only when the order allows it.",
    "Hand refunds above 100 over to a person.",
)
_NEW_RULES_FOR: Final = 7  # days
_USERS: Final = ("ana", "bo", "chen", "dara", "emil", "farah")


class History:
    """Makes and sends the runs. `now` is Unix nanoseconds."""

    def __init__(self, otlp_http: str, now: int) -> None:
        self._now = now
        self._random = Random(2026)  # noqa: S311 - the same story every time
        self._providers = {service: _provider(service, f"{otlp_http}/v1/traces") for service in _SERVICES}
        self.runs = 0

    def send(self) -> int:
        """Export every run; how many there are. Exporters report failures to the log."""
        for day in range(DAYS, 0, -1):
            rules = _RULES if day > _NEW_RULES_FOR else _NEW_RULES
            for _ in range(self._random.randint(7, 11)):
                self._support(self._moment(day), "\n".join(rules))
            for _ in range(2):
                self._research(self._moment(day))
            self._review(self._moment(day), "gpt-4.1", 9_000)
        self._review(self._now - 3 * _HOUR, "claude-opus-4-1", 182_000)
        for provider in self._providers.values():
            provider.shutdown()
        return self.runs

    def _moment(self, days_ago: int) -> int:
        """A time of the 24 hours that began so many days ago, the last of them an hour ago at the latest."""
        return self._now - days_ago * 24 * _HOUR + self._random.randint(0, 22 * _HOUR)

    def _support(self, start: int, rules: str) -> None:
        feature, question, fact = self._random.choice(_QUESTIONS)
        user = self._random.choice(_USERS)
        session = f"support-{user}-{start // (24 * _HOUR)}"
        with self._run("support-agent", "support", start, feature=feature, user=user, session=session) as run:
            run.tools = _OFFERED["support"]
            messages = [_message("system", rules), _message("user", question)]
            for _ in range(self._random.randint(1, 3)):
                asked = run.asks("lookup_order", {"question": question})
                run.call("openai", "gpt-4o-mini", messages, asked, tokens=(900, 40), cached=512)
                failed = self._random.random() < 0.12
                run.tool("lookup_order", {"question": question}, fact, "the order service timed out" if failed else "")
                messages = [*messages, asked, _message("tool", "timed out" if failed else fact)]
            run.call(
                "openai", "gpt-4o-mini", messages, _message("assistant", f"I looked: {fact}."), tokens=(1_300, 120)
            )
            run.call("acme", "acme-summary-7b", messages[-1:], _message("assistant", fact), tokens=(300, 30))
            grounded = self.runs % 9 != 0
            run.judged(
                "grounded", 0.94 if grounded else 0.31, fact if grounded else "It names a date that no tool has."
            )

    def _research(self, start: int) -> None:
        topic = self._random.choice(_TOPICS)
        with self._run("research-agent", "researcher", start, feature="market-report", user="", session="") as run:
            run.tools = _OFFERED["researcher"]
            messages = [_message("system", "You write short market reports from sources."), _message("user", topic)]
            asked = run.asks("search", {"query": topic})
            run.call("anthropic", "claude-sonnet-4-5", messages, asked, tokens=(2_100, 180))
            run.at_once(
                [
                    ("search", {"query": f"{topic} {word}"}, f"12 pages on {topic}")
                    for word in ("prices", "sales", "law")
                ]
            )
            found = [*messages, asked, _message("tool", f"12 pages on {topic}")]
            for page in range(1, 6):
                asked = run.asks("read_page", {"page": page})
                run.call("anthropic", "claude-sonnet-4-5", found, asked, tokens=(1_200 + 900 * page, 60), cached=1_024)
                text = f"Page {page} on {topic}. " * 40
                run.tool("read_page", {"page": page}, text)
                found = [*found, asked, _message("tool", text)]
            report = _message("assistant", f"Demand for {topic} grew by {self._random.randint(2, 19)} % within a year.")
            run.call("anthropic", "claude-sonnet-4-5", found, report, tokens=(11_000, 900), cached=2_000)

    def _review(self, start: int, model: str, tokens: int) -> None:
        path = self._random.choice(_FILES)
        provider = "anthropic" if model.startswith("claude") else "openai"
        with self._run("code-reviewer", "reviewer", start, feature="code-review", user="ci", session=path) as run:
            messages = [
                _message("system", "You review changes. Name bugs, not style."),
                _message("user", f"{path}\n+ if total > 0:"),
            ]
            if self._random.random() < 0.3:
                run.call(provider, model, messages, None, tokens=(0, 0), error="429: rate limit reached")
            asked = run.asks("read_file", {"path": path})
            run.call(provider, model, messages, asked, tokens=(tokens, 60))
            run.tool(
                "read_file", {"path": path}, "def total(lines):\n    return sum(line.amount for line in lines)\n" * 20
            )
            verdict = _message("assistant", "An empty basket is charged nothing, but still sends an invoice.")
            run.call(provider, model, [*messages, asked], verdict, tokens=(tokens, tokens // 30))

    @contextmanager
    def _run(self, service: str, agent: str, start: int, *, feature: str, user: str, session: str) -> "Iterator[_Run]":
        self.runs += 1
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": agent,
            "spanmeter.feature": feature,
            "user.id": user,
            "gen_ai.conversation.id": session,
        }
        tracer = self._providers[service].get_tracer("spanmeter.demo")
        given = {key: value for key, value in attributes.items() if value}
        root = tracer.start_span(f"invoke_agent {agent}", attributes=given, start_time=start)
        run = _Run(tracer, root, start + 3 * _MS, self._random)
        yield run
        root.end(run.time + 2 * _MS)


@dataclass
class _Run:
    """One run while it is written. `time` is when what comes next begins."""

    tracer: Tracer
    root: Span
    time: int
    random: Random
    tools: Sequence[Mapping[str, Any]] = ()
    _calls: int = field(default=0)

    def asks(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a model that wants a tool."""
        self._calls += 1
        call = {"id": f"call_{self._calls}", "type": "function"}
        wanted = {**call, "function": {"name": tool, "arguments": json.dumps(arguments)}}
        return {"role": "assistant", "content": None, "tool_calls": [wanted]}

    def call(
        self, provider: str, model: str, messages: Sequence[Mapping[str, Any]], answer: Mapping[str, Any] | None, *,
        tokens: tuple[int, int], cached: int = 0, error: str = "",
    ) -> None:  # fmt: skip
        given, made = (int(count * self.random.uniform(0.8, 1.2)) for count in tokens)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.input.messages": json.dumps(messages),
        }
        if self.tools:
            attributes["gen_ai.tool.definitions"] = json.dumps(self.tools)
        if answer:
            attributes |= {
                "gen_ai.response.model": model,
                "gen_ai.response.finish_reasons": ["tool_calls" if answer.get("tool_calls") else "stop"],
                "gen_ai.usage.input_tokens": given,
                "gen_ai.usage.output_tokens": made,
                "gen_ai.usage.cache_read.input_tokens": min(cached, given),
                "gen_ai.output.messages": json.dumps([answer]),
            }
        length = (300 + given // 40 + made * 12) * _MS
        self._span(f"chat {model}", attributes, length, error, SpanKind.CLIENT)

    def tool(self, name: str, arguments: Mapping[str, Any], result: str, error: str = "") -> None:
        self._span(f"execute_tool {name}", _tool(name, arguments, "" if error else result), self._tool_time(), error)

    def judged(self, name: str, score: float, why: str) -> None:
        """What an evaluation of the run found."""
        attributes = {
            "gen_ai.evaluation.name": name,
            "gen_ai.evaluation.score.value": score,
            "gen_ai.evaluation.score.label": "pass" if score >= _PASSES else "fail",
            "gen_ai.evaluation.explanation": why,
        }
        self._span(f"evaluate {name}", attributes, 140 * _MS)

    def at_once(self, tools: Sequence[tuple[str, Mapping[str, Any], str]]) -> None:
        """Tools that run in parallel."""
        begin, ends = self.time, []
        for name, arguments, result in tools:
            self.time = begin
            self._span(f"execute_tool {name}", _tool(name, arguments, result), self._tool_time())
            ends.append(self.time)
        self.time = max(ends)

    def _tool_time(self) -> int:
        return self.random.randint(20, 900) * _MS

    def _span(
        self, name: str, attributes: Mapping[str, Any], length: int, error: str = "", kind: SpanKind = SpanKind.INTERNAL
    ) -> None:
        context = set_span_in_context(self.root)
        span = self.tracer.start_span(name, context, kind, dict(attributes), start_time=self.time)
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
            span.set_attribute("error.type", error.partition(":")[0])
        self.time += length
        span.end(self.time)
        self.time += _MS


def _tool(name: str, arguments: Mapping[str, Any], result: str) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.arguments": json.dumps(arguments),
    }
    return attributes | ({"gen_ai.tool.call.result": result} if result else {})


def _offered(name: str, description: str, **parameters: str) -> dict[str, Any]:
    """A tool as a model is told of it; all its parameters are texts that it needs."""
    properties = {key: {"type": "string", "description": text} for key, text in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "name": name, "description": description, "parameters": schema}


_OFFERED: Final = {
    "support": (
        _offered("lookup_order", "What is known of an order.", question="What is asked, with the order's number."),
        _offered("create_refund", "Pays an order back.", order="Its number.", amount="In its currency."),
    ),
    "researcher": (
        _offered("search", "Pages on a topic.", query="Words to look for."),
        _offered("read_page", "The text of a page that was found.", page="Its number."),
        _offered("save_note", "Keeps a note for later runs.", text="The note."),
    ),
}


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _provider(service: str, endpoint: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), max_queue_size=_QUEUE))
    return provider
