"""However a run's spans are split, ordered and repeated, and whatever was forgotten, the stored verdicts end the same."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrich import RecentTraces
from collector.enrich.billed import traces
from collector.enrich.billed.rules import Report
from collector.enrich.billed.schema import ends
from collector.enrich.billed.traces import SeenSpan
from collector.model.keys import SpanKey
from tests.support.seen import batch, billed_keys, key, seen, span_id, trace

_TRACES = (trace("t1"), trace("t2"))
_INT64 = 2**63 - 1

# The Python one, and the native one where it was compiled.
KINDS: list[type[Any]] = list(dict.fromkeys([traces.RecentTraces, RecentTraces]))
both = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__module__)


class Stored:
    """What the table would say: the verdict of every usage report, by the writes the drain makes."""

    def __init__(self, kind: type[Any], max_spans: int = 10_000) -> None:
        self._kind = kind
        self._max_spans = max_spans
        self.traces = kind(max_spans)
        self.spans: dict[SpanKey, SeenSpan] = {}
        self.billed: dict[SpanKey, bool] = {}

    def deliver(self, spans: list[SeenSpan], *, fail_first: bool = False) -> None:
        rows = batch(spans)
        unknown = set(self.traces.forgotten(rows))
        self.traces.load(batch((one for place, one in self.spans.items() if place[0] in unknown), self.billed))
        if fail_first:
            self.traces.absorb(rows)  # the insert failed: nothing is confirmed, and the batch comes again
        judgement = self.traces.absorb(rows)
        billed = billed_keys(rows, judgement)
        for one in spans:
            place = (one.trace, one.span_id)
            self.spans[place] = one
            if one.report:
                self.billed[place] = place in billed
        for place, verdict in judgement.revise.items():
            assert place in self.billed, "only stored rows are revised"
            self.billed[place] = verdict
        self.traces.confirm(rows, judgement)

    def restart(self) -> None:
        self.traces = self._kind(self._max_spans)
        self.traces.remember(*zip(*(place for place, _ in self.spans), strict=True))


def span(
    in_trace: int, number: int, parent: int, tokens: tuple[int, int] | None, call: bool, response: str
) -> SeenSpan:
    own_id, parent_id = span_id(str(number)), "" if parent == number else span_id(str(parent))
    report = None
    if tokens:
        report = Report(
            own_id, call, *tokens, response_id=response, scope=f"s{number % 2}", start=number, end=20 - number,
            root=not parent_id,
        )  # fmt: skip
    return SeenSpan(_TRACES[in_trace], own_id, parent_id, "service", report)


_SPANS = st.lists(
    st.builds(
        span,
        st.integers(0, 1),
        st.integers(0, 7),
        st.integers(0, 7),
        st.none() | st.tuples(st.integers(1, 2), st.integers(1, 1)),
        st.sampled_from([True, True, False]),
        st.sampled_from(["", "", "r1"]),
    ),
    max_size=10,
    unique_by=lambda made: (made.trace, made.span_id),
)


@both
@settings(deadline=None)
@given(spans=_SPANS, data=st.data())
def test_any_split_order_and_repetition_ends_with_the_same_verdicts(
    kind: type[Any], spans: list[SeenSpan], data: Any
) -> None:
    whole = Stored(kind)
    whole.deliver(spans)
    again = data.draw(st.lists(st.sampled_from(spans), max_size=4)) if spans else []
    order = data.draw(st.permutations([*spans, *again]))
    parts = Stored(kind)
    while order:
        size = data.draw(st.integers(1, len(order)))
        parts.deliver(order[:size], fail_first=data.draw(st.booleans()))
        order = order[size:]
    assert parts.billed == whole.billed


def _one_trace(made: SeenSpan) -> SeenSpan:
    return SeenSpan(_TRACES[0], made.span_id, made.parent_id, made.service, made.report)


@both
@settings(deadline=None)
@given(spans=_SPANS, data=st.data())
def test_a_restart_between_batches_changes_nothing_within_a_trace(
    kind: type[Any], spans: list[SeenSpan], data: Any
) -> None:
    one = list({made.span_id: _one_trace(made) for made in spans}.values())
    whole = Stored(kind)
    whole.deliver(one)
    parts = Stored(kind)
    for made in data.draw(st.permutations(one)):
        parts.deliver([made])
        if data.draw(st.booleans()):
            parts.restart()
    assert parts.billed == whole.billed


@both
def test_memory_is_bounded_and_forgotten_traces_are_loaded_again(kind: type[Any]) -> None:
    table = Stored(kind, max_spans=4)
    table.deliver([seen("run", "c", "a", (True, 10, 1))])
    for number in range(20):
        table.deliver([seen(f"other{number}", "x")])
    assert table.traces.forgotten(batch([seen("run", "b"), seen("run", "c"), seen("new", "c")])) == [trace("run")]
    table.deliver([seen("run", "a", "", (False, 10, 1))])
    assert table.billed == {key("run", "c"): True, key("run", "a"): False}


@both
def test_an_agent_that_arrives_first_is_revised_once_its_call_arrives(kind: type[Any]) -> None:
    traces = kind(100)
    agent = batch([seen("t", "a", "", (False, 10, 1))])
    first = traces.absorb(agent)
    assert first.billed.tolist() == [True]
    traces.confirm(agent, first)
    second = traces.absorb(batch([seen("t", "c", "a", (True, 10, 1))]))
    assert second.billed.tolist() == [True]
    assert second.revise == {key("t", "a"): False}


@both
def test_of_a_span_that_is_in_a_batch_twice_the_last_row_counts(kind: type[Any]) -> None:
    spans = [
        seen("t", "a", "", (False, 10, 1)),
        seen("t", "c", "a", (False, 10, 1)),
        seen("t", "c", "a", (True, 10, 1)),
    ]
    assert kind(100).absorb(batch(spans)).billed.tolist() == [False, True, True]
    assert kind(100).absorb(batch(spans[:2])).billed.tolist() == [False, True]


@both
def test_a_double_in_another_trace_keeps_its_verdict_after_a_restart(kind: type[Any]) -> None:
    call = seen("run", "a", "r", (True, 1011, 101), scope="chain", start=0, end=100, detail=2)
    lost = seen("lost", "b", "", (True, 1011, 101), scope="sdk", start=10, end=90, detail=2)
    table = Stored(kind)
    table.deliver([call, lost])
    expected = {key("run", "a"): True, key("lost", "b"): False}
    assert table.billed == expected
    table.restart()
    table.deliver([seen("lost", "late", "b")])
    table.deliver([lost])
    assert table.billed == expected
    table.restart()
    table.deliver([lost, call])
    assert table.billed == expected


@given(starts=st.lists(st.integers(-(2**63), _INT64)), data=st.data())
def test_an_end_beyond_what_a_timestamp_can_say_is_the_last_one(starts: list[int], data: Any) -> None:
    durations = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(starts), max_size=len(starts)))
    made = ends(pa.array(starts, pa.int64()), pa.array(durations, pa.uint64())).to_pylist()
    assert made == [min(start + duration, _INT64) for start, duration in zip(starts, durations, strict=True)]
