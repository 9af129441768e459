"""What is content by the conventions, and which facts are read from within it."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path as FilePath

from collector.enrich.conventions.families import Family, Part, load_model
from collector.enrich.conventions.values import EVENT, source
from collector.model.content import ContentRules, Path


class ContentNames(Part):
    """`schema/content.yaml`."""

    attributes: tuple[str, ...]
    events: tuple[str, ...]
    log_attributes: tuple[str, ...]
    kept: tuple[str, ...]
    longest: int


def content_rules(families: Iterable[Family], schema: FilePath) -> ContentRules:
    """The rules of `families` and of `schema/content.yaml`. Raises ConfigError."""
    names: ContentNames = load_model(ContentNames, schema / "content.yaml")
    families = tuple(families)
    specs = {spec for family in families for keys in family.content.values() for spec in keys}
    attributes = {*names.attributes, *(spec for spec in specs if not spec.startswith(EVENT))}
    events = {spec.removeprefix(EVENT).partition("#") for spec in specs if spec.startswith(EVENT)}
    kept, facts = facts_of(_specs(families))
    return ContentRules(
        attributes=frozenset(attributes | {attribute for _, _, attribute in events if _is_full(attribute)}),
        events=frozenset({*names.events, *(name for name, _, _ in events)}),
        log_attributes=frozenset({*attributes, *names.log_attributes}),
        kept=frozenset(kept - attributes),
        kept_names=names.kept,
        facts=facts,
        longest=names.longest,
    )


def _is_full(attribute: str) -> bool:
    """Whether an attribute of an event is content in any other place too: `content` may mean anything elsewhere."""
    return "." in attribute


def facts_of(specs: Iterable[str]) -> tuple[set[str], dict[str, tuple[Path, ...]]]:
    """The attributes that are facts, and those whose JSON has some with the paths to them."""
    whole: set[str] = set()
    paths: dict[str, set[Path]] = defaultdict(set)
    for place in map(source, specs):
        attribute, path = (place.path[0], place.path[1:]) if place.event else (place.attribute, place.path)
        if path:
            paths[attribute].add(path)
        elif attribute:
            whole.add(attribute)
    return whole, {attribute: _shortest(found) for attribute, found in paths.items()}


def _specs(families: Iterable[Family]) -> Iterable[str]:
    for family in families:
        for keys in (family.fields, family.usage, family.aggregate, family.details, family.tiers, family.usage_objects):
            for specs in keys.values():
                yield from specs


def _shortest(paths: set[Path]) -> tuple[Path, ...]:
    """Without those that lead into what another leads to."""
    return tuple(sorted(path for path in paths if not any(path[:end] in paths for end in range(1, len(path)))))
