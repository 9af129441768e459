"""What kind of span this is, and which operation it performs.

The first of these that answers decides:
1. what a recognised family states, families in their order of precedence: its kind attributes in the order of its
   file, then its patterns of span names;
2. the shape: an evaluation or a tool is named, without any model; then tokens were counted or a model is named;
3. `internal`.
An operation that is sent is kept as sent when the kind came from elsewhere and names none.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from collector.enrich.families import Family, Verdict
from collector.enrich.values import unwrapped
from collector.model.facts import Kind, SpanView

_Name = tuple[re.Pattern[str], Verdict]

OPERATION = "gen_ai.operation.name"
NOTHING = Verdict(kind=Kind.INTERNAL)

_SHAPES = (
    (("gen_ai.evaluation.name",), Verdict(kind=Kind.EVAL, operation="evaluation")),
    (
        ("gen_ai.tool.name", "tool.name", "gen_ai.tool.call.arguments"),
        Verdict(kind=Kind.TOOL, operation="execute_tool"),
    ),
)
_MODELS = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "gen_ai.usage.input_tokens",
           "gen_ai.usage.prompt_tokens", "gen_ai.usage.output_tokens", "llm.token_count.prompt")  # fmt: skip


@dataclass(frozen=True)
class KindTable:
    """The kind rules of the families that may speak for a span."""

    families: tuple[Family, ...]

    @cached_property
    def _rules(self) -> tuple[tuple[tuple[tuple[str, bool, dict[str, Verdict]], ...], tuple[_Name, ...]], ...]:
        return tuple(
            (
                tuple((rule.key, rule.json_encoded, rule.values) for rule in family.kinds),
                tuple((re.compile(rule.pattern), rule.verdict) for rule in family.names),
            )
            for family in self.families
        )

    def verdict(self, span: SpanView) -> Verdict:
        """Kind, operation and whether usage is a roll-up; the operation is final."""
        for keys, names in self._rules:
            for key, encoded, values in keys:
                sent = span.attributes.get(key)
                if sent and (stated := values.get((unwrapped(sent) if encoded else sent).lower())):
                    return _with_operation(stated, span)
            for pattern, stated in names:
                if pattern.match(span.name):
                    return _with_operation(stated, span)
        return _with_operation(_shape(span), span)


def _with_operation(stated: Verdict, span: SpanView) -> Verdict:
    if stated.operation:
        return stated
    sent = span.attributes.get(OPERATION, "")
    return Verdict(kind=stated.kind, operation=sent, rollup=stated.rollup) if sent else stated


def _shape(span: SpanView) -> Verdict:
    attributes = span.attributes
    if any(attributes.get(key) for key in _MODELS):
        return Verdict(kind=Kind.LLM)
    for keys, stated in _SHAPES:
        if any(key in attributes for key in keys):
            return stated
    return NOTHING
