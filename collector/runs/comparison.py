"""Two runs side by side: their spans aligned by name and order, level by level."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from collector.model.facts import Kind
from collector.runs.span import Span
from collector.runs.tree import Tree

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Pair:
    """A span of one run and the one at its place in the other; None where the other has none."""

    depth: int
    first: Span | None
    second: Span | None


def compared(first: Tree, second: Tree) -> Iterator[Pair]:
    """Every span of both, parents before their children. Spans without a partner are followed by those within them."""
    waiting = _aligned(first.roots, second.roots, 0)[::-1]
    while waiting:
        pair = waiting.pop()
        yield pair
        one = first.children(pair.first.span_id) if pair.first else ()
        other = second.children(pair.second.span_id) if pair.second else ()
        waiting.extend(_aligned(one, other, pair.depth + 1)[::-1])


def _aligned(first: Sequence[Span], second: Sequence[Span], depth: int) -> list[Pair]:
    """Siblings in order; of those that differ, spans of one kind stand beside each other."""
    keys = [_key(span) for span in first], [_key(span) for span in second]
    found: list[Pair] = []
    for same, begin, end, begin_b, end_b in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        if same == "equal":
            found += [Pair(depth, a, b) for a, b in zip(first[begin:end], second[begin_b:end_b], strict=True)]
        else:
            found += [Pair(depth, span, None) for span in first[begin:end]]
            found += [Pair(depth, None, span) for span in second[begin_b:end_b]]
    return found


def _key(span: Span) -> _Key:
    """Calls of one operation are alike whatever model answers: that is what runs are compared for."""
    if span.kind == Kind.LLM:
        return span.kind, span.operation or span.name
    return span.kind, span.tool_name or span.agent_name or span.name
