"""Which spans a query means."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from collector.config.checks import SpanQuery, SpanQueryCheck
from collector.config.patterns import pattern
from collector.evals.finding import MAX_EVIDENCE, Finding, found
from collector.evals.subject import Subject
from collector.evals.values import equal, parsed
from collector.model.evaluations import cite
from collector.runs import Span, Tree

_NS: Final = 1_000_000_000


def check_span_query(check: SpanQueryCheck, subject: Subject) -> Finding:
    """Whether as many spans are meant as there have to be."""
    meant = [span for span in subject.spans if means(check.query, span, subject.tree)]
    most = check.count.max
    passes = len(meant) >= check.count.min and (most is None or len(meant) <= most)
    reason = f"{len(meant)} of {len(subject.spans)} spans are such; expected {wanted_count(check)}."
    return found(passes, reason, [cite(span.span_id, "SpanName", span.name) for span in meant[:MAX_EVIDENCE]])


def wanted_count(check: SpanQueryCheck) -> str:
    """How many spans there have to be, in words."""
    least, most = check.count.min, check.count.max
    return f"at least {least}" if most is None else f"{least} to {most}"


def means(query: SpanQuery, span: Span, tree: Tree) -> bool:
    """Whether all that a query has holds of a span."""
    return all(
        _holds(name, value, query, span, tree)
        for name in query.model_fields_set
        if (value := getattr(query, name)) is not None
    )


def _holds(name: str, value: Any, query: SpanQuery, span: Span, tree: Tree) -> bool:
    if name in _OWN:
        return _OWN[name](value, span)
    if name in _COMBINED:
        return _COMBINED[name](value, span, tree)
    if name == "stop_recursing_when":
        return True
    relation, quantity = _RELATIONS[name]
    return quantity(value, _related(relation, query, span, tree), tree)


def _status(value: str, span: Span) -> bool:
    return span.error == (value == "error")


def _attributes(wanted: dict[str, Any], span: Span) -> bool:
    """Attributes are stored as text: one that was sent as a number equals that number."""
    for key, value in wanted.items():
        text = span.value(key)
        if not text and not has_key(span, key):
            return False
        if text != value and not equal(parsed(text), value):
            return False
    return True


def has_key(span: Span, key: str) -> bool:
    """Whether a span has an attribute, wherever it is kept."""
    return key in (span.input_key, span.output_key) or key in span.attributes


_OWN: Final[dict[str, Callable[[Any, Span], bool]]] = {
    "name_equals": lambda value, span: span.name == value,
    "name_contains": lambda value, span: value in span.name,
    "name_matches_regex": lambda value, span: pattern(value).search(span.name) is not None,
    "kind": lambda value, span: span.kind == value,
    "operation": lambda value, span: span.operation == value,
    "tool": lambda value, span: span.tool_name == value,
    "agent": lambda value, span: span.agent_name == value,
    "model": lambda value, span: value in (span.request_model, span.response_model),
    "status": _status,
    "has_attributes": _attributes,
    "has_attribute_keys": lambda keys, span: all(has_key(span, key) for key in keys),
    "min_duration": lambda value, span: span.end - span.start >= value * _NS,
    "max_duration": lambda value, span: span.end - span.start <= value * _NS,
}
_COMBINED: Final[dict[str, Callable[[Any, Span, Tree], bool]]] = {
    "not_": lambda query, span, tree: not means(query, span, tree),
    "and_": lambda queries, span, tree: all(means(query, span, tree) for query in queries),
    "or_": lambda queries, span, tree: not queries or any(means(query, span, tree) for query in queries),
}


def _least(value: int, spans: Iterable[Span], _tree: Tree) -> bool:
    return sum(1 for _ in spans) >= value


def _most(value: int, spans: Iterable[Span], _tree: Tree) -> bool:
    return sum(1 for _ in spans) <= value


def _some(query: SpanQuery, spans: Iterable[Span], tree: Tree) -> bool:
    return any(means(query, span, tree) for span in spans)


def _all(query: SpanQuery, spans: Iterable[Span], tree: Tree) -> bool:
    return all(means(query, span, tree) for span in spans)


def _none(query: SpanQuery, spans: Iterable[Span], tree: Tree) -> bool:
    return not _some(query, spans, tree)


_Quantity = Callable[[Any, Iterable[Span], Tree], bool]
_RELATIONS: Final[dict[str, tuple[str, _Quantity]]] = {
    "min_child_count": ("child", _least),
    "max_child_count": ("child", _most),
    "some_child_has": ("child", _some),
    "all_children_have": ("child", _all),
    "no_child_has": ("child", _none),
    "min_descendant_count": ("descendant", _least),
    "max_descendant_count": ("descendant", _most),
    "some_descendant_has": ("descendant", _some),
    "all_descendants_have": ("descendant", _all),
    "no_descendant_has": ("descendant", _none),
    "min_depth": ("depth", _least),
    "max_depth": ("depth", _most),
    "some_ancestor_has": ("ancestor", _some),
    "all_ancestors_have": ("ancestor", _all),
    "no_ancestor_has": ("ancestor", _none),
}


def _related(relation: str, query: SpanQuery, span: Span, tree: Tree) -> Iterable[Span]:
    if relation == "child":
        return tree.children(span.span_id)
    if relation == "depth":
        return tree.ancestors(span.span_id)
    stop = query.stop_recursing_when
    return _descendants(span, tree, stop) if relation == "descendant" else _ancestors(span, tree, stop)


def _descendants(span: Span, tree: Tree, stop: SpanQuery | None) -> Iterator[Span]:
    """Those below a span; beyond one of which `stop` holds none."""
    waiting = list(tree.children(span.span_id))
    while waiting:
        below = waiting.pop()
        yield below
        if stop is None or not means(stop, below, tree):
            waiting.extend(tree.children(below.span_id))


def _ancestors(span: Span, tree: Tree, stop: SpanQuery | None) -> Iterator[Span]:
    for above in tree.ancestors(span.span_id):
        yield above
        if stop is not None and means(stop, above, tree):
            return
