"""The critical path of a run: the spans that, had they been shorter, would have made the run shorter."""

from collector.runs.span import Span
from collector.runs.tree import Tree


def critical_path(tree: Tree) -> frozenset[str]:
    """The ids of its spans, below the root that lasted longest.

    From the end of a span back to its start: the child whose subtree ended last before that moment is on it, then the
    one that ended last before this one started, and so on. A span ends when all within it have: tools that a model call
    caused are often recorded as its children and run after it.
    """
    if not tree.roots:
        return frozenset()
    ends = _ends(tree)
    root = max(tree.roots, key=lambda span: (ends[span.span_id] - span.start, -span.start))
    found = {root.span_id}
    waiting: list[Span] = [root]
    while waiting:
        span = waiting.pop()
        until = ends[span.span_id]
        for child in sorted(tree.children(span.span_id), key=lambda one: ends[one.span_id], reverse=True):
            if child.start < ends[child.span_id] <= until:
                found.add(child.span_id)
                waiting.append(child)
                until = child.start
    return frozenset(found)


def _ends(tree: Tree) -> dict[str, int]:
    """When each span and all within it have ended."""
    found: dict[str, int] = {}
    for _, span in reversed(list(tree.walk())):
        found[span.span_id] = max([span.end, *(found[child.span_id] for child in tree.children(span.span_id))])
    return found
