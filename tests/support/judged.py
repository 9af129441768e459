"""Runs to be judged, written in a line: rounds, each with the tools it calls."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import yaml

from collector.config.evaluators import EvaluatorFile
from collector.evals.deciding import decide
from collector.evals.evaluator import Evaluator, evaluators_of
from collector.evals.finding import Finding
from collector.evals.subject import Subject
from collector.runs import Run, Span, run_of

_SECOND = 1_000_000_000
# A tool: its name, its arguments, its result, and whether it failed.
Called = str | tuple[str, Any] | tuple[str, Any, str] | tuple[str, Any, str, bool]


def run(
    rounds: Sequence[Sequence[Called]],
    answer: str = "done",
    *,
    executed: bool = True,
    cost: str | None = "0.01",
    finish: str = "stop",
) -> Run:
    """A run of one agent: each round a call that asks for tools, and these tools; the last call answers.

    Without `executed` no span tells of the tools.
    """
    spans = [Span("root", name="agent", kind="agent", agent_name="helper", start=0, end=1000 * _SECOND)]
    at = 1
    for number, tools in enumerate([*rounds, []]):
        asked = [_asked(one, f"{number}-{place}") for place, one in enumerate(tools)]
        spans.append(_call(number, at, asked, "" if tools else answer, cost, finish))
        at += 2
        for place, one in enumerate(tools if executed else ()):
            spans.append(_tool(one, f"t{number}-{place}", f"{number}-{place}", at))
            at += 2
    return run_of(spans)


def check(text: str, judged: Run, span: Span | None = None) -> Finding:
    """What the check that is written as YAML finds."""
    return decide(evaluator(f"{{name: it, {text}}}").config.check, Subject(judged, span))


def evaluator(text: str) -> Evaluator:
    """The evaluator that is written as YAML."""
    return evaluators_of(EvaluatorFile.model_validate({"evaluators": [yaml.safe_load(text)]}).evaluators)[0]


def parts(called: Called) -> tuple[str, str, str, bool]:
    """Name, arguments as JSON, result, and whether it failed."""
    name, *rest = (called,) if isinstance(called, str) else called
    arguments = rest[0] if rest else {}
    result = str(rest[1]) if len(rest) > 1 else "ok"
    return name, json.dumps(arguments), result, bool(rest[2]) if len(rest) > 2 else False


def _asked(called: Called, identity: str) -> dict[str, Any]:
    name, arguments, _, _ = parts(called)
    return {"type": "tool_call", "id": identity, "name": name, "arguments": json.loads(arguments)}


def _call(number: int, at: int, asked: list[dict[str, Any]], text: str, cost: str | None, finish: str) -> Span:
    said = [{"type": "text", "content": text}] if text else []
    message = {"role": "assistant", "parts": [*said, *asked]}
    return Span(
        f"c{number}",
        "root",
        "chat",
        kind="llm",
        operation="chat",
        start=at * _SECOND,
        end=(at + 1) * _SECOND,
        price_status="priced" if cost else "unknown_model",
        cost=Decimal(cost) if cost else None,
        request_model="m",
        finish_reason=finish,
        input_tokens=100,
        output_tokens=10,
        output=json.dumps([message]),
        output_key="gen_ai.output.messages",
    )


def _tool(called: Called, span_id: str, identity: str, at: int) -> Span:
    name, arguments, result, failed = parts(called)
    return Span(
        span_id,
        "root",
        f"execute_tool {name}",
        kind="tool",
        operation="execute_tool",
        start=at * _SECOND,
        end=(at + 1) * _SECOND,
        error=failed,
        tool_name=name,
        price_status="not_a_call",
        input=arguments,
        input_key="gen_ai.tool.call.arguments",
        output=result,
        output_key="gen_ai.tool.call.result",
        attributes={"gen_ai.tool.call.id": identity},
    )
