"""The spans of a run as a tree, whatever their parents are: missing, themselves, or each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from collector.model.facts import Kind
from collector.runs.span import Span, by_time

OWNERS = frozenset({Kind.AGENT.value, Kind.TOOL.value})


class Tree:
    """Every span is in it once. A span whose parent is not among the spans is a root; of a cycle its earliest span is.

    Children are in order of time (`by_time`).
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        ordered = sorted(spans, key=by_time)
        self.spans = {span.span_id: span for span in ordered}
        self._parents = _without_cycles({span.span_id: span.parent_id for span in ordered})
        children: dict[str, list[Span]] = defaultdict(list)
        for span in ordered:
            children[self._parents[span.span_id]].append(span)
        self._children = {parent: tuple(below) for parent, below in children.items()}
        self._depths: dict[str, int] = {}
        self._owners: dict[str, str] = {}
        for depth, span in self.walk():
            self._depths[span.span_id] = depth
            self._owners[span.span_id] = self._owner(self.parent(span.span_id))

    @property
    def roots(self) -> tuple[Span, ...]:
        return self._children.get("", ())

    def children(self, span_id: str) -> tuple[Span, ...]:
        return self._children.get(span_id, ()) if span_id else ()

    def parent(self, span_id: str) -> Span | None:
        return self.spans.get(self._parents.get(span_id, ""))

    def depth(self, span_id: str) -> int:
        """0 for a root."""
        return self._depths[span_id]

    def owner(self, span_id: str) -> str:
        """The id of the nearest agent or tool span above, empty where there is none."""
        return self._owners[span_id]

    def ancestors(self, span_id: str) -> Iterator[Span]:
        """From the parent up to the root."""
        above = self.parent(span_id)
        while above is not None:
            yield above
            above = self.parent(above.span_id)

    def walk(self, roots: Sequence[Span] | None = None) -> Iterator[tuple[int, Span]]:
        """Every span with its depth, parents before their children, children by time; `roots` as they stand."""
        waiting = [(0, span) for span in reversed(self.roots if roots is None else roots)]
        while waiting:
            depth, span = waiting.pop()
            yield depth, span
            waiting.extend([(depth + 1, child) for child in reversed(self.children(span.span_id))])

    def _owner(self, parent: Span | None) -> str:
        if parent is None:
            return ""
        return parent.span_id if parent.kind in OWNERS else self._owners[parent.span_id]


def _without_cycles(parents: dict[str, str]) -> dict[str, str]:
    """`parents` where the missing are empty and every chain ends. The keys are in order of time."""
    found = {span_id: parent if parent in parents else "" for span_id, parent in parents.items()}
    order = {span_id: position for position, span_id in enumerate(parents)}
    ending = {""}
    for span_id in parents:
        path: dict[str, None] = {}
        current = span_id
        while current not in ending and current not in path:
            path[current] = None
            current = found[current]
        if current in path:
            chain = list(path)
            found[min(chain[chain.index(current) :], key=order.__getitem__)] = ""
        ending.update(path)
    return found
