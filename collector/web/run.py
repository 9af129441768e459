"""A run as the API tells it: its rounds and their actions, the system prompt, the tools at hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from collector.model.capture import Policy
from collector.model.money import decimal_text
from collector.runs import Action, Round, Run, SystemPrompt, Tool
from collector.web.answers import RunAction, RunRound


def run_json(
    trace_id: str,
    run: Run,
    *,
    content_expired: bool = False,
    capture_policy: str = Policy.FULL.word,
    evaluations: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Money is USD as decimal strings."""
    return {
        "trace_id": trace_id,
        "spans": len(run.spans),
        "cost": None if run.cost is None else decimal_text(run.cost),
        "system_prompt": _prompt(run.system_prompt) if run.system_prompt else None,
        "tools": [_tool(tool) for tool in run.tools],
        "rounds": [round_json(entry) for entry in run.rounds],
        "content_expired": content_expired,
        "capture_policy": capture_policy,
        "evaluations": [*evaluations],
    }


def _prompt(prompt: SystemPrompt) -> dict[str, Any]:
    return {"text": prompt.text, "characters": prompt.characters, "span_id": prompt.span_id}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "schema": tool.schema, "calls": tool.count}


def round_json(entry: Round) -> RunRound:
    return {
        "number": entry.number,
        "span_id": entry.call.span.span_id if entry.call else None,
        "requested_model": entry.requested_model,
        "answered_model": entry.answered_model,
        "finish_reason": entry.finish_reason,
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "cost": None if entry.cost is None else decimal_text(entry.cost),
        "requests": [{"id": asked.id, "name": asked.name, "arguments": asked.arguments} for asked in entry.requests],
        "answer": entry.answer,
        "actions": [action_json(action) for action in entry.actions],
    }


def action_json(action: Action) -> RunAction:
    return {
        "span_id": action.span.span_id,
        "kind": action.span.kind,
        "name": action.name,
        "arguments": action.arguments,
        "result": action.result,
        "error": action.error,
    }
