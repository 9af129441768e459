"""The column OtlpDetails in the tests' own words, as a document; of generated spans, whose keys may repeat."""

import json
from collections.abc import Iterable
from typing import Any

NAMES = {
    "string_value": "string",
    "bool_value": "bool",
    "int_value": "int",
    "double_value": "double",
    "bytes_value": "bytes",
}


def details_of(resource: Any, scope: Any, span: Any) -> str:
    counts = {
        "resource": [resource.resource.dropped_attributes_count],
        "scope": [scope.scope.dropped_attributes_count],
        "events": [event.dropped_attributes_count for event in span.events],
        "links": [link.dropped_attributes_count for link in span.links],
    }
    found = {
        "resource": typed(resource.resource.attributes),
        "scope": typed(scope.scope.attributes),
        "span": typed(span.attributes),
        "events": typed_lists([event.attributes for event in span.events]),
        "links": typed_lists([link.attributes for link in span.links]),
        "dropped": {name: short(numbers) for name, numbers in counts.items() if any(numbers)},
    }
    flags = [link.flags for link in span.links]
    found = {name: value for name, value in found.items() if value} | (
        {"link_flags": short(flags)} if any(flags) else {}
    )
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") if found else ""


def short(numbers: list[int]) -> Any:
    return numbers[0] if len(set(numbers)) == 1 else numbers


def typed(pairs: Iterable[Any]) -> dict[str, str]:
    found = {pair.key: name_of(pair.value) for pair in pairs if name_of(pair.value) != "string"}
    return dict(sorted(found.items()))


def typed_lists(lists: list[Any]) -> Any:
    each = [typed(pairs) for pairs in lists]
    names: dict[str, set[str]] = {}
    for pair in (pair for pairs in lists for pair in pairs):
        names.setdefault(pair.key, set()).add(name_of(pair.value))
    keys = {key for types in each for key in types}
    if all(len(names[key]) == 1 for key in keys):
        return {key: min(names[key]) for key in sorted(keys)}
    return each


def name_of(value: Any) -> str:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return f"[{members([name_of(item) for item in value.array_value.values])}]"
    if kind == "kvlist_value":
        last = {pair.key: name_of(pair.value) for pair in value.kvlist_value.values}
        return f"{{{members([last[key] for key in sorted(last)])}}}"
    return NAMES.get(kind or "", "none")


def members(names: list[str]) -> str:
    if all(name in {"string", "int", "bool", "none", "[]", "{}"} for name in names):
        return ""
    return names[0] if len(set(names)) == 1 else ",".join(names)
