"""What a request says of its spans, typed, whatever their order: to hold an export against what was sent."""

from typing import Any

Typed = dict[str, Any]


def spans_of(request: Any) -> dict[tuple[str, str], Typed]:
    """Every span by its ids, with its resource and scope."""
    return {
        (span.trace_id.hex(), span.span_id.hex()): _span(resource, scope, span)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _span(resource: Any, scope: Any, span: Any) -> Typed:
    return {
        "resource": (_attributes(resource.resource.attributes), resource.resource.dropped_attributes_count),
        "scope": (
            scope.scope.name,
            scope.scope.version,
            _attributes(scope.scope.attributes),
            scope.scope.dropped_attributes_count,
        ),
        "schemas": (resource.schema_url, scope.schema_url),
        "attributes": _attributes(span.attributes),
        "events": [_with_attributes(event) for event in span.events],
        "links": [_with_attributes(link) for link in span.links],
        "status": (span.status.code, span.status.message),
        "rest": _without(span, "attributes", "events", "links", "status"),
    }


def _with_attributes(item: Any) -> tuple[Typed, str]:
    return _attributes(item.attributes), _without(item, "attributes")


def _attributes(items: Any) -> Typed:
    return {pair.key: _value(pair.value) for pair in items}


def _value(value: Any) -> Any:
    """An AnyValue with its type at every level; of a list the last of equal keys counts."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return kind, [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return kind, {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    return kind, repr(getattr(value, kind)) if kind else None


def _without(message: Any, *names: str) -> str:
    copy = type(message)()
    copy.CopyFrom(message)
    for name in names:
        copy.ClearField(name)
    return str(copy)
