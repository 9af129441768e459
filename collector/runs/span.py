"""One span of a run as the functions of this package read it."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from collector.model.facts import Kind
from collector.model.money import PriceStatus
from collector.runs.columns import may_have

Events = tuple[tuple[str, Mapping[str, str]], ...]

# Model calls that converse with nobody: steps of a run, not rounds of it.
_NO_CONVERSATION = frozenset(
    {"embeddings", "rerank", "image_generation", "speech", "transcription", "moderation", "retrieval"}
)
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})
_STANDING = frozenset({PriceStatus.PRICED, PriceStatus.REPORTED, PriceStatus.UNKNOWN_MODEL})


class Span(NamedTuple):
    """Times are Unix nanoseconds, `cost` is USD. What a row does not say is empty, 0 or None.

    `input` and `output` are the attributes named by their keys, which are then not in `attributes` (see
    `model.facts.Facts` for keys that name no attribute).
    """

    span_id: str
    parent_id: str = ""
    name: str = ""
    scope: str = ""
    kind: str = Kind.INTERNAL.value
    operation: str = ""
    start: int = 0
    end: int = 0
    error: bool = False
    price_status: str = ""
    cost: Decimal | None = None
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    response_id: str = ""
    agent_name: str = ""
    tool_name: str = ""
    finish_reason: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    input: str = ""
    output: str = ""
    input_key: str = ""
    output_key: str = ""
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    events: Events = ()
    purpose: str = ""

    @property
    def label(self) -> str:
        """What it is called for people: a tool and an agent by their own names."""
        own = {Kind.TOOL.value: self.tool_name, Kind.AGENT.value: self.agent_name}.get(self.kind, "")
        return own or self.name or "(no name)"

    @property
    def converses(self) -> bool:
        """Whether this tells of a model call with messages: a chat, not an embedding."""
        return self.kind == Kind.LLM and self.operation not in _NO_CONVERSATION

    @property
    def stands(self) -> bool:
        """Whether the usage of a call is counted here."""
        return self.price_status in _STANDING

    @property
    def rolled_up(self) -> bool:
        """Whether other spans tell of the same usage, and are billed for it."""
        return self.price_status == PriceStatus.ROLLED_UP

    def may_have(self, prefixes: tuple[str, ...]) -> bool:
        """False only when `value` is empty for every key that starts with one of `prefixes`."""
        own = self.input_key.startswith(prefixes) or self.output_key.startswith(prefixes)
        return own or may_have(self.attributes, prefixes)

    def value(self, key: str) -> str:
        """The attribute `key`, wherever it is kept; empty when absent."""
        if key == self.input_key:
            return self.input
        if key == self.output_key:
            return self.output
        return self.attributes.get(key, "")


def by_time(span: Span) -> tuple[int, int, str]:
    """Order of spans: by start; of those that start together the longest first, as it encloses the others."""
    return span.start, -span.end, span.span_id
