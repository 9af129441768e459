"""What to read from spans one by one: of a recipe what a span of one kind, with events or without, may have."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from collector.enrich.conventions import costs
from collector.enrich.conventions.content import ContentKeys
from collector.enrich.conventions.recipes import Places, Recipe
from collector.enrich.conventions.values import RESOURCE, Branch, Reader, Source, as_text
from collector.model.facts import Kind, SpanView

# The fields that are no text as it was sent.
_COSTS = costs.FIELDS - {"own_key"}
_NO_TEXTS = frozenset({"provider", *_COSTS})
# The fields that only spans of one kind have.
_OF_KIND = {
    "response_id": Kind.LLM,
    "output_type": Kind.LLM,
    "agent_span_name": Kind.AGENT,
    "tool_name": Kind.TOOL,
}
# The texts a tier is told by.
_TIERS = frozenset({"speed", "service_tier", "requested_tier"})
# Documents with fewer places are read when one of these is asked for.
_MANY_PLACES = 3

# A place: the attribute whose text is the value, or the key of what was read from a document, or neither.
Option = tuple[str, str, Source]
Options = tuple[tuple[str, tuple[Option, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class RowPlan:
    """The places of each fact, most believed first.

    `plain` are texts with one place each, an attribute that spans of the shape have. `documents` are attributes with
    JSON that is read as a whole.
    """

    plain: tuple[tuple[str, str], ...]
    texts: Options
    provider: tuple[Option, ...]
    costs: Mapping[str, tuple[Option, ...]]
    tiers: Options
    usage: Options
    aggregate: Options
    details: Options
    documents: tuple[tuple[str, Branch], ...]
    input: ContentKeys
    output: ContentKeys
    # Whether there is anything to tell a tier by.
    has_tier: bool

    def read_documents(self, attributes: Mapping[str, str]) -> dict[str, Any]:
        """What the documents have of what is looked for, by key."""
        found: dict[str, Any] = {}
        for attribute, document in self.documents:
            document.read(attributes[attribute], found)
        return found

    def narrowed(self, found: Collection[str]) -> "RowPlan":
        """The same without the places in documents that are not among `found`."""

        def options(given: tuple[Option, ...]) -> tuple[Option, ...]:
            return tuple(option for option in given if not option[1] or option[1] in found)

        def lists(given: Options) -> Options:
            return tuple((name, left) for name, places in given if (left := options(places)))

        texts, tiers = lists(self.texts), lists(self.tiers)
        plain = (*self.plain, *((name, places[0][0]) for name, places in texts if _is_plain(places)))
        texts = tuple((name, places) for name, places in texts if not _is_plain(places))
        return replace(
            self,
            plain=plain,
            texts=texts,
            provider=options(self.provider),
            costs=dict(lists(tuple(self.costs.items()))),
            tiers=tiers,
            usage=lists(self.usage),
            aggregate=lists(self.aggregate),
            details=lists(self.details),
            has_tier=bool(tiers) or _any_tier((*plain, *texts)),
        )


class Row:
    """One span as a plan reads it; `found` is what its documents have."""

    __slots__ = ("_attributes", "_found", "_reader", "_span")

    def __init__(self, span: SpanView, found: dict[str, Any]) -> None:
        self._span = span
        self._attributes = span.attributes
        self._found = found
        self._reader: Reader | None = None

    def texts(self, plan: RowPlan) -> dict[str, str]:
        """The first text of each field, if any."""
        attributes, found = self._attributes, self._found
        texts = {name: attributes[attribute] for name, attribute in plan.plain}
        for name, options in plan.texts:
            for attribute, key, place in options:
                if attribute:
                    text = attributes[attribute]
                elif key:
                    value = found.get(key)
                    text = value if value.__class__ is str else as_text(value) if value is not None else ""
                else:
                    text = self._elsewhere.text(place)
                if text:
                    texts[name] = text
                    break
        return texts

    def text(self, option: Option) -> str:
        """The text of one place, empty when absent."""
        attribute, key, place = option
        if attribute:
            return self._attributes[attribute]
        return as_text(self._found.get(key)) if key else self._elsewhere.text(place)

    def value(self, option: Option) -> Any:
        """The value of one place, None when absent."""
        attribute, key, place = option
        if attribute:
            return self._attributes[attribute] or None
        return self._found.get(key) if key else self._elsewhere.value(place)

    def values(self, lists: Options) -> tuple[dict[str, Any], dict[str, str]]:
        """The first value of each name that has one and is not empty, and the key it came from."""
        attributes, found = self._attributes, self._found
        values: dict[str, Any] = {}
        keys: dict[str, str] = {}
        value: Any
        for name, options in lists:
            for attribute, key, place in options:
                value = attributes[attribute] if attribute else found.get(key) if key else self._elsewhere.value(place)
                if value is not None and value != "":
                    values[name] = value
                    keys[name] = place.spec
                    break
        return values, keys

    @property
    def _elsewhere(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._span)
        return self._reader


def row_plan(recipe: Recipe, kind: Kind, *, events: bool, resource: bool) -> RowPlan:
    """The plan of a recipe for spans of a kind, with any events and known attributes of the resource or without.

    What stands inside content is a fact about a call; elsewhere the same words are the user's data.
    """
    return _Compiler(recipe, kind, events=events, resource=resource).plan()


class _Compiler:
    def __init__(self, recipe: Recipe, kind: Kind, *, events: bool, resource: bool) -> None:
        self._recipe = recipe
        self._kind = kind
        self._events = events
        self._resource = resource
        lists = (recipe.fields.items(), recipe.tiers, recipe.usage, recipe.aggregate, recipe.details)
        read = {place.key: place for places in lists for _, options in places for place in self._chosen(options)}
        documents = [place for place in read.values() if place.is_json and not place.event]
        counts = Counter(place.attribute for place in documents)
        self._documents: defaultdict[str, Branch] = defaultdict(Branch)
        for place in documents:
            if counts[place.attribute] >= _MANY_PLACES:
                self._documents[place.attribute].add(place)

    def plan(self) -> RowPlan:
        recipe, kind = self._recipe, self._kind
        fields = {name: self._options(places) for name, places in recipe.fields.items()}
        texts = [
            (name, options)
            for name, options in fields.items()
            if options and name not in _NO_TEXTS and _OF_KIND.get(name, kind) is kind
        ]
        tiers = self._lists(recipe.tiers)
        return RowPlan(
            plain=tuple((name, options[0][0]) for name, options in texts if _is_plain(options)),
            texts=tuple((name, options) for name, options in texts if not _is_plain(options)),
            provider=fields.get("provider", ()),
            costs={name: options for name, options in fields.items() if options and name in _COSTS},
            tiers=tiers,
            usage=self._lists(recipe.usage),
            aggregate=self._lists(recipe.aggregate),
            details=self._lists(recipe.details),
            documents=tuple(self._documents.items()),
            input=ContentKeys.of(recipe.content, kind, "input", events=self._events),
            output=ContentKeys.of(recipe.content, kind, "output", events=self._events),
            has_tier=bool(tiers) or _any_tier(texts),
        )

    def _lists(self, lists: Places) -> Options:
        chosen = ((name, self._options(places)) for name, places in lists)
        return tuple((name, options) for name, options in chosen if options)

    def _options(self, places: tuple[Source, ...]) -> tuple[Option, ...]:
        return tuple(map(self._option, self._chosen(places)))

    def _option(self, place: Source) -> Option:
        if place.attribute and not place.is_json:
            return place.attribute, "", place
        known = not place.event and place.attribute in self._documents
        return "", place.key if known else "", place

    def _chosen(self, places: tuple[Source, ...]) -> list[Source]:
        return [place for place in places if self._may_have(place)]

    def _may_have(self, place: Source) -> bool:
        if place.in_content and self._kind is not Kind.LLM:
            return False
        return self._events if place.event else self._resource or not place.spec.startswith(RESOURCE)


def _any_tier(texts: Iterable[tuple[str, object]]) -> bool:
    return any(name in _TIERS for name, _ in texts)


def _is_plain(options: tuple[Option, ...]) -> bool:
    return len(options) == 1 and bool(options[0][0])
