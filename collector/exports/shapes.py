"""The JSON export of a run, version 1, as types: `docs/run-export.schema.json` is rendered from them.

Within one version members are only added. Names are snake_case, money is USD as decimal strings, a time is Unix
nanoseconds as a string, and absent values are null.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.model.capture import PolicyWord

FORMAT: Final = "spanmeter.run"
VERSION: Final = 1

UnixNano = Annotated[str, Field(pattern="^[0-9]+$", description="Unix nanoseconds.")]
Usd = Annotated[str, Field(pattern="^-?[0-9]+(\\.[0-9]+)?$", description="USD.")]
HexId = Annotated[str, Field(pattern="^([0-9a-f]{2})*$", description="Lower-case hexadecimal digits.")]
Attributes = Annotated[
    Sequence[dict[str, Any]],
    Field(description="KeyValue of OTLP in its JSON encoding: `key`, and `value` with the name of its type."),
]


class Content(TypedDict):
    """Exact content, and the attribute it was sent in; empty text and key where there is none."""

    attribute: str
    text: str


class Tokens(TypedDict):
    """As billed: input includes what is read from and written to a cache, output includes reasoning."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    other: Annotated[dict[str, int], Field(description="Other buckets of usage, by name.")]


class Price(TypedDict):
    """What a span costs, and why."""

    status: Annotated[str, Field(description="priced, reported, unknown_model, no_usage, not_a_call, rolled_up.")]
    cost: Usd | None
    by_bucket: Annotated[dict[str, Usd], Field(description="The receipt: adds up to the cost.")]
    entry: Annotated[str, Field(description="The price entry, and its version.")]
    reported: Annotated[Usd | None, Field(description="What the instrumentation sent.")]


class Status(TypedDict):
    code: Annotated[str, Field(description="Unset, Ok, Error; empty for any other.")]
    message: str


class Event(TypedDict):
    time_unix_nano: UnixNano
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class Link(TypedDict):
    trace_id: HexId
    span_id: HexId
    trace_state: str
    flags: int
    attributes: Attributes
    dropped_attributes_count: int


class Resource(TypedDict):
    service_name: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


class Scope(TypedDict):
    name: str
    version: str
    attributes: Attributes
    dropped_attributes_count: int
    schema_url: str


class Span(TypedDict):
    """A span as it was sent, and what it means."""

    span_id: HexId
    parent_span_id: Annotated[HexId, Field(description="Empty for a root span.")]
    name: str
    kind: Annotated[str, Field(description="agent, llm, tool, eval, internal.")]
    operation: Annotated[str, Field(description="gen_ai.operation.name.")]
    span_kind: Annotated[str, Field(description="Unspecified, Internal, Server, Client, Producer, Consumer.")]
    started_at_unix_nano: UnixNano
    ended_at_unix_nano: UnixNano
    received_at_unix_nano: UnixNano
    duration_nanoseconds: int
    status: Status
    trace_state: str
    flags: int
    resource: Annotated[int, Field(description="Position in `resources`.")]
    scope: Annotated[int, Field(description="Position in `scopes`.")]
    round: Annotated[int | None, Field(description="Number of the round that it is a part of.")]
    provider: str
    requested_model: str
    answered_model: str
    response_id: str
    finish_reason: str
    agent_name: str
    tool_name: str
    feature: str
    conversation_id: str
    user_id: str
    tokens: Tokens
    price: Price
    input: Content
    output: Content
    attributes: Attributes
    events: Sequence[Event]
    links: Sequence[Link]
    dropped_attributes_count: int
    dropped_events_count: int
    dropped_links_count: int


class ToolRequest(TypedDict):
    """A tool that a model asked for."""

    id: str
    name: str
    arguments: Annotated[str, Field(description="As sent, byte for byte.")]


class Action(TypedDict):
    """What a call caused: a tool run, a sub-agent, or a call that converses with nobody."""

    span_ids: Annotated[Sequence[HexId], Field(description="All that tell of it, the outermost first.")]
    kind: str
    name: str
    tool_call_id: Annotated[str | None, Field(description="Of the request it answers, where that is known.")]
    arguments: str
    result: str
    error: bool
    started_at_unix_nano: UnixNano
    duration_nanoseconds: int


class Round(TypedDict):
    """A model call and what it caused; number 0 is what happened before any call."""

    number: int
    span_ids: Annotated[Sequence[HexId], Field(description="All that tell of the call, the billed one first.")]
    owner: Annotated[str, Field(description="Id of the agent or tool span it was made in; empty at the top.")]
    requested_model: str
    answered_model: str
    finish_reason: str
    started_at_unix_nano: UnixNano | None
    duration_nanoseconds: int | None
    input_tokens: int
    output_tokens: int
    cost: Usd | None
    requests: Sequence[ToolRequest]
    answer: Annotated[str, Field(description="The text that the model answered; empty when it only asked for tools.")]
    actions: Sequence[Action]


class Tool(TypedDict):
    """A tool that models were offered or that ran."""

    name: str
    description: str
    schema: Annotated[str, Field(description="JSON schema of its arguments as the model was given it, as a text.")]
    calls: int


class SystemPrompt(TypedDict):
    text: str
    characters: int
    span_id: HexId


class Evidence(TypedDict):
    """Bytes [start, end) of a field, and their SHA-256."""

    span_id: str
    field: str
    start: int
    end: int
    sha256: str


class Receipt(TypedDict):
    """What judging took: of checks nothing but time."""

    model: str
    provider: str
    trace_id: str
    span_id: str
    cost: Usd | None
    input_tokens: int
    output_tokens: int


class Evaluation(TypedDict):
    """What an evaluator, a person or another tool found; there is a verdict only when `status` is ok."""

    id: str
    at_unix_nano: UnixNano
    span_id: Annotated[str, Field(description="Empty for the run as a whole.")]
    target: Annotated[str, Field(description="span, run, conversation, case.")]
    evaluator: str
    kind: Annotated[str, Field(description="check, judge, human, external.")]
    revision: Annotated[str, Field(description="Of the evaluator; those of different revisions are not comparable.")]
    status: Annotated[str, Field(description="ok, error, skipped.")]
    error_type: str
    verdict: Annotated[str, Field(description="pass, fail, or empty.")]
    score: float | None
    label: str
    reason: str
    flags: Sequence[str]
    evidence: Sequence[Evidence]
    calibrated: Annotated[
        bool | None, Field(description="Of a judge: whether people agree with it; null of others, and where not asked.")
    ]
    labeler: str
    probability: Annotated[float, Field(description="Of having been sampled.")]
    receipt: Receipt


class RunExport(TypedDict):
    """One run, whole."""

    format: Literal["spanmeter.run"]
    version: Literal[1]
    project: str
    trace_id: HexId
    started_at_unix_nano: UnixNano
    ended_at_unix_nano: UnixNano
    duration_nanoseconds: int
    cost: Annotated[Usd | None, Field(description="Of every span that is priced; null when none is.")]
    errors: Annotated[int, Field(description="Spans with the status Error.")]
    content_expired: Annotated[bool, Field(description="Whether `store.content_ttl` has emptied content of it.")]
    capture_policy: Annotated[
        PolicyWord,
        Field(description="The strictest capture policy of its spans: but for `full`, content was not stored."),
    ]
    system_prompt: SystemPrompt | None
    tools: Sequence[Tool]
    rounds: Sequence[Round]
    evaluations: Annotated[Sequence[Evaluation], Field(description="Those that count, of the run and of its spans.")]
    resources: Sequence[Resource]
    scopes: Sequence[Scope]
    spans: Annotated[Sequence[Span], Field(description="In order of time.")]
