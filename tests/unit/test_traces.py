"""However a run's spans are split, ordered and repeated, and whatever was forgotten, the stored verdicts end the same."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.enrich import RecentTraces
from collector.enrich.billed import traces
from collector.enrich.billed.names import Models, model_number
from collector.enrich.billed.rules import Report
from collector.enrich.billed.schema import HOUR_NS, ends
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
        for row in np.flatnonzero(~judgement.superseded).tolist():
            one = spans[row]
            self.spans[one.key] = dataclasses.replace(one, start=judgement.moved.get(row, one.start))
            self.billed.pop(one.key, None)
            if one.report:
                self.billed[one.key] = one.key in billed
        for place, verdict in judgement.revise.items():
            assert place in self.billed, "only stored rows are revised"
            self.billed[place] = verdict
        self.traces.confirm(rows, judgement)

    def restart(self) -> None:
        self.traces = self._kind(self._max_spans)
        self.traces.remember(*zip(*(place for place, _ in self.spans), strict=True))


def span(
    in_trace: int,
    number: int,
    parent: int,
    tokens: tuple[int, int] | None,
    call: bool,
    response: str,
    model: str = "",
    version: int = 0,
) -> SeenSpan:
    own_id, parent_id = span_id(str(number)), "" if parent == number else span_id(str(parent))
    report = None
    if tokens:
        report = Report(
            own_id, call, *tokens, response_id=response, scope=f"s{number % 2}", start=number, end=20 - number,
            root=not parent_id, models=Models(model_number(model)),
        )  # fmt: skip
    return SeenSpan(_TRACES[in_trace], own_id, parent_id, "service", report, start=number, version=version)


_SPAN = st.builds(
    span,
    st.integers(0, 1),
    st.integers(0, 7),
    st.integers(0, 7),
    st.none() | st.tuples(st.integers(1, 2), st.integers(1, 1)),
    st.sampled_from([True, True, False]),
    st.sampled_from(["", "", "r1", "an-id-of-a-response-1"]),
    st.sampled_from(["", "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini"]),
    st.integers(0, 3),
)
_SPANS = st.lists(_SPAN, max_size=10, unique_by=lambda made: made.key)
_SNAPSHOTS = st.lists(_SPAN, max_size=12, unique_by=lambda made: (made.key, made.version))


@both
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


@both
@given(snapshots=_SNAPSHOTS, data=st.data())
def test_of_the_snapshots_of_a_span_that_of_the_greatest_version_counts_whatever_comes_last(
    kind: type[Any], snapshots: list[SeenSpan], data: Any
) -> None:
    whole = Stored(kind)
    whole.deliver(list({made.key: made for made in sorted(snapshots, key=lambda made: made.version)}.values()))
    parts = Stored(kind)
    order = data.draw(st.permutations(snapshots))
    while order:
        size = data.draw(st.integers(1, len(order)))
        parts.deliver(order[:size], fail_first=data.draw(st.booleans()))
        order = order[size:]
    assert parts.spans == whole.spans
    assert parts.billed == whole.billed


@both
def test_a_row_that_starts_in_another_hour_is_moved_into_that_of_the_first(kind: type[Any]) -> None:
    noon = 12 * HOUR_NS
    first = seen("t", "a")
    table = Stored(kind)
    table.deliver([dataclasses.replace(first, start=noon - 1, version=1)])
    for late, (start, version, nearest) in enumerate(
        [(noon, 3, noon - 1), (0, 4, noon - HOUR_NS), (noon - 2, 5, noon - 2)]
    ):
        if late == 2:
            table.restart()
        table.deliver([dataclasses.replace(first, start=start, version=version)])
        assert table.spans[first.key].start == nearest
    both_at_once = [
        dataclasses.replace(first, start=start, version=start) for start in (noon, noon + 1, noon + HOUR_NS)
    ]
    decided = kind(100).absorb(batch(both_at_once))
    assert decided.superseded.tolist() == [True, True, False]
    assert decided.moved == {2: noon + HOUR_NS - 1}


@both
def test_a_span_that_ends_without_usage_reports_none_any_more(kind: type[Any]) -> None:
    table = Stored(kind)
    table.deliver([seen("t", "a", "", (False, 10, 1))])
    table.deliver([dataclasses.replace(seen("t", "c", "a", (True, 10, 1)), version=1)])
    assert table.billed == {key("t", "a"): False, key("t", "c"): True}
    table.deliver([dataclasses.replace(seen("t", "c", "a"), version=2)])
    assert table.billed == {key("t", "a"): True}


def _one_trace(made: SeenSpan) -> SeenSpan:
    return dataclasses.replace(made, trace=_TRACES[0])


@both
@given(spans=_SNAPSHOTS, data=st.data())
def test_a_restart_between_batches_changes_nothing_within_a_trace(
    kind: type[Any], spans: list[SeenSpan], data: Any
) -> None:
    one = list({(made.span_id, made.version): _one_trace(made) for made in spans}.values())
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


@both
def test_a_response_in_two_traces_is_billed_once_in_any_order(kind: type[Any]) -> None:
    more = {"response_id": "msg_01XFDUDYJgAACzvnptvVoYEL"}
    first = seen("one", "a", "", (True, 1000, 105), scope="chain", start=0, end=100, **more)
    second = seen("two", "b", "", (True, 1000, 106), scope="sdk", start=10, end=90, **more)
    third = seen("three", "c", "", (True, 1000, 106), scope="gateway", start=20, end=80, **more)
    whole = Stored(kind)
    whole.deliver([first, second, third])
    assert sorted(whole.billed.values()) == [False, False, True]
    for order in itertools.permutations([first, second, third]):
        table = Stored(kind)
        for span in order:
            table.deliver([span])
        assert table.billed == whole.billed


@both
@pytest.mark.parametrize("response_id", ["msg_01XFDUDYJgAACzvnptvVoYEL", ""])
def test_a_call_in_two_traces_stays_in_its_run_though_the_other_report_tells_more(
    kind: type[Any], response_id: str
) -> None:
    run = [seen("run", "r"), seen("run", "a", "r", (True, 1000, 105), scope="chain", end=100, response_id=response_id)]
    lost = [seen("lost", "b", "", (True, 1000, 105), scope="sdk", start=10, end=90, detail=2, response_id=response_id)]
    for first, second in itertools.permutations([run, lost]):
        table = Stored(kind)
        table.deliver(first)
        table.deliver(second)
        assert table.billed == {key("run", "a"): True, key("lost", "b"): False}
        table.restart()
        table.deliver([*first, *second])
        assert table.billed == {key("run", "a"): True, key("lost", "b"): False}


@both
def test_a_row_stored_by_another_rule_is_mended_once_both_reports_are_loaded(kind: type[Any]) -> None:
    more = {"response_id": "msg_01XFDUDYJgAACzvnptvVoYEL", "end": 100}
    run, lost = seen("run", "a", "r", (True, 1000, 105), **more), seen("lost", "b", "", (True, 1000, 105), **more)
    table = Stored(kind)
    table.traces.load(batch([run, lost], {run.key: False, lost.key: True}))
    table.spans, table.billed = {run.key: run, lost.key: lost}, {run.key: False, lost.key: True}
    table.deliver([seen("other", "x")])
    assert table.billed == {run.key: True, lost.key: False}


@both
def test_doubles_of_a_forgotten_call_are_no_doubles_of_each_other(kind: type[Any]) -> None:
    more = {"scope": "sdk", "response_id": "msg_01XFDUDYJgAACzvnptvVoYEL"}
    by_totals = seen("one", "a", "r", (True, 10, 1), scope="chain", end=100)
    billed = seen("two", "b", "", (True, 10, 1), start=1, end=90, detail=1, **more)
    by_id = seen("three", "c", "", (True, 10, 1), start=2, end=80, **more)
    table = Stored(kind, max_spans=2)
    table.deliver([by_totals])
    table.deliver([billed])
    table.deliver([by_id, seen("three", "d")])
    before = dict(table.billed)
    table.deliver([by_id, seen("one", "x")])
    assert table.billed == before


@both
def test_a_decision_after_a_forgotten_double_is_back_is_repeated(kind: type[Any]) -> None:
    more = {"response_id": "msg_01XFDUDYJgAACzvnptvVoYEL"}
    for names in itertools.permutations(["one", "two", "three"]):
        once, twice = Stored(kind, max_spans=1), Stored(kind, max_spans=1)
        for table in (once, twice):
            for name in names:
                table.deliver([seen(name, "a", "", (True, 10, 1), **more), seen(name, "b")])
            table.deliver([seen(names[0], "c"), seen(names[2], "c")], fail_first=table is twice)
        assert once.billed == twice.billed


@both
def test_a_response_in_two_traces_stays_billed_once_when_one_is_forgotten(kind: type[Any]) -> None:
    more = {"response_id": "msg_01XFDUDYJgAACzvnptvVoYEL"}
    first = seen("one", "a", "", (True, 1000, 105), scope="chain", start=0, end=100, **more)
    second = seen("two", "b", "", (True, 1000, 106), scope="sdk", start=10, end=90, **more)
    third = seen("three", "c", "", (True, 1000, 106), scope="gateway", start=20, end=80, **more)
    table = Stored(kind, max_spans=3)
    table.deliver([first, second])
    expected = dict(table.billed)
    standing = next(span for span in (first, second) if table.billed[span.trace, span.span_id])
    double = second if standing is first else first
    table.deliver([double])
    table.deliver([seen("other1", "x"), seen("other2", "x")])
    table.deliver([third])
    assert table.billed == {**expected, (third.trace, third.span_id): False}
    table.deliver([seen(f"other{number}", "x") for number in range(9)])
    table.deliver([standing])
    assert sum(table.billed.values()) == 1


@given(starts=st.lists(st.integers(-(2**63), _INT64)), data=st.data())
def test_an_end_beyond_what_a_timestamp_can_say_is_the_last_one(starts: list[int], data: Any) -> None:
    durations = data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=len(starts), max_size=len(starts)))
    made = ends(pa.array(starts, pa.int64()), pa.array(durations, pa.uint64())).to_pylist()
    assert made == [min(start + duration, _INT64) for start, duration in zip(starts, durations, strict=True)]
