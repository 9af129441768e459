"""What policies and rules would do to spans: place by place, with masked examples."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from collector.capture.capture import CaptureRules
from collector.errors import Rejected
from collector.model.capture import POLICY_ATTRIBUTE, Policy
from collector.model.envelope import Signal
from collector.wire.otlp import REQUESTS, parse_checked

_EXAMPLES: Final = 3
_SHOWN: Final = 32
_MAX_PLACES: Final = 1000

# A place of a span, and all texts that stand there.
_Texts = dict[str, list[str]]


@dataclass(slots=True)
class Findings:
    """Sums over spans. Places are names of attributes and the like; examples show the shape of a text, not the text."""

    spans: int = 0
    policies: Counter[Policy] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    refused: list[str] = field(default_factory=list)

    def look(self, rules: CaptureRules, project: str, payload: bytes) -> None:
        """Add what would become of the spans of a request."""
        before = parse_checked(REQUESTS[Signal.TRACES], payload)
        try:
            applied = rules.apply(Signal.TRACES, project, payload)
        except Rejected as error:
            self.refused.append(str(error))
            return
        after = parse_checked(REQUESTS[Signal.TRACES], applied.payload)
        self.rules += applied.redacted
        self.policies += applied.items
        for old, new in zip(_spans(before), _spans(after), strict=True):
            self.spans += 1
            self._compare(old, new)

    def _compare(self, old: _Texts, new: _Texts) -> None:
        for place, texts in old.items():
            left = new.get(place, [])
            if texts == left:
                continue
            self._add(self.changed if any(left) else self.dropped, place)
            if len(self.examples[place]) < _EXAMPLES:
                self.examples[place].append(masked(next((text for text in texts if text not in left), "")))

    def _add(self, counts: Counter[str], place: str) -> None:
        known = place in counts or len(counts) < _MAX_PLACES
        counts[place if known else "(further places)"] += 1


def masked(text: str) -> str:
    """The shape of a text: `x` for letters, `0` for digits, of long ones the beginning."""
    shape = "".join("0" if one.isdigit() else "x" if one.isalpha() else " " if one.isspace() else one for one in text)
    return shape if len(shape) <= _SHOWN else f"{shape[:_SHOWN]}… ({len(shape):,} characters)"


def _spans(request: Any) -> Iterator[_Texts]:
    for resource_spans in request.resource_spans:
        resource = _pairs("resource", resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = _pairs("scope", scope_spans.scope.attributes)
            for span in scope_spans.spans:
                yield dict(_grouped([*resource, *scope, *_of_span(span)]))


def _of_span(span: Any) -> Iterator[tuple[str, str]]:
    yield "name", span.name
    yield "tracestate", span.trace_state
    yield "status message", span.status.message
    yield from _pairs("attribute", span.attributes)
    for event in span.events:
        yield "name of an event", event.name
        yield from _pairs("attribute of an event:", event.attributes)
    for link in span.links:
        yield "tracestate of a link", link.trace_state
        yield from _pairs("attribute of a link:", link.attributes)


def _pairs(place: str, attributes: Any) -> list[tuple[str, str]]:
    return [(f"{place} {pair.key}", _text(pair.value)) for pair in attributes if pair.key != POLICY_ATTRIBUTE]


def _text(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    found = getattr(value, kind)
    return (
        found.SerializeToString().decode("utf-8", "replace") if kind in ("array_value", "kvlist_value") else str(found)
    )


def _grouped(texts: list[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    found: _Texts = defaultdict(list)
    for place, text in texts:
        if text:
            found[place].append(text)
    return iter(found.items())
