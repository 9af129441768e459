"""Runs of agents as pages show them: a support agent with parallel tools, a failure and a sub-agent; and long ones."""

import json
import random
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MILLISECOND = 1_000_000
MODEL = "claude-sonnet-4-5"
SYSTEM = (
    "You are the support agent of a billing product. Answer in the customer's language, in at most 120 words.\n" * 8
)


@dataclass
class Step:
    """A span to be: times in milliseconds from the start of the run."""

    name: str
    start: float
    duration: float
    parent: int = -1
    attributes: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    events: Sequence[tuple[str, Mapping[str, Any]]] = ()


def request(
    steps: Sequence[Step], trace: int, start_ns: int, *, service: str = "support", leave_out: Collection[int] = ()
) -> bytes:
    """The export request of a run; spans of `leave_out` have not come."""
    message: Any = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    _put(resource.resource, {"service.name": service})
    scope = resource.scope_spans.add()
    scope.scope.name = "my.app"
    for number, step in enumerate(steps):
        if number in leave_out:
            continue
        begin = start_ns + int(step.start * MILLISECOND)
        span = scope.spans.add(
            trace_id=trace.to_bytes(16, "big"),
            span_id=span_id(number),
            parent_span_id=span_id(step.parent) if step.parent >= 0 else b"",
            name=step.name,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + int(step.duration * MILLISECOND),
        )
        _put(span, step.attributes)
        for name, attributes in step.events:
            _put(span.events.add(time_unix_nano=begin, name=name), attributes)
        if step.error:
            span.status.code = 2
            span.status.message = step.error
    payload: bytes = message.SerializeToString()
    return payload


def span_id(number: int) -> bytes:
    return (number + 1).to_bytes(8, "big")


def send(http: str, payload: bytes) -> None:
    """To the OTLP/HTTP port of a daemon."""
    call = urllib.request.Request(f"{http}/v1/traces", payload, {"content-type": "application/x-protobuf"})
    urllib.request.urlopen(call, timeout=30).close()


def _put(place: Any, attributes: Mapping[str, Any]) -> None:
    for key, value in attributes.items():
        to = place.attributes.add(key=key).value
        if isinstance(value, bool):
            to.bool_value = value
        elif isinstance(value, int):
            to.int_value = value
        elif isinstance(value, float):
            to.double_value = value
        else:
            to.string_value = value


def tool(name: str, arguments: Any, result: Any) -> dict[str, Any]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.call.arguments": json.dumps(arguments),
        "gen_ai.tool.call.result": result if isinstance(result, str) else json.dumps(result),
    }


def chat(messages: Sequence[Any], answer: Any, tokens: tuple[int, int, int, int], model: str = MODEL) -> dict[str, Any]:
    """`tokens`: input, of which read from and written to the cache, and output."""
    total, read, written, out = tokens
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic" if model.startswith("claude") else "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.model": model,
        "gen_ai.usage.input_tokens": total,
        "gen_ai.usage.cache_read.input_tokens": read,
        "gen_ai.usage.cache_creation.input_tokens": written,
        "gen_ai.usage.output_tokens": out,
        "gen_ai.request.temperature": 0.2,
        "gen_ai.response.finish_reasons": answer.get("finish_reason", "stop"),
        "gen_ai.input.messages": json.dumps(messages),
        "gen_ai.output.messages": json.dumps([answer]),
    }


def text_message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def tool_request(*calls: tuple[str, str, Any]) -> dict[str, Any]:
    parts = [{"type": "tool_call", "id": id_, "name": name, "arguments": arguments} for id_, name, arguments in calls]
    return {"role": "assistant", "parts": parts, "finish_reason": "tool_call"}


def tool_answer(id_: str, result: Any) -> dict[str, Any]:
    return {"role": "tool", "parts": [{"type": "tool_call_response", "id": id_, "result": result}]}


def support_agent(
    feature: str = "refunds", user: str = "acme-4127", *, model: str = MODEL, slower: float = 1.0
) -> list[Step]:
    """Eleven rounds, parallel tools, a call that fails and is tried again, repeats, and a sub-agent."""
    root = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support-agent",
        "gen_ai.conversation.id": f"conversation-{user}",
        "user.id": user,
        "spanmeter.feature": feature,
    }
    steps = [Step("invoke_agent support-agent", 0, 53_700, attributes=root)]
    history = [
        text_message("system", SYSTEM),
        text_message("user", "Why was I charged twice for order 48213? Please refund one of them."),
    ]
    steps.append(Step("guardrail input_check", 20, 12, 0))
    at = 40.0
    plan: list[tuple[float, tuple[int, int, int, int], list[tuple[str, Any, Any, float]]]] = [
        (
            2310,
            (2406, 0, 2048, 44),
            [
                ("get_customer", {"id": "acme-4127"}, {"plan": "team"}, 310),
                ("list_charges", {"days": 30}, [{"charge": "ch_9f2", "usd": 49.0}], 1120),
                ("search_policy", {"q": "duplicate charge"}, "§4.2 A second charge within 60 s is refunded.", 860),
            ],
        ),
        (
            1940,
            (3120, 2048, 0, 36),
            [
                ("get_order", {"id": 48213}, {"total": 49.0}, 420),
                ("sql", {"q": "select at, charge, usd from ledger"}, "214 rows, stash 7", 2870),
                ("sql", {"q": "select day, sum(usd) from payouts"}, "31 rows, stash 8", 1360),
            ],
        ),
        (1720, (3744, 2048, 0, 28), [("payments.lookup", {"charges": ["ch_9f2"]}, "", 420)]),
        (
            2080,
            (4210, 3072, 0, 31),
            [("sql", {"q": f"select {number}"}, f"{number} rows", 1240) for number in range(5)],
        ),
        (
            1610,
            (4688, 4096, 0, 22),
            [
                ("peek", {"stash": 7}, "[...]", 90),
                (
                    "export_rows",
                    {"stash": 7, "where": "order_id = 48213"},
                    [{"at": "2026-11-26T09:14:03Z", "charge": "ch_9f2", "usd": 49.0}] * 60,
                    4710,
                ),
                ("jq", {"group": "day"}, {"2026-11-26": {"charges": 2}}, 60),
            ],
        ),
        (4420, (9104, 4096, 4096, 19), []),
        (1520, (9180, 8192, 0, 31), [("refund_preview", {"charge": "ch_9f3"}, {"ok": True}, 640)]),
        (1480, (9244, 8192, 0, 24), [("create_refund", {"charge": "ch_9f3"}, {"id": "re_1"}, 1970)]),
        (3360, (9396, 8192, 0, 84), []),
    ]
    for number, (length, tokens, calls) in enumerate(plan, 1):
        spent_ms = length * slower
        requests = [(f"call_{number}_{place}", name, arguments) for place, (name, arguments, _, _) in enumerate(calls)]
        answer = (
            tool_request(*requests)
            if calls
            else text_message(
                "assistant", "You were charged twice, two seconds apart. I have refunded the second charge, $49.00."
            )
        )
        if number == 6:
            answer = tool_request(("call_6", "refund-checker", {"charge": "ch_9f3"}))
        call = len(steps)
        steps.append(Step(f"chat {model}", at, spent_ms, 0, chat(history, answer, tokens, model)))
        at += spent_ms
        begin, end, line = at, at, at
        for place, (name, arguments, result, spent) in enumerate(calls):
            together = number in (1, 2)
            start = begin if together else line
            step = Step(
                f"execute_tool {name}",
                start,
                spent,
                call,
                tool(name, arguments, result) | {"gen_ai.tool.call.id": f"call_{number}_{place}"},
            )
            if name == "payments.lookup":
                step.error = "429 rate limited, retry after 2 s"
                steps += [
                    step,
                    Step("backoff", start + spent, 2000, call),
                    Step(
                        f"execute_tool {name}",
                        start + spent + 2000,
                        1860,
                        call,
                        tool(name, arguments, {"ch_9f3": {"duplicate_of": "ch_9f2"}})
                        | {"gen_ai.tool.call.id": f"call_{number}_{place}"},
                    ),
                ]
                line = start + spent + 3860
            else:
                steps.append(step)
                line = start + spent
            end = max(end, line)
        at = end + 10
        history = [
            *history,
            answer,
            *(tool_answer(id_, plan[number - 1][2][place][2]) for place, (id_, _, _) in enumerate(requests)),
        ]
        if number == 6:
            at = _checker(steps, at, call, model)
            history.append(tool_answer("call_6", {"allowed": True}))
    steps.append(Step("evaluate grounded", at, 210, 0, {"gen_ai.operation.name": "evaluate", "spanmeter.kind": "eval"}))
    steps[0].duration = at + 260
    return steps


def _checker(steps: list[Step], at: float, parent: int, model: str) -> float:
    agent = len(steps)
    named = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "refund-checker",
        "gen_ai.tool.call.id": "call_6",
    }
    steps.append(Step("invoke_agent refund-checker", at, 8660, parent, named))
    first, second = [text_message("user", "May ch_9f3 be refunded?")], text_message("assistant", "It may.")
    steps.append(
        Step(
            f"chat {model}",
            at + 20,
            2210,
            agent,
            chat(
                first,
                tool_request(("c1", "fraud_score", {"charge": "ch_9f3"}), ("c2", "refund_policy", {})),
                (1540, 0, 0, 20),
                model,
            ),
        )
    )
    steps.append(
        Step(
            "execute_tool fraud_score",
            at + 2240,
            2940,
            agent + 1,
            tool("fraud_score", {"charge": "ch_9f3"}, {"risk": 0.04}),
        )
    )
    steps.append(Step("execute_tool refund_policy", at + 2240, 470, agent + 1, tool("refund_policy", {}, "up to $50")))
    steps.append(
        Step(
            f"chat {model}",
            at + 5200,
            3380,
            agent,
            chat([*first, text_message("tool", "risk 0.04")], second, (2262, 0, 0, 17), model),
        )
    )
    return at + 8670


def long_run(spans: int, seed: int = 1) -> list[Step]:
    """A planner with workers in parallel, one dear call hidden in it."""
    dice = random.Random(seed)
    steps = [
        Step(
            "invoke_agent planner",
            0,
            0,
            attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"},
        )
    ]
    at = 0.0
    while len(steps) < spans:
        worker = len(steps)
        steps.append(
            Step(
                f"invoke_agent worker-{worker % 7}",
                at,
                0,
                0,
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": f"worker-{worker % 7}"},
            )
        )
        inside = at
        for _ in range(4):
            if len(steps) >= spans:
                break
            tokens = 500 + dice.randrange(3000)
            dear = len(steps) * 100 // spans == 73 and not any(
                step.attributes.get("gen_ai.request.model") == "gpt-4" for step in steps[-400:]
            )
            call = len(steps)
            length = 300 + dice.randrange(1500)
            steps.append(
                Step(
                    "chat",
                    inside,
                    length,
                    worker,
                    chat(
                        [text_message("user", f"Step {call}")],
                        text_message("assistant", "Done."),
                        (60_000 if dear else tokens, 0, 0, 60),
                        "gpt-4" if dear else "gpt-4o-mini",
                    ),
                )
            )
            inside += length
            for name in ("sql", "sql", "search", "fetch")[: 1 + dice.randrange(4)]:
                if len(steps) >= spans:
                    break
                spent = 20 + dice.randrange(400)
                steps.append(
                    Step(
                        f"execute_tool {name}",
                        inside,
                        spent,
                        call,
                        tool(name, {"step": call}, "ok"),
                        error="boom" if dice.randrange(90) == 0 else "",
                    )
                )
                if len(steps) < spans and dice.randrange(4) == 0:
                    steps.append(Step("retry", inside, spent / 2, len(steps) - 1))
            inside += 450
        steps[worker].duration = inside - at
        at += (inside - at) * 0.35
    steps[0].duration = max(step.start + step.duration for step in steps)
    return steps
