"""What kind of span this is, and which operation it performs.

The first of these that answers decides:
1. what a recognised family states, families in their order of precedence: its kind attributes in the order of its
   file, then its patterns of span names;
2. the shape: with a count of tokens, or a model and an operation, content, a response id or a finish reason it is a
   model call, else with an evaluation an evaluation, else with a tool a tool;
3. `internal`.

A model alone is an attribute: frameworks copy it to every span of a request. For the same reason no span is a model
call that says it serves HTTP, asks a database or moves messages; usage that serves HTTP sums the calls below it.
An operation that is sent is kept as sent when the kind came from elsewhere and names none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from collector.enrich.conventions.families import Family, KindRule
from collector.enrich.conventions.values import source, unwrapped
from collector.model.facts import Kind, SpanView

_Keys = tuple[str, bool, dict[str, KindRule]]
_Name = tuple[re.Pattern[str], KindRule]

OPERATION = "gen_ai.operation.name"
NOTHING = KindRule(kind=Kind.INTERNAL)

_MODELS = ("gen_ai.request.model", "gen_ai.response.model", "llm.model_name")
_COUNTS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "gen_ai.usage.output_tokens",
           "llm.token_count.prompt")  # fmt: skip
# Nobody states that this is a call: it counts as one only where it sums no calls below it.
_CALL = KindRule(kind=Kind.LLM, rollup=True)
_SHAPES = (
    (_COUNTS, _CALL),
    (("gen_ai.evaluation.name",), KindRule(kind=Kind.EVAL, operation="evaluation")),
    (
        ("gen_ai.tool.name", "tool.name", "gen_ai.tool.call.arguments"),
        KindRule(kind=Kind.TOOL, operation="execute_tool"),
    ),
)

# What other work than a model's says of itself; usage on such a span is copied from elsewhere. The old and the present
# names of OpenTelemetry: semantic-conventions, database and messaging spans.
OTHER_WORK = frozenset({"db.system", "db.system.name", "messaging.system"})
# An HTTP server's span is of kind SERVER and has one of these; clients that report model calls have them too.
_HTTP = frozenset({"http.request.method", "http.method", "http.route"})
NO_CALL = KindRule(kind=Kind.INTERNAL, rollup=True)

# What says of a span that it is no model call.
NO_CALL_KEYS = OTHER_WORK | _HTTP
# What a shape is told by.
SHAPE_KEYS = frozenset(key for keys, _ in _SHAPES for key in keys).union(_MODELS, NO_CALL_KEYS)


@dataclass(frozen=True, slots=True)
class KindTable:
    """The kind rules that may speak for spans of one shape, and the one where none does."""

    rules: tuple[_Keys | _Name, ...]
    otherwise: KindRule
    # Model calls are none: whatever the span's `SpanKind`, and where that is Server.
    never_calls: bool
    never_served: bool

    def kind_rule(self, span: SpanView) -> tuple[KindRule, str]:
        """The rule, and the operation: the rule's own, else the one sent."""
        stated = self._stated(span)
        if stated.kind is Kind.LLM and (self.never_calls or (self.never_served and span.span_kind == "Server")):
            stated = NO_CALL
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
    families = tuple(families)
    for family in families:
        rules += [(rule.key, rule.json_encoded, rule.values) for rule in family.kinds if rule.key in present]
        rules += [(re.compile(rule.pattern), rule.kind_rule) for rule in family.names]
    return KindTable(
        tuple(rules),
        _shape(families, present),
        never_calls=not present.isdisjoint(OTHER_WORK),
        never_served=not present.isdisjoint(_HTTP),
    )


def _shape(families: Iterable[Family], present: frozenset[str]) -> KindRule:
    if not present.isdisjoint(_MODELS) and not present.isdisjoint(_signs_of_a_call(families)):
        return _CALL
    for keys, stated in _SHAPES:
        if not present.isdisjoint(keys):
            return stated
    return NOTHING


def _signs_of_a_call(families: Iterable[Family]) -> set[str]:
    """The attributes of which one makes a span with a model a call."""
    specs: set[str] = set()
    for family in families:
        for side in ("input", "output"):
            specs.update(family.content.get(side, ()))
        for name in ("response_id", "finish_reason"):
            specs.update(family.fields.get(name, ()))
        for counts in (family.usage, family.object_counts):
            specs.update(spec for keys in counts.values() for spec in keys)
    return {OPERATION, *(source(spec).attribute for spec in specs)} - {""}
