"""What the other columns of a row do not say of OTLP, as one text of JSON: the column OtlpDetails.

Types of attributes that are no strings, by place and key; attributes dropped elsewhere than on the span; flags of
links. Rows of one shape have one text, so the table keeps it as a dictionary: what differs between spans of a shape
does not belong here. Absent members are as good as empty ones, and no text at all as an empty object.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from collector.decode import anyvalue

# Of attributes that are no strings, by key: see `anyvalue.type_name`.
Types = Mapping[str, str]


def details(
    resource: tuple[Any, Types], scope: tuple[Any, Types], span: Any, types: Types, events: Sequence[Types],
    links: Sequence[Types],
) -> str:  # fmt: skip
    """The text of one span, from the messages and the types of their attributes."""
    members = [
        _member("resource", resource[1]),
        _member("scope", scope[1]),
        _member("span", types),
        _types_of_each("events", span.events, events),
        _types_of_each("links", span.links, links),
        _dropped(resource[0], scope[0], span),
        _counts("link_flags", [link.flags for link in span.links]),
    ]
    return _object(members) if any(members) else ""


def _types_of_each(name: str, items: Sequence[Any], each: Sequence[Types]) -> str:
    """The types of several maps: together when each key has one type everywhere, else for each map."""
    together = {key: kind for types in each for key, kind in types.items()}
    if not together:
        return ""
    same = all(
        anyvalue.type_name(pair.value) == together[pair.key]
        for item in items
        for pair in item.attributes
        if pair.key in together
    )
    return _member(name, together) if same else f'"{name}":[{",".join(_text(tuple(types.items())) for types in each)}]'


def _member(name: str, types: Types) -> str:
    return f'"{name}":{_text(tuple(types.items()))}' if types else ""


@functools.lru_cache(4096)
def _text(types: tuple[tuple[str, str], ...]) -> str:
    return _object(f'{anyvalue.quoted(key)}:"{kind}"' for key, kind in sorted(types))


def _dropped(resource: Any, scope: Any, span: Any) -> str:
    members = [
        _counts("resource", [resource.dropped_attributes_count]),
        _counts("scope", [scope.dropped_attributes_count]),
        _counts("events", [event.dropped_attributes_count for event in span.events]),
        _counts("links", [link.dropped_attributes_count for link in span.links]),
    ]
    return f'"dropped":{_object(members)}' if any(members) else ""


def _counts(name: str, numbers: Sequence[int]) -> str:
    if not any(numbers):
        return ""
    same = len(set(numbers)) == 1
    return f'"{name}":{numbers[0]}' if same else f'"{name}":[{",".join(map(str, numbers))}]'


def _object(members: Iterable[str]) -> str:
    return "{" + ",".join(filter(None, members)) + "}"
