"""However a run's spans are split, ordered and repeated, and whatever was forgotten, the stored verdicts end the same."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.enrich.traces import RecentTraces, SeenSpan, SpanKey
from collector.enrich.verdicts import Report

_TRACES = (("project", "t1"), ("project", "t2"))


class Stored:
    """What the table would say: the verdict of every usage report, by the writes the drain makes."""

    def __init__(self, max_spans: int = 10_000) -> None:
        self._max_spans = max_spans
        self.traces = RecentTraces(max_spans)
        self.spans: dict[SpanKey, SeenSpan] = {}
        self.billed: dict[SpanKey, bool] = {}

    def deliver(self, batch: list[SeenSpan], *, fail_first: bool = False) -> None:
        unknown = set(self.traces.forgotten(span.trace for span in batch))
        self.traces.load(
            SeenSpan(s.trace, s.span_id, s.parent_id, s.service, s.report, self.billed.get(key))
            for key, s in self.spans.items()
            if key[0] in unknown
        )
        if fail_first:
            self.traces.absorb(batch)  # the insert failed: nothing is confirmed, and the batch comes again
        judgement = self.traces.absorb(batch)
        for span in batch:
            key = (span.trace, span.span_id)
            self.spans[key] = span
            if span.report:
                self.billed[key] = key in judgement.billed
        for key, verdict in judgement.revise.items():
            assert key in self.billed, "only stored rows are revised"
            self.billed[key] = verdict
        self.traces.confirm(batch, judgement)

    def restart(self) -> None:
        self.traces = RecentTraces(self._max_spans)
        self.traces.remember(trace for trace, _ in self.spans)


def span(trace: int, number: int, parent: int, tokens: tuple[int, int] | None, kind: str, response: str) -> SeenSpan:
    span_id, parent_id = f"{number}", "" if parent == number else f"{parent}"
    report = None
    if tokens:
        report = Report(
            span_id, kind, *tokens, response_id=response, scope=f"s{number % 2}", start=number, end=20 - number,
            root=not parent_id,
        )  # fmt: skip
    return SeenSpan(_TRACES[trace], span_id, parent_id, "service", report)


_SPANS = st.lists(
    st.builds(
        span,
        st.integers(0, 1),
        st.integers(0, 7),
        st.integers(0, 7),
        st.none() | st.tuples(st.integers(1, 2), st.integers(1, 1)),
        st.sampled_from(["llm", "llm", "agent"]),
        st.sampled_from(["", "", "r1"]),
    ),
    max_size=10,
    unique_by=lambda made: (made.trace, made.span_id),
)


@given(spans=_SPANS, data=st.data())
def test_any_split_order_and_repetition_ends_with_the_same_verdicts(spans: list[SeenSpan], data: Any) -> None:
    whole = Stored()
    whole.deliver(spans)
    again = data.draw(st.lists(st.sampled_from(spans), max_size=4)) if spans else []
    order = data.draw(st.permutations([*spans, *again]))
    parts = Stored()
    while order:
        size = data.draw(st.integers(1, len(order)))
        parts.deliver(order[:size], fail_first=data.draw(st.booleans()))
        order = order[size:]
    assert parts.billed == whole.billed


def _one_trace(made: SeenSpan) -> SeenSpan:
    return SeenSpan(_TRACES[0], made.span_id, made.parent_id, made.service, made.report)


@given(spans=_SPANS, data=st.data())
def test_a_restart_between_batches_changes_nothing_within_a_trace(spans: list[SeenSpan], data: Any) -> None:
    one = list({made.span_id: _one_trace(made) for made in spans}.values())
    whole = Stored()
    whole.deliver(one)
    parts = Stored()
    for made in data.draw(st.permutations(one)):
        parts.deliver([made])
        if data.draw(st.booleans()):
            parts.restart()
    assert parts.billed == whole.billed


def test_memory_is_bounded_and_forgotten_traces_are_loaded_again() -> None:
    table = Stored(max_spans=4)
    call = Report("c", "llm", 10, 1)
    table.deliver([SeenSpan(("p", "run"), "c", "a", "service", call)])
    for number in range(20):
        table.deliver([SeenSpan(("p", f"other{number}"), "x", "", "service")])
    assert table.traces.forgotten([("p", "run")]) == [("p", "run")]
    table.deliver([SeenSpan(("p", "run"), "a", "", "service", Report("a", "agent", 10, 1))])
    assert table.billed == {(("p", "run"), "c"): True, (("p", "run"), "a"): False}


def test_an_agent_that_arrives_first_is_revised_once_its_call_arrives() -> None:
    traces = RecentTraces(100)
    agent = SeenSpan(("p", "t"), "a", "", "service", Report("a", "agent", 10, 1))
    first = traces.absorb([agent])
    assert first.billed == {(("p", "t"), "a")}
    traces.confirm([agent], first)
    second = traces.absorb([SeenSpan(("p", "t"), "c", "a", "service", Report("c", "llm", 10, 1))])
    assert second.billed == {(("p", "t"), "c")}
    assert second.revise == {(("p", "t"), "a"): False}


def test_a_double_in_another_trace_keeps_its_verdict_after_a_restart() -> None:
    outer = Report("a", "llm", 1011, 101, scope="chain", start=0, end=100, detail=2)
    inner = Report("b", "llm", 1011, 101, scope="sdk", start=10, end=90, detail=2, root=True)
    call = SeenSpan(("p", "run"), "a", "r", "service", outer)
    lost = SeenSpan(("p", "lost"), "b", "", "service", inner)
    table = Stored()
    table.deliver([call, lost])
    expected = {(("p", "run"), "a"): True, (("p", "lost"), "b"): False}
    assert table.billed == expected
    table.restart()
    table.deliver([SeenSpan(("p", "lost"), "late", "b", "service")])
    table.deliver([lost])
    assert table.billed == expected
    table.restart()
    table.deliver([lost, call])
    assert table.billed == expected
