"""The shapes of answers about the spans of one run."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from collector.web.answers import CapturePolicy, Instant, UnixNano, Usd

Places = Annotated[Sequence[int], Field(description="Positions of rows.")]
Words = Annotated[Sequence[int], Field(description="Positions in `texts`, one a row.")]


class SpanColumns(TypedDict):
    """One array a column, one element a row."""

    span_id: Sequence[str]
    parent: Annotated[Sequence[int], Field(description="The position of the parent's row; -1 where it has none.")]
    kind: Words
    name: Words
    model: Words
    tool: Words
    agent: Words
    start: Annotated[Sequence[int], Field(description="Microseconds from the start of the run.")]
    duration: Annotated[Sequence[int], Field(description="Microseconds.")]
    input_tokens: Sequence[int]
    output_tokens: Sequence[int]
    cost: Annotated[Sequence[str | None], Field(description="USD as a decimal string; null when not priced.")]


class SpanError(TypedDict):
    row: int
    message: Annotated[str, Field(description="The status message, cut to 200 characters.")]


class RunSpans(TypedDict):
    """A run's spans in columns. Rows stand parents before children, children in order of time; orphans are the last."""

    trace_id: str
    started_at: Instant
    started_at_unix_nano: UnixNano
    duration_nanoseconds: int
    spans: int
    truncated: Annotated[bool, Field(description="Whether there are more spans than an answer may have.")]
    complete: Annotated[bool, Field(description="Whether a root span has come, and the parent of every other span.")]
    received_at: Annotated[str, Field(description="When the last span came, RFC 3339.")]
    texts: Annotated[Sequence[str], Field(description="What columns of words refer to; the first is empty.")]
    columns: SpanColumns
    rounds: Annotated[Sequence[int], Field(description="The row of each round's model call, in order of rounds.")]
    critical_path: Places
    orphans: Annotated[Sequence[int], Field(description="Rows whose parent has not come.")]
    unpriced: Annotated[Sequence[int], Field(description="Rows of calls without a price.")]
    rolled_up: Annotated[Sequence[int], Field(description="Rows whose usage another row has too, which counts.")]
    errors: Sequence[SpanError]


class ReceiptLine(TypedDict):
    bucket: str
    unit: Annotated[str, Field(description="What `quantity` counts: tokens, requests, nanoseconds, ...")]
    quantity: Annotated[int | None, Field(description="Null where spans do not tell it apart from another bucket's.")]
    rate: Annotated[str | None, Field(description="USD for `per` units, as a decimal string.")]
    per: int
    amount: Usd


class PriceEntryAnswer(TypedDict):
    data: Annotated[str, Field(description="The price data, with its version, or `override`.")]
    entry: Annotated[str, Field(description="Provider and model, or the override's name.")]
    since: Annotated[str, Field(description="From when this price holds; empty when it has not changed.")]
    terms: Annotated[str, Field(description="Tier, size of context and factors, as in the column PriceRef.")]


class ReceiptAnswer(TypedDict):
    """What a call cost, by bucket: quantity x rate / per = amount, and the amounts add up to `total`."""

    status: str
    total: Usd | None
    lines: Sequence[ReceiptLine]
    price: PriceEntryAnswer | None
    reported_cost: Annotated[Usd | None, Field(description="The cost that the instrumentation sent.")]


class SpanText(TypedDict):
    key: Annotated[str, Field(description="The attribute it came as; empty when there is none.")]
    bytes: int
    characters: int


class SpanEvent(TypedDict):
    at: Instant
    at_unix_nano: UnixNano
    name: str
    attributes: Mapping[str, str]
    long_attributes: Annotated[Mapping[str, int], Field(description="Bytes of values that are left out here.")]


class SpanLink(TypedDict):
    trace_id: str
    span_id: str
    attributes: Mapping[str, str]


class SpanAnswer(TypedDict):
    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    kind: str
    operation: str
    service_name: str
    scope_name: str
    scope_version: str
    started_at: Instant
    started_at_unix_nano: UnixNano
    duration_nanoseconds: int
    status: str
    status_message: str
    provider: str
    requested_model: str
    answered_model: str
    response_id: str
    agent_name: str
    tool_name: str
    feature: str
    user_id: str
    conversation_id: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_details: Mapping[str, int]
    receipt: ReceiptAnswer
    input: SpanText
    output: SpanText
    attributes: Mapping[str, str]
    long_attributes: Annotated[
        Mapping[str, int],
        Field(description="Bytes of values longer than 16 KiB, which are read at `.../attributes/KEY`."),
    ]
    resource_attributes: Mapping[str, str]
    events: Sequence[SpanEvent]
    links: Sequence[SpanLink]
    content_expired: bool
    capture_policy: CapturePolicy


class SpanPlace(TypedDict):
    trace_id: str
    span_id: str


ANY_BYTES: Any = Annotated[str, Field(json_schema_extra={"format": "binary"})]
