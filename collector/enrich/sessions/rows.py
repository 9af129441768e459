"""Turns as rows of spans: the turn, its model calls with their attempts, and the runs of tools.

Ids are made of what senders name things by, so that events in any order, split and number make the same rows:
a trace of the family, the session and the turn, unless records name a trace themselves; a call of its request id,
a tool's run of its id, and what has none of the fingerprint of its record.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from collector.enrich.conventions.events import Role
from collector.enrich.sessions.calls import Call, calls
from collector.enrich.sessions.events import Event
from collector.enrich.sessions.tools import Tool, callers, starters, tools
from collector.enrich.sessions.turns import Turn, turns
from collector.model.columns import DECODED_SCHEMA, EARLIEST_NS, LATEST_NS
from collector.model.keys import SpanKey
from collector.model.sessions import DERIVED_SCOPE, WITHDRAWN
from collector.model.versions import version_of

_DENIED = "The tool was not allowed to run."
_FAILED = "The tool failed."
_UNANSWERED = "The call was not answered."
_REFUSED = "The model refused to answer."

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One derived row. `received` is when the last event of its turn was; rows that differ in it alone say the same."""

    event: Event = field(compare=False, repr=False)
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int
    end: int
    error: str
    attributes: Pairs
    attempts: tuple[tuple[int, Pairs], ...]
    received: int = field(compare=False)

    @property
    def is_answer(self) -> bool:
        """Whether it is a call that was answered."""
        return self.event.role is Role.CALL

    @property
    def key(self) -> SpanKey:
        return (self.event.project, self.trace_id), self.span_id


def derived(events: Iterable[Event]) -> list[Row]:
    """The rows of all turns of these events."""
    return [row for turn in turns(events) for row in _Rows(turn).all()]


def batch_of(rows: Sequence[Row]) -> pa.RecordBatch:
    """Rows as if they had been decoded."""
    return pa.RecordBatch.from_pylist([_decoded(row) for row in rows], schema=DECODED_SCHEMA)


def withdrawn(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Decoded rows that events which came later moved to another trace: they say nothing any more."""
    said: dict[str, Any] = {
        "SpanName": "withdrawn",
        "SpanAttributes": [(WITHDRAWN, "true")],
        "Events.Timestamp": [],
        "Events.Name": [],
        "Events.Attributes": [],
        "StatusCode": "Unset",
        "StatusMessage": "",
        "OtlpDetails": "",
    }
    columns = [
        pa.array([said[field.name]] * batch.num_rows, field.type) if field.name in said else batch.column(field.name)
        for field in batch.schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


class _Rows:
    """The rows of one turn."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._rules = turn.rules
        self._prompt, self._received = turn.prompt, turn.received
        first = turn.events[0]
        self._place = (first.family, first.session, turn.key)
        self._session = (first.family, first.session)
        self._trace = self._own_trace() or _id(32, "trace", *self._place)
        self._calls = calls(turn)
        self._tools = tools(turn)
        callers(self._tools, self._calls)
        self._starters = starters(self._tools, self._calls, self._rules)

    def all(self) -> list[Row]:
        rows = [self._call(call) for call in self._calls] + [self._tool(tool) for tool in self._tools]
        if (prompt := self._prompt) and not prompt.span:
            rows.append(self._root(prompt, rows))
        return rows

    def _own_trace(self) -> str:
        if not self._rules.own_traces:
            return ""
        named = [event.trace for event in self._turn.events if event.trace]
        prompt = self._prompt
        return prompt.trace if prompt and prompt.trace else next(iter(named), "")

    def _root_id(self) -> str:
        """The span of the turn: that of the record, else the derived one; empty when no prompt is known."""
        prompt = self._prompt
        if prompt is None:
            return ""
        return (prompt.span if self._rules.own_traces else "") or _id(16, "prompt", *self._place)

    def _root(self, prompt: Event, rows: Sequence[Row]) -> Row:
        end = max([prompt.at, *(row.end for row in rows)])
        return self._row(
            prompt,
            self._root_id(),
            "",
            "invoke_agent",
            prompt.shared.service,
            prompt.at,
            end,
            attributes=[*_said(prompt), ("gen_ai.agent.name", prompt.shared.service)],
        )

    def _call(self, call: Call) -> Row:
        refusal = [("gen_ai.response.finish_reasons", '["refusal"]')] if call.refused else []
        unanswered = _REFUSED if call.refused else _UNANSWERED
        return self._row(
            call.event,
            self._call_id(call),
            self._parent(call.event, call.agent),
            "chat",
            call.event.first(self._rules.model),
            call.start,
            call.end,
            error=(call.event.first(self._rules.error) or unanswered) if call.error else "",
            attributes=[*_said(*call.told, call.event), *refusal],
            attempts=[(attempt.at, _said(attempt)) for attempt in call.attempts],
        )

    def _call_id(self, call: Call) -> str:
        return _id(16, "call", *self._session, call.event.call_id or f"record {call.event.key}")

    def _tool(self, tool: Tool) -> Row:
        event = tool.last
        error = _DENIED if tool.denied else _FAILED if tool.failed else ""
        attributes = [*_said(*tool.events), ("gen_ai.tool.name", tool.name)]
        if tool.id:
            attributes.append(("gen_ai.tool.call.id", tool.id))
        if tool.denied:
            attributes.append(("error.type", "denied"))
        elif tool.failed and "error.type" not in dict(attributes):
            attributes.append(("error.type", event.attributes.get("error_type") or "tool_error"))
        return self._row(
            event,
            self._tool_id(tool),
            self._parent(event, tool.agent),
            "execute_tool",
            tool.name,
            tool.start,
            tool.end,
            error=error and (event.first(self._rules.error) or error),
            attributes=attributes,
        )

    def _tool_id(self, tool: Tool) -> str:
        return _id(16, "tool", *self._session, tool.id or f"record {tool.last.key}")

    def _parent(self, event: Event, agent: str) -> str:
        """The span that the record names; else the tool that started its sub-agent, and of the main one the turn."""
        if event.span and self._rules.own_traces:
            return event.span
        starter = self._starters.get(agent)
        return self._tool_id(starter) if starter else self._root_id()

    def _row(
        self,
        event: Event,
        span_id: str,
        parent_id: str,
        operation: str,
        subject: str,
        start: int,
        end: int,
        *,
        error: str = "",
        attributes: Iterable[tuple[str, str]] = (),
        attempts: Iterable[tuple[int, Pairs]] = (),
    ) -> Row:
        said = {**dict(attributes), "gen_ai.operation.name": operation, "gen_ai.conversation.id": event.session}
        return Row(
            event=event,
            trace_id=(event.trace if self._rules.own_traces else "") or self._trace,
            span_id=span_id,
            parent_id=parent_id,
            name=f"{operation} {subject}".strip(),
            start=min(max(start, EARLIEST_NS), LATEST_NS),
            end=end,
            error=error,
            attributes=tuple(sorted(said.items())),
            attempts=tuple(attempts),
            received=self._received,
        )


def _said(*events: Event) -> Pairs:
    """What the records say, of equal keys the last."""
    said: dict[str, str] = {}
    for event in events:
        said |= event.attributes
    return tuple(said.items())


def _id(digits: int, *parts: str) -> str:
    """An id made of texts, in lower-case hex; documented in docs/decisions/0045-runs-from-sessions.md."""
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=digits // 2).hexdigest()


def _decoded(row: Row) -> dict[str, Any]:
    event, shared = row.event, row.event.shared
    values: dict[str, Any] = {
        name: _default(kind) for name, kind in zip(DECODED_SCHEMA.names, DECODED_SCHEMA.types, strict=True)
    }
    return values | {
        "Timestamp": row.start,
        "TraceId": row.trace_id,
        "SpanId": row.span_id,
        "ParentSpanId": row.parent_id,
        "SpanName": row.name,
        "SpanKind": "Client" if row.name.startswith("chat") else "Internal",
        "ServiceName": shared.service,
        "ResourceAttributes": list(shared.resource),
        "ScopeName": f"{DERIVED_SCOPE}{event.family}",
        "ScopeVersion": shared.version,
        "SpanAttributes": list(row.attributes),
        "Duration": max(row.end - row.start, 0),
        "StatusCode": "Error" if row.error else "Unset",
        "StatusMessage": row.error,
        "Events.Timestamp": [at for at, _ in row.attempts],
        "Events.Name": ["gen_ai.request.attempt" for _ in row.attempts],
        "Events.Attributes": [list(said) for _, said in row.attempts],
        "ResourceSchemaUrl": shared.schema_url,
        "Project": event.project,
        "ReceivedAt": row.received,
        "Version": version_of(row.received, ended=True),
    }


def _default(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind) or pa.types.is_map(kind):
        return []
    return "" if pa.types.is_string(kind) else 0
