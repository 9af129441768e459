"""A run as one JSON document: what was sent, what it means, what it cost."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from collector.exports import shapes
from collector.exports.otlp import Details, Row, details_of, events, links, resource_key, rows, scope_key, sent_times
from collector.exports.otlp_json import plain
from collector.exports.values import key_values
from collector.model.capture import strictest_word
from collector.model.evaluations import EvalKind, Evaluation, Evidence
from collector.model.money import decimal_text
from collector.runs import Action, Round, Run, Tool, read_spans, run_of

COLUMNS = (
    "Project", "ReceivedAt", "Kind", "Operation", "Provider", "RequestModel", "ResponseModel",
    "ResponseId", "AgentName", "ToolName", "Feature", "ConversationId", "UserId", "InputTokens", "OutputTokens",
    "CacheReadTokens", "CacheWriteTokens", "ReasoningTokens", "UsageDetails", "Cost", "CostDetails", "PriceStatus",
    "PriceRef", "ReportedCost", "FinishReason", "ContentExpired", "CapturePolicy",
)  # fmt: skip


class Verdicts(NamedTuple):
    """What was `found` of a run, and which of its judges people do not agree with; None where that was not asked."""

    found: Sequence[Evaluation] = ()
    uncalibrated: Collection[str] | None = None

    def is_calibrated(self, one: Evaluation) -> bool | None:
        """None of what no judge has found."""
        if one.kind is not EvalKind.JUDGE or self.uncalibrated is None:
            return None
        return one.evaluator not in self.uncalibrated


NONE: Final = Verdicts()


def run_document(table: pa.Table, known: Run | None = None, verdicts: Verdicts = NONE) -> shapes.RunExport:
    """The document of one run, of which `table` has every span with all columns, at least one.

    `known` is what `run_of` makes of them, where that is known already; `verdicts` what was found of it.
    """
    run = known or run_of(read_spans(table))
    numbers = {span_id: entry.number for entry in run.rounds for span_id in _told_by(entry)}
    parts = _Parts()
    order = {span.span_id: place for place, span in enumerate(run.spans)}
    found = sorted(rows(table, COLUMNS), key=lambda row: order[row["SpanId"]])
    spans = [_span(row, parts, numbers.get(row["SpanId"])) for row in found]
    start, end = min(span.start for span in run.spans), max(span.end for span in run.spans)
    return shapes.RunExport(
        format=shapes.FORMAT,
        version=shapes.VERSION,
        project=found[0]["Project"],
        trace_id=found[0]["TraceId"],
        started_at_unix_nano=str(start),
        ended_at_unix_nano=str(end),
        duration_nanoseconds=end - start,
        cost=None if run.cost is None else decimal_text(run.cost),
        errors=sum(span.error for span in run.spans),
        content_expired=any(row["ContentExpired"] for row in found),
        capture_policy=strictest_word({row["CapturePolicy"] for row in found}),
        system_prompt=_system_prompt(run),
        tools=[_tool(tool) for tool in run.tools],
        rounds=[_round(entry) for entry in run.rounds],
        evaluations=[_evaluation(one, verdicts) for one in verdicts.found],
        resources=parts.resources,
        scopes=parts.scopes,
        spans=spans,
    )


class _Parts:
    """Resources and scopes, each once, and where they are."""

    def __init__(self) -> None:
        self.resources: list[shapes.Resource] = []
        self.scopes: list[shapes.Scope] = []
        self._resources: dict[tuple[Any, ...], int] = {}
        self._scopes: dict[tuple[Any, ...], int] = {}

    def resource(self, row: Row, details: Details) -> int:
        key = resource_key(row, details)
        if key not in self._resources:
            self._resources[key] = len(self.resources)
            self.resources.append(_resource(row, details))
        return self._resources[key]

    def scope(self, row: Row, details: Details) -> int:
        key = scope_key(row, details)
        if key not in self._scopes:
            self._scopes[key] = len(self.scopes)
            self.scopes.append(_scope(row, details))
        return self._scopes[key]


def _resource(row: Row, details: Details) -> shapes.Resource:
    return shapes.Resource(
        service_name=row["ServiceName"],
        attributes=_attributes(row["ResourceAttributes"], details.get("resource", {})),
        dropped_attributes_count=details.get("dropped", {}).get("resource", 0),
        schema_url=row["ResourceSchemaUrl"],
    )


def _scope(row: Row, details: Details) -> shapes.Scope:
    return shapes.Scope(
        name=row["ScopeName"],
        version=row["ScopeVersion"],
        attributes=_attributes(row["ScopeAttributes"], details.get("scope", {})),
        dropped_attributes_count=details.get("dropped", {}).get("scope", 0),
        schema_url=row["ScopeSchemaUrl"],
    )


def _span(row: Row, parts: _Parts, number: int | None) -> shapes.Span:
    details = details_of(row["OtlpDetails"])
    types = details.get("span", {})
    attributes = list(row["SpanAttributes"])
    start, end = sent_times(row, attributes, types)
    return shapes.Span(
        span_id=row["SpanId"],
        parent_span_id=row["ParentSpanId"],
        name=row["SpanName"],
        kind=row["Kind"],
        operation=row["Operation"],
        span_kind=row["SpanKind"],
        started_at_unix_nano=str(start),
        ended_at_unix_nano=str(end),
        received_at_unix_nano=str(row["ReceivedAt"]),
        duration_nanoseconds=row["Duration"],
        status=shapes.Status(code=row["StatusCode"], message=row["StatusMessage"]),
        trace_state=row["TraceState"],
        flags=row["TraceFlags"],
        resource=parts.resource(row, details),
        scope=parts.scope(row, details),
        round=number,
        provider=row["Provider"],
        requested_model=row["RequestModel"],
        answered_model=row["ResponseModel"],
        response_id=row["ResponseId"],
        finish_reason=row["FinishReason"],
        agent_name=row["AgentName"],
        tool_name=row["ToolName"],
        feature=row["Feature"],
        conversation_id=row["ConversationId"],
        user_id=row["UserId"],
        tokens=_tokens(row),
        price=_price(row),
        input=shapes.Content(attribute=row["InputKey"], text=row["Input"]),
        output=shapes.Content(attribute=row["OutputKey"], text=row["Output"]),
        attributes=_attributes(attributes, types),
        events=[_event(event) for event in events(row, details)],
        links=[_link(link) for link in links(row, details)],
        dropped_attributes_count=row["DroppedAttributesCount"],
        dropped_events_count=row["DroppedEventsCount"],
        dropped_links_count=row["DroppedLinksCount"],
    )


def _attributes(pairs: Iterable[tuple[str, str]], types: Mapping[str, str]) -> list[dict[str, Any]]:
    return [plain(pair) for pair in key_values(pairs, types)]


def _tokens(row: Row) -> shapes.Tokens:
    return shapes.Tokens(
        input=row["InputTokens"],
        output=row["OutputTokens"],
        cache_read=row["CacheReadTokens"],
        cache_write=row["CacheWriteTokens"],
        reasoning=row["ReasoningTokens"],
        other=dict(row["UsageDetails"]),
    )


def _price(row: Row) -> shapes.Price:
    return shapes.Price(
        status=row["PriceStatus"],
        cost=None if row["Cost"] is None else decimal_text(row["Cost"]),
        by_bucket={name: decimal_text(amount) for name, amount in row["CostDetails"]},
        entry=row["PriceRef"],
        reported=None if row["ReportedCost"] is None else decimal_text(row["ReportedCost"]),
    )


def _event(event: Any) -> shapes.Event:
    return shapes.Event(
        time_unix_nano=str(event.time_unix_nano),
        name=event.name,
        attributes=[plain(pair) for pair in event.attributes],
        dropped_attributes_count=event.dropped_attributes_count,
    )


def _link(link: Any) -> shapes.Link:
    return shapes.Link(
        trace_id=link.trace_id.hex(),
        span_id=link.span_id.hex(),
        trace_state=link.trace_state,
        flags=link.flags,
        attributes=[plain(pair) for pair in link.attributes],
        dropped_attributes_count=link.dropped_attributes_count,
    )


def _told_by(entry: Round) -> Iterator[str]:
    """The spans that tell of a round: its call's and its actions'."""
    yield from (report.span_id for report in (entry.call.reports if entry.call else ()))
    yield from (span.span_id for action in entry.actions for span in action.spans)


def _round(entry: Round) -> shapes.Round:
    outermost = entry.call.outermost if entry.call else None
    return shapes.Round(
        number=entry.number,
        span_ids=[report.span_id for report in (entry.call.reports if entry.call else ())],
        owner=entry.owner,
        requested_model=entry.requested_model,
        answered_model=entry.answered_model,
        finish_reason=entry.finish_reason,
        started_at_unix_nano=str(outermost.start) if outermost else None,
        duration_nanoseconds=outermost.end - outermost.start if outermost else None,
        input_tokens=entry.input_tokens,
        output_tokens=entry.output_tokens,
        cost=None if entry.cost is None else decimal_text(entry.cost),
        requests=[
            shapes.ToolRequest(id=request.id, name=request.name, arguments=request.arguments)
            for request in entry.requests
        ],
        answer=entry.answer,
        actions=[_action(action) for action in entry.actions],
    )


def _action(action: Action) -> shapes.Action:
    return shapes.Action(
        span_ids=[span.span_id for span in action.spans],
        kind=action.span.kind,
        name=action.name,
        tool_call_id=action.asked.id if action.asked else None,
        arguments=action.arguments,
        result=action.result,
        error=action.error,
        started_at_unix_nano=str(action.span.start),
        duration_nanoseconds=action.span.end - action.span.start,
    )


def _evaluation(one: Evaluation, verdicts: Verdicts) -> shapes.Evaluation:
    receipt = one.receipt
    return shapes.Evaluation(
        id=one.id,
        at_unix_nano=str(one.at),
        span_id=one.span_id,
        target=one.target.value,
        evaluator=one.evaluator,
        kind=one.kind.value,
        revision=one.revision,
        status=one.status.value,
        error_type=one.error_type,
        verdict=one.verdict.value,
        score=one.score,
        label=one.label,
        reason=one.reason,
        flags=list(one.flags),
        evidence=[_evidence(cited) for cited in one.evidence],
        calibrated=verdicts.is_calibrated(one),
        labeler=one.labeler,
        probability=one.probability,
        receipt=shapes.Receipt(
            model=receipt.model,
            provider=receipt.provider,
            trace_id=receipt.trace_id,
            span_id=receipt.span_id,
            cost=None if receipt.cost is None else decimal_text(receipt.cost),
            input_tokens=receipt.input_tokens,
            output_tokens=receipt.output_tokens,
        ),
    )


def _evidence(cited: Evidence) -> shapes.Evidence:
    return shapes.Evidence(
        span_id=cited.span_id, field=cited.field, start=cited.start, end=cited.end, sha256=cited.sha256
    )


def _tool(tool: Tool) -> shapes.Tool:
    return shapes.Tool(name=tool.name, description=tool.description, schema=tool.schema, calls=tool.count)


def _system_prompt(run: Run) -> shapes.SystemPrompt | None:
    found = run.system_prompt
    return shapes.SystemPrompt(text=found.text, characters=found.characters, span_id=found.span_id) if found else None
