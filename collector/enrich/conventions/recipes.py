"""What to read from spans of one shape, worked out once.

A shape is a scope name and the attributes present that any convention knows. Programs send few shapes and many
spans, so recognising families, merging their lists and dropping absent keys happens once a shape; a span then costs
one set intersection and the reads that can succeed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collector.enrich.conventions.families import Family, Meaning
from collector.enrich.conventions.kinds import NO_CALL_KEYS, OPERATION, OTHER_WORK, SHAPE_KEYS, KindTable, kind_table
from collector.enrich.conventions.parts import MODALITIES
from collector.enrich.conventions.values import EVENT, RESOURCE, Source, source

# The buckets of tokens that an input or an output includes or does not.
CACHE_BUCKETS = ("cache_read", "cache_write", "cache_write_5m", "cache_write_1h")
PART_BUCKETS = (*CACHE_BUCKETS, "reasoning")

_VERSION = re.compile(r"\d{1,9}(\.\d{1,9})*")

Places = tuple[tuple[str, tuple[Source, ...]], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """For one shape: the places of each fact that are present, most believed first.

    `foreign` marks spans of no family without a known attribute but those of web servers and databases: only events and
    the resource can say something of them.
    """

    family: str
    foreign: bool
    kinds: KindTable
    fields: Mapping[str, tuple[Source, ...]]
    content: Mapping[str, tuple[str, ...]]
    usage: Places
    aggregate: Places
    details: Places
    tiers: Places
    meaning: tuple[Meaning, ...]


def known_keys(families: Iterable[Family]) -> frozenset[str]:
    """Every attribute name that any of the families looks at."""
    keys: set[str] = {OPERATION, *SHAPE_KEYS}
    for family in families:
        keys.update(family.recognise.keys)
        keys.update(rule.key for rule in family.kinds)
        for meaning in family.meaning:
            keys.update(meaning.absent)
        for lists in family.lists:
            keys.update(source(spec).attribute for specs in lists.values() for spec in specs)
        keys.update(spec for specs in family.content.values() for spec in specs if not _stays(spec))
    return frozenset(keys - {""})


def recipe(families: tuple[Family, ...], scope: str, present: frozenset[str]) -> Recipe:
    """The recipe of a shape: of `families` (most believed first) those that are recognised or always consulted."""
    recognised = [family for family in families if _is_of(family, scope, present)]
    consulted = tuple(family for family in families if family.always or family in recognised)
    reporting = consulted if present.isdisjoint(OTHER_WORK) else ()
    named = next((family.family for family in recognised if family.family != "spanmeter"), "")
    foreign = present <= _FOREIGN and not recognised
    fields = _places((family.fields for family in consulted), present)
    content: dict[str, list[str]] = {}
    for family in consulted:
        for name, specs in family.content.items():
            content.setdefault(name, []).extend(
                spec for spec in specs if spec in present or (spec.startswith(EVENT) if foreign else _stays(spec))
            )
    # What libraries count in words of their own comes before what a provider's usage object says beside them.
    words, objects = [family.usage for family in reporting], [family.object_counts for family in reporting]
    usage = _places((*words, *objects), present)
    details = _places((family.details for family in consulted), present)
    aggregate = _places((family.aggregate for family in reporting), present)
    return Recipe(
        family=named,
        foreign=foreign,
        kinds=kind_table(consulted, present),
        fields=dict(fields),
        content={name: tuple(dict.fromkeys(specs)) for name, specs in content.items() if specs},
        usage=usage,
        aggregate=aggregate,
        details=details,
        tiers=_places((family.tiers for family in consulted), present),
        meaning=_meanings(consulted, scope, present, (*usage, *aggregate), details),
    )


def resource_keys(families: Iterable[Family]) -> frozenset[str]:
    """Every resource attribute that any of the families looks at."""
    specs = (spec for family in families for keys in family.fields.values() for spec in keys)
    return frozenset(spec.removeprefix(RESOURCE) for spec in specs if spec.startswith(RESOURCE))


class Origin(NamedTuple):
    """Where the counts of a span came from, as the conditions of `Meaning` ask for it.

    `api` is the provider as sent, `version` that of the scope; `keys` has the key of each bucket.
    """

    provider: str
    api: str
    model: str
    version: str
    keys: Mapping[str, str]

    @property
    def part_keys(self) -> set[str]:
        """The keys of the counts of cached and reasoning tokens."""
        return {self.keys[bucket] for bucket in PART_BUCKETS if bucket in self.keys}


def meaning_of(recipe: Recipe, origin: Origin) -> Meaning:
    """The rule for counts of this origin. Where none applies, totals include their parts."""
    return next((rule for rule in recipe.meaning if _holds(rule, origin)), INCLUSIVE)


def _holds(rule: Meaning, origin: Origin) -> bool:
    return (
        (not rule.providers or origin.provider in rule.providers)
        and (not rule.input_keys or origin.keys.get("input") in rule.input_keys)
        and (not rule.part_keys or not origin.part_keys.isdisjoint(rule.part_keys))
        and (not rule.apis or re.fullmatch(rule.apis, origin.api.lower()) is not None)
        and (not rule.before or () < _numbers(origin.version) < _numbers(rule.before))
        and (not rule.models or re.fullmatch(rule.models, origin.model.lower()) is not None)
    )


INCLUSIVE = Meaning(source="what OpenTelemetry's conventions ask for: totals include their parts")


def _numbers(version: str) -> tuple[int, ...]:
    """`1.39.0rc1` as (1, 39, 0); nothing for what is no version."""
    found = _VERSION.match(version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


# Clients of every protocol send these: alone they say nothing of a model call.
_FOREIGN = NO_CALL_KEYS | {"server.address", "url.full"}


def _is_of(family: Family, scope: str, present: frozenset[str]) -> bool:
    return scope.startswith(family.recognise.scopes) or not present.isdisjoint(family.recognise.keys)


def _meanings(
    consulted: Iterable[Family], scope: str, present: frozenset[str], counts: Places, details: Places
) -> tuple[Meaning, ...]:
    """The rules that may hold for spans of a shape, without those at the end that change nothing of its counts."""
    keys = {place.spec for _, places in counts for place in places}
    buckets = {name for name, _ in (*counts, *details)}
    rules = [rule for family in consulted for rule in family.meaning if _may_hold(rule, scope, present, keys)]
    while rules and not _matters(rules[-1], buckets):
        rules.pop()
    return tuple(rules)


def _may_hold(rule: Meaning, scope: str, present: frozenset[str], keys: set[str]) -> bool:
    return (
        present.isdisjoint(rule.absent)
        and (not rule.scopes or scope.startswith(rule.scopes))
        and all(not wanted or not keys.isdisjoint(wanted) for wanted in (rule.input_keys, rule.part_keys))
    )


def _matters(rule: Meaning, buckets: set[str]) -> bool:
    return (
        (not rule.includes_modalities and not buckets.isdisjoint(MODALITIES))
        or (not rule.input_includes_tool_use and "tool_use" in buckets)
        or (not rule.input_includes_cache and not buckets.isdisjoint(CACHE_BUCKETS))
        or (not rule.output_includes_reasoning and "reasoning" in buckets)
        or (rule.output_is_complete and "total" in buckets)
    )


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
