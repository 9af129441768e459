"""What one span says about itself: the view enrichment reads, and the facts it finds there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from collector.model.usage import Usage


class Kind(StrEnum):
    """What a span is to the people who read a run. Values are those of the column `Kind`."""

    AGENT = "agent"
    LLM = "llm"
    TOOL = "tool"
    EVAL = "eval"
    INTERNAL = "internal"


@dataclass(slots=True)
class SpanView:
    """One span as stored in `otel_traces`: every attribute value is text, arrays and maps are JSON text.

    `span_kind` and `status_code` are the texts of those columns; an event is its name and its attributes.
    """

    name: str = ""
    scope_name: str = ""
    span_kind: str = "Unspecified"
    status_code: str = "Unset"
    attributes: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[tuple[str, Mapping[str, str]]] = ()
    resource: Mapping[str, str] = field(default_factory=dict)
    scope_version: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a span says, whatever convention it says it in. Text that was not sent is the empty string.

    `family` is the convention that was recognised, empty for a span of none. `provider` is as sent; `provider_id` is
    its canonical name (`openai`, `anthropic`, `google`, ...), empty when only a framework was named.
    `service_tier` is the one word for how fast the call was served, the answer's before the request's; `region` is the
    host, geography or location that served it. `free`: something states that the call may cost nothing, so that a
    reported cost of 0 is one. `knows_cache_lifetime`: the usage has writes to the cache by how long they are kept.
    `usage` is None when the span says nothing of tokens or says zero of everything. `usage_is_aggregate` means that
    the convention states the usage to be the sum of calls which other spans describe: it may be billed only when none
    of them is known. `reported_cost` is in USD and fits the column `ReportedCost`.
    `input_key` and `output_key` name where the content is:
    - the name of an attribute, whose value is the content, byte for byte;
    - a name that ends with a dot: the content is spread over the attributes with that prefix, and stays there;
    - `event:NAME#ATTRIBUTE`: the content is that attribute of the first such event, and stays there;
    - `event:PREFIX.`: the content is spread over the events with that prefix, and stays there.
    On a tool span they are the arguments and the result.
    `purpose` is what a span was made for when that is not the product: `judge` for those of evaluators.
    """

    family: str = ""
    kind: Kind = Kind.INTERNAL
    operation: str = ""
    provider: str = ""
    provider_id: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    agent_name: str = ""
    tool_name: str = ""
    feature: str = ""
    conversation_id: str = ""
    user_id: str = ""
    usage: Usage | None = None
    usage_is_aggregate: bool = False
    reported_cost: Decimal | None = None
    free: bool = False
    knows_cache_lifetime: bool = False
    finish_reason: str = ""
    service_tier: str = ""
    region: str = ""
    input_key: str = ""
    output_key: str = ""
    purpose: str = ""
