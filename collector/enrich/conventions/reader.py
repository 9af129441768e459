"""Conventions as data: one span in any of them becomes `Facts`.

    conventions = load(schema_root())
    facts = conventions.normalise(span)

Families are believed in their order (`schema/conventions/*.yaml`); within one, keys in the order of its list. The
first value that is there and not empty wins. Attributes no family knows are left alone.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from collector.enrich.conventions import usage
from collector.enrich.conventions.content import content_key
from collector.enrich.conventions.families import Family, Providers, load_families, load_providers
from collector.enrich.conventions.providers import ProviderNames
from collector.enrich.conventions.recipes import Places, Recipe, known_keys, meaning_of, recipe, resource_keys
from collector.enrich.conventions.values import Reader, Source, unwrapped
from collector.model.facts import Facts, Kind, SpanView
from collector.model.usage import Usage

# Shapes are the sender's choice: beyond this many the table starts afresh, so that it stays small. Of a scope's name
# its beginning counts.
_MAX_SHAPES = 4096
MAX_SCOPE_LENGTH = 128

_NOTHING = Facts()


def load(schema: Path) -> "Conventions":
    """The conventions of a schema folder (`schema_root()`). Raises ConfigError."""
    return Conventions(load_families(schema / "conventions"), load_providers(schema / "providers.yaml"))


class Conventions:
    """Every family, compiled. Safe to share: its only state are caches of pure functions."""

    def __init__(self, families: Iterable[Family], providers: Providers) -> None:
        self.families = tuple(sorted(families, key=lambda family: family.order))
        self.providers = ProviderNames(providers)
        self.known = known_keys(self.families)
        self.resource_keys = resource_keys(self.families)
        self._shapes: dict[tuple[str, frozenset[str]], Recipe] = {}

    def normalise(self, span: SpanView) -> Facts:
        """The facts of one span. Never raises, whatever the attributes hold."""
        found = self._recipe(span)
        if found.foreign and not span.events and self.resource_keys.isdisjoint(span.resource):
            return _NOTHING
        reader = Reader(span)
        kind_rule, operation = found.kinds.kind_rule(span)
        kind = kind_rule.kind
        fields = found.fields

        def text(name: str) -> str:
            places = fields.get(name)
            return _first(reader, places, kind) if places else ""

        provider, provider_id = self._provider(reader, fields.get("provider", ()))
        tokens, aggregate = _usage(reader, found, kind, provider_id)
        answered = span.status_code != "Error"
        model = text("model")
        return Facts(
            family=found.family,
            kind=kind,
            operation=operation,
            provider=provider,
            provider_id=provider_id,
            request_model=text("request_model") or ("" if answered else model),
            response_model=text("response_model") or (model if answered else ""),
            response_id=text("response_id") if kind is Kind.LLM else "",
            agent_name=text("agent_name") or (text("agent_span_name") if kind is Kind.AGENT else ""),
            tool_name=text("tool_name") if kind is Kind.TOOL else "",
            feature=text("feature"),
            conversation_id=text("conversation_id"),
            user_id=text("user_id"),
            usage=tokens,
            usage_is_aggregate=tokens is not None and (aggregate or kind_rule.rollup),
            reported_cost=_cost(reader, fields.get("reported_cost", ())),
            finish_reason=unwrapped(text("finish_reason")),
            service_tier=text("service_tier"),
            input_key=content_key(span, kind, found.content, "input"),
            output_key=content_key(span, kind, found.content, "output"),
        )

    def _recipe(self, span: SpanView) -> Recipe:
        shape = (span.scope_name[:MAX_SCOPE_LENGTH], self.known.intersection(span.attributes))
        found = self._shapes.get(shape)
        if found is None:
            if len(self._shapes) >= _MAX_SHAPES:
                self._shapes.clear()
            found = self._shapes[shape] = recipe(self.families, *shape)
        return found

    def _provider(self, reader: Reader, places: tuple[Source, ...]) -> tuple[str, str]:
        """The first provider that is no framework, as sent and canonical; else what was sent first."""
        first = ""
        for place in places:
            if sent := reader.text(place):
                if canonical := self.providers.canonical(sent):
                    return sent, canonical
                first = first or sent
        return first, ""


def _first(reader: Reader, places: tuple[Source, ...], kind: Kind) -> str:
    attributes = reader.span.attributes
    for place in places:
        if place.plain:
            if found := attributes.get(place.attribute):
                return found
            continue
        # What stands inside content is a fact about a call; elsewhere the same words are the user's data.
        if place.in_content and kind is not Kind.LLM:
            continue
        if found := reader.text(place):
            return found
    return ""


def _cost(reader: Reader, places: tuple[Source, ...]) -> Decimal | None:
    for place in places:
        if (found := usage.cost(reader.value(place))) is not None:
            return found
    return None


def _usage(reader: Reader, found: Recipe, kind: Kind, provider: str) -> tuple[Usage | None, bool]:
    """The span's own usage, or, when it has none, the aggregate it carries."""
    for buckets, aggregate in ((found.usage, False), (found.aggregate, True)):
        if not buckets:
            continue
        counts, input_key = _counts(reader, buckets, kind)
        meaning = meaning_of(found, input_key, provider, reader.span.attributes)
        details = _details(reader, found.details) if not aggregate else {}
        normalised = usage.normalise(
            counts,
            details,
            input_includes_cache=meaning.input_includes_cache,
            output_includes_reasoning=meaning.output_includes_reasoning,
        )
        if normalised:
            return normalised, aggregate
    return None, False


def _counts(reader: Reader, buckets: Places, kind: Kind) -> tuple[dict[str, Any], str]:
    """The first value of each bucket, and the key the input came from."""
    counts: dict[str, Any] = {}
    input_key = ""
    attributes = reader.span.attributes
    for name, places in buckets:
        for place in places:
            if place.plain:
                value: Any = attributes.get(place.attribute)
            elif place.in_content and kind is not Kind.LLM:
                continue
            else:
                value = reader.value(place)
            if value is None or value == "":
                continue
            counts[name] = value
            if name == "input":
                input_key = place.spec
            break
    return counts, input_key


def _details(reader: Reader, places: Places) -> Mapping[str, Any]:
    values = {name: next((v for p in options if (v := reader.value(p)) is not None), None) for name, options in places}
    return {name: value for name, value in values.items() if value is not None}
