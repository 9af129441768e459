"""What to read from spans of one shape, worked out once.

A shape is a scope name and the attributes present that any convention knows. Programs send few shapes and many
spans, so recognising families, merging their lists and dropping absent keys happens once a shape; a span then costs
one set intersection and the reads that can succeed.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from collector.enrich.conventions.families import Family, Meaning
from collector.enrich.conventions.kinds import OPERATION, SHAPE_KEYS, KindTable, kind_table
from collector.enrich.conventions.values import EVENT, RESOURCE, Source, source

Places = tuple[tuple[str, tuple[Source, ...]], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """For one shape: the places of each fact that are present, most believed first.

    `foreign` marks spans of no family without a known attribute, such as those of web servers and databases: only
    events and the resource can say something of them.
    """

    family: str
    foreign: bool
    kinds: KindTable
    fields: Mapping[str, tuple[Source, ...]]
    content: Mapping[str, tuple[str, ...]]
    usage: Places
    aggregate: Places
    details: Places
    meaning: tuple[Meaning, ...]


def known_keys(families: Iterable[Family]) -> frozenset[str]:
    """Every attribute name that any of the families looks at."""
    keys: set[str] = {OPERATION, *SHAPE_KEYS}
    for family in families:
        keys.update(family.recognise.keys)
        keys.update(rule.key for rule in family.kinds)
        for meaning in family.meaning:
            keys.update(meaning.absent)
        for lists in (family.fields, family.usage, family.aggregate, family.details):
            keys.update(source(spec).attribute for specs in lists.values() for spec in specs)
        keys.update(spec for specs in family.content.values() for spec in specs if not _stays(spec))
    return frozenset(keys - {""})


def recipe(families: tuple[Family, ...], scope: str, present: frozenset[str]) -> Recipe:
    """The recipe of a shape: of `families` (most believed first) those that are recognised or always consulted."""
    recognised = [family for family in families if _is_of(family, scope, present)]
    consulted = tuple(family for family in families if family.always or family in recognised)
    named = next((family.family for family in recognised if family.family != "spanmeter"), "")
    fields = _places((family.fields for family in consulted), present)
    content: dict[str, list[str]] = {}
    for family in consulted:
        for name, specs in family.content.items():
            content.setdefault(name, []).extend(spec for spec in specs if spec in present or _stays(spec))
    return Recipe(
        family=named,
        foreign=not present and not recognised,
        kinds=kind_table(consulted, present),
        fields=dict(fields),
        content={name: tuple(dict.fromkeys(specs)) for name, specs in content.items() if specs},
        usage=_places((family.usage for family in consulted), present),
        aggregate=_places((family.aggregate for family in consulted), present),
        details=_places((family.details for family in consulted), present),
        meaning=tuple(rule for family in consulted for rule in family.meaning),
    )


def resource_keys(families: Iterable[Family]) -> frozenset[str]:
    """Every resource attribute that any of the families looks at."""
    specs = (spec for family in families for keys in family.fields.values() for spec in keys)
    return frozenset(spec.removeprefix(RESOURCE) for spec in specs if spec.startswith(RESOURCE))


def meaning_of(recipe: Recipe, input_key: str, provider: str, present: Container[str]) -> Meaning:
    """The rule for counts whose input came from `input_key`, on a span with the attributes `present`.

    Where none applies, totals include their parts.
    """
    for rule in recipe.meaning:
        if rule.input_keys and input_key not in rule.input_keys:
            continue
        if rule.providers and provider not in rule.providers:
            continue
        if any(key in present for key in rule.absent):
            continue
        return rule
    return _INCLUSIVE


_INCLUSIVE = Meaning()


def _is_of(family: Family, scope: str, present: frozenset[str]) -> bool:
    return scope.startswith(family.recognise.scopes) or not present.isdisjoint(family.recognise.keys)


def _stays(spec: str) -> bool:
    """Whether a content key is no single attribute: an event (`event:NAME#attribute`) or a prefix (`a.b.*`)."""
    return spec.startswith(EVENT) or spec.endswith(".*")


def _places(lists: Iterable[Mapping[str, tuple[str, ...]]], present: frozenset[str]) -> Places:
    found: dict[str, dict[str, Source]] = {}
    for keys in lists:
        for name, specs in keys.items():
            for place in map(source, specs):
                if not place.attribute or place.attribute in present:
                    found.setdefault(name, {}).setdefault(place.spec, place)
    return tuple((name, tuple(places.values())) for name, places in found.items())
