"""What kind of span this is, and which operation it performs.

The first of these that answers decides:
1. what a recognised family states, families in their order of precedence: its kind attributes in the order of its
   file, then its patterns of span names;
2. the shape: with a model or a count of tokens it is a model call, else with an evaluation an evaluation, else with
   a tool a tool;
3. `internal`.
An operation that is sent is kept as sent when the kind came from elsewhere and names none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from collector.enrich.conventions.families import Family, KindRule
from collector.enrich.conventions.values import unwrapped
from collector.model.facts import Kind, SpanView

_Keys = tuple[str, bool, dict[str, KindRule]]
_Name = tuple[re.Pattern[str], KindRule]

OPERATION = "gen_ai.operation.name"
NOTHING = KindRule(kind=Kind.INTERNAL)

_MODELS = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name", "gen_ai.usage.input_tokens",
           "gen_ai.usage.prompt_tokens", "gen_ai.usage.output_tokens", "llm.token_count.prompt")  # fmt: skip
_SHAPES = (
    # Nobody states that this is a call: it counts as one only where it sums no calls below it.
    (_MODELS, KindRule(kind=Kind.LLM, rollup=True)),
    (("gen_ai.evaluation.name",), KindRule(kind=Kind.EVAL, operation="evaluation")),
    (
        ("gen_ai.tool.name", "tool.name", "gen_ai.tool.call.arguments"),
        KindRule(kind=Kind.TOOL, operation="execute_tool"),
    ),
)
# What `_shape` looks at.
SHAPE_KEYS = frozenset(key for keys, _ in _SHAPES for key in keys)


@dataclass(frozen=True, slots=True)
class KindTable:
    """The kind rules that may speak for spans of one shape, and the one where none does."""

    rules: tuple[_Keys | _Name, ...]
    otherwise: KindRule

    def kind_rule(self, span: SpanView) -> tuple[KindRule, str]:
        """The rule, and the operation: the rule's own, else the one sent."""
        stated = self._stated(span)
        return stated, stated.operation or span.attributes.get(OPERATION, "")

    def _stated(self, span: SpanView) -> KindRule:
        for rule in self.rules:
            if len(rule) == 3:
                key, encoded, values = rule
                sent = span.attributes.get(key)
                if sent and (stated := values.get((unwrapped(sent) if encoded else sent).lower())):
                    return stated
            elif rule[0].match(span.name):
                return rule[1]
        return self.otherwise


def kind_table(families: Iterable[Family], present: frozenset[str]) -> KindTable:
    """The table for spans that have the attributes `present`; `families` are the most believed first."""
    rules: list[_Keys | _Name] = []
    for family in families:
        rules += [(rule.key, rule.json_encoded, rule.values) for rule in family.kinds if rule.key in present]
        rules += [(re.compile(rule.pattern), rule.kind_rule) for rule in family.names]
    return KindTable(tuple(rules), _shape(present))


def _shape(present: frozenset[str]) -> KindRule:
    for keys, stated in _SHAPES:
        if not present.isdisjoint(keys):
            return stated
    return NOTHING
