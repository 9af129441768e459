"""Conventions as data: one span in any of them becomes `Facts`.

    conventions = load(schema_root())
    facts = conventions.normalise(span)

Families are believed in their order (`schema/conventions/*.yaml`); within one, keys in the order of its list. The
first value that is there and not empty wins. Attributes no family knows are left alone.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.enrich.conventions import costs, usage
from collector.enrich.conventions.families import (
    Family,
    Providers,
    load_families,
    load_providers,
    load_usage_objects,
)
from collector.enrich.conventions.parts import NO_OUTPUT, UNDIVIDED, UNDIVIDED_OUTPUT, undivided
from collector.enrich.conventions.providers import ProviderNames
from collector.enrich.conventions.recipes import (
    INCLUSIVE,
    Origin,
    Recipe,
    known_keys,
    meaning_of,
    recipe,
    resource_keys,
)
from collector.enrich.conventions.rowplans import Option, Row, RowPlan, row_plan
from collector.enrich.conventions.tiers import served_tier
from collector.enrich.conventions.values import unwrapped
from collector.model.facts import Facts, Kind, SpanView
from collector.model.purposes import JUDGE
from collector.model.usage import Usage

# Shapes are the sender's choice: beyond this many the table starts afresh, so that it stays small. Of a scope's name
# its beginning counts.
_MAX_SHAPES = 4096
MAX_SCOPE_LENGTH = 128

_NOTHING = Facts()


def load(schema: Path) -> "Conventions":
    """The conventions of a schema folder (`schema_root()`). Raises ConfigError."""
    objects = load_usage_objects(schema / "usage_objects.yaml")
    families = (family.with_objects(objects) for family in load_families(schema / "conventions"))
    return Conventions(families, load_providers(schema / "providers.yaml"))


class Conventions:
    """Every family, compiled. Safe to share: its only state are caches of pure functions."""

    def __init__(self, families: Iterable[Family], providers: Providers) -> None:
        self.families = tuple(sorted(families, key=lambda family: family.order))
        self.providers = ProviderNames(providers)
        self.known = known_keys(self.families)
        self.resource_keys = resource_keys(self.families)
        self._shapes: dict[tuple[str, frozenset[str]], _Shape] = {}
        self._plans: dict[tuple[RowPlan, frozenset[str]], RowPlan] = {}

    def normalise(self, span: SpanView) -> Facts:
        """The facts of one span. Never raises, whatever the attributes hold."""
        shape = self._shape(span)
        found = shape.recipe
        resource = not self.resource_keys.isdisjoint(span.resource)
        if found.foreign and not span.events and not resource:
            return _NOTHING
        kind_rule, operation = found.kinds.kind_rule(span)
        kind = kind_rule.kind
        plan = shape.plan(kind, bool(span.events), resource)
        documents: dict[str, Any] = {}
        if plan.documents:
            documents = plan.read_documents(span.attributes)
            plan = self._narrowed(plan, documents)
        row = Row(span, documents)
        texts = row.texts(plan)
        text = texts.get
        provider, provider_id = self._provider(row, plan.provider)
        answered = span.status_code != "Error"
        model = text("model", "")
        request_model = text("request_model", "") or ("" if answered else model)
        response_model = text("response_model", "") or (model if answered else "")
        reported = costs.NOTHING
        if plan.costs:
            reported = _reported(row, plan, text("own_key", ""))
        cost = reported.total
        callee = provider_id, provider, request_model or response_model, span.scope_version
        complete = provider_id in self.providers.complete_output
        tokens, aggregate, knows_cache_lifetime = _usage(
            row, found, plan, callee, output_is_complete=complete, has_output=operation not in NO_OUTPUT
        )
        if tokens and kind is Kind.LLM:
            unit = UNDIVIDED.get(operation) or UNDIVIDED_OUTPUT.get(text("output_type", ""))
            tokens = undivided(tokens, unit) if unit else tokens
        return Facts(
            family=found.family,
            kind=kind,
            operation=operation,
            provider=provider,
            provider_id=provider_id,
            request_model=request_model,
            response_model=response_model,
            response_id=text("response_id", ""),
            agent_name=text("agent_name", "") or text("agent_span_name", ""),
            tool_name=text("tool_name", ""),
            feature=text("feature", ""),
            conversation_id=text("conversation_id", ""),
            user_id=text("user_id", ""),
            usage=tokens,
            usage_is_aggregate=tokens is not None and (aggregate or kind_rule.rollup),
            reported_cost=cost,
            free=cost == 0 and (reported.states_free or costs.free_model(request_model, response_model)),
            knows_cache_lifetime=tokens is not None and knows_cache_lifetime,
            finish_reason=unwrapped(text("finish_reason", "")),
            service_tier=_tier(row, plan, texts) if plan.has_tier else "",
            region=text("region", ""),
            input_key=plan.input.of_span(span),
            output_key=plan.output.of_span(span),
            purpose=text("purpose", "") or (JUDGE if kind is Kind.EVAL else ""),
        )

    def _shape(self, span: SpanView) -> "_Shape":
        shape = (span.scope_name[:MAX_SCOPE_LENGTH], self.known.intersection(span.attributes))
        found = self._shapes.get(shape)
        if found is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            found = self._shapes[shape] = _Shape(recipe(self.families, *shape))
        return found

    def _narrowed(self, plan: RowPlan, found: Mapping[str, Any]) -> RowPlan:
        key = plan, frozenset(found)
        narrow = self._plans.get(key)
        if narrow is None:
            if len(self._plans) >= _MAX_SHAPES:
                self._plans.clear()
            narrow = self._plans[key] = plan.narrowed(found)
        return narrow

    def _provider(self, row: Row, options: tuple[Option, ...]) -> tuple[str, str]:
        """The first provider that is no framework, as sent and canonical; else what was sent first."""
        first = ""
        for option in options:
            if sent := row.text(option):
                if canonical := self.providers.canonical(sent):
                    return sent, canonical
                first = first or sent
        return first, ""


@dataclass(slots=True)
class _Shape:
    """What spans of one shape have, and the plans for those that were seen."""

    recipe: Recipe
    _plans: dict[tuple[Kind, bool, bool], RowPlan] = field(default_factory=dict)

    def plan(self, *spans: *tuple[Kind, bool, bool]) -> RowPlan:
        """The plan for spans of a kind, with events or not, with known attributes of the resource or not."""
        found = self._plans.get(spans)
        if found is None:
            kind, events, resource = spans
            found = self._plans[spans] = row_plan(self.recipe, kind, events=events, resource=resource)
        return found


def _reported(row: Row, plan: RowPlan, own_key: str) -> costs.Reported:
    upstream = costs.believed(_costs(row, plan, "upstream_cost"))
    return costs.Reported(costs.believed(_whole_costs(row, plan)), upstream, own_key)


def _whole_costs(row: Row, plan: RowPlan) -> Iterator[Decimal | None]:
    """What is sent as the whole cost, and what its parts add up to."""
    yield from _costs(row, plan, "reported_cost")
    yield costs.summed(costs.believed(_costs(row, plan, name)) for name in ("input_cost", "output_cost"))
    for option in plan.costs.get("cost_parts", ()):
        yield costs.summed(costs.members(row.value(option)))


def _costs(row: Row, plan: RowPlan, name: str) -> Iterator[Decimal | None]:
    return (usage.cost(row.value(option)) for option in plan.costs.get(name, ()))


def _tier(row: Row, plan: RowPlan, texts: Mapping[str, str]) -> str:
    stated = next((tier for tier, options in plan.tiers if any(map(row.text, options))), "") if plan.tiers else ""
    return served_tier(texts.get("speed", ""), texts.get("service_tier", ""), stated, texts.get("requested_tier", ""))


def _usage(
    row: Row,
    found: Recipe,
    plan: RowPlan,
    callee: tuple[str, str, str, str],
    *,
    output_is_complete: bool,
    has_output: bool,
) -> tuple[Usage | None, bool, bool]:
    """The span's own usage, or, when it has none, the aggregate it carries.

    With whether it is an aggregate, and whether it tells how long what was written to the cache is kept.
    """
    for buckets, aggregate in ((plan.usage, False), (plan.aggregate, True)):
        if not buckets and (aggregate or not plan.details):
            continue
        counts, keys = row.values(buckets)
        meaning = meaning_of(found, Origin(*callee, keys)) if found.meaning else INCLUSIVE
        details = row.values(plan.details)[0] if plan.details and not aggregate else {}
        normalised = usage.normalise(
            counts,
            details,
            input_includes_cache=meaning.input_includes_cache,
            output_includes_reasoning=meaning.output_includes_reasoning,
            includes_modalities=meaning.includes_modalities,
            input_includes_tool_use=meaning.input_includes_tool_use,
            output_is_complete=output_is_complete or meaning.output_is_complete,
            has_output=has_output,
        )
        if normalised:
            return normalised, aggregate, not counts.keys().isdisjoint(usage.CACHE_LIFETIMES)
    return None, False, False
