"""The tree of a run survives any parents."""

from hypothesis import given
from hypothesis import strategies as st

from collector.runs import Span, Tree

IDS = st.sampled_from([*"abcdefgh", ""])
PARENTS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(IDS, st.integers(0, 5)))


def tree(**parents: str) -> Tree:
    """Spans that start one after another."""
    return Tree(Span(span_id, parent, start=start, end=100) for start, (span_id, parent) in enumerate(parents.items()))


def test_depth_follows_parents() -> None:
    found = tree(a="", b="a", c="b", d="a")
    assert [(depth, span.span_id) for depth, span in found.walk()] == [(0, "a"), (1, "b"), (2, "c"), (1, "d")]
    assert found.depth("c") == 2
    assert [span.span_id for span in found.ancestors("c")] == ["b", "a"]


def test_orphans_are_roots() -> None:
    found = tree(a="", b="gone", c="b")
    assert [span.span_id for span in found.roots] == ["a", "b"]
    assert found.parent("b") is None


def test_the_earliest_of_a_cycle_is_its_root() -> None:
    found = tree(a="a", b="d", c="b", d="c", e="d")
    assert [span.span_id for span in found.roots] == ["a", "b"]
    assert [span.span_id for span in found.ancestors("e")] == ["d", "c", "b"]


def test_children_are_in_order_of_time_and_the_longer_first() -> None:
    spans = [
        Span("r"),
        Span("late", "r", start=9),
        Span("short", "r", start=1, end=2),
        Span("long", "r", start=1, end=8),
    ]
    assert [span.span_id for span in Tree(spans).children("r")] == ["long", "short", "late"]


def test_a_deep_run_needs_no_recursion() -> None:
    spans = [Span(str(depth), str(depth - 1) if depth else "", start=depth) for depth in range(20_000)]
    assert Tree(spans).depth("19999") == 19_999


@given(PARENTS)
def test_every_span_is_in_the_tree_once(parents: dict[str, tuple[str, int]]) -> None:
    spans = [Span(span_id, parent, start=start) for span_id, (parent, start) in parents.items()]
    found = Tree(spans)
    assert sorted(span.span_id for _, span in found.walk()) == sorted(parents)
    for span in spans:
        assert found.depth(span.span_id) == len(list(found.ancestors(span.span_id)))
