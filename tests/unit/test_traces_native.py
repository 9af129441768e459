"""The native verdict and the Python one say the same of every history: splits, repeats, failures, forgetting, restarts."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrich.billed import traces
from collector.enrich.billed.names import Models, model_number
from collector.enrich.billed.rules import Report
from collector.enrich.billed.schema import HOUR_NS
from collector.enrich.billed.traces import SeenSpan
from collector.model.keys import SpanKey
from tests.support.seen import batch, billed_keys

_traces = pytest.importorskip("collector.enrich.billed._traces", exc_type=ImportError)


_NAMES = ("gpt-4o", "gpt-4o-2024-05-13", "gpt-4o-2024-08-06", "gpt-4o-mini", "prod-chat")
_MODELS = (0, 0, 0, 0, *map(model_number, _NAMES))


class Twins:
    """Both implementations on one table. What they answer is compared at every step."""

    def __init__(self, max_spans: int) -> None:
        self._max_spans = max_spans
        self.stored: dict[SpanKey, SeenSpan] = {}
        self.billed: dict[SpanKey, bool] = {}
        self.restart()

    def restart(self) -> None:
        self.both = traces.RecentTraces(self._max_spans, 1000), _traces.RecentTraces(self._max_spans, 1000)
        projects, trace_ids = [key[0] for key, _ in self.stored], [key[1] for key, _ in self.stored]
        newest = list(dict.fromkeys(key for key, _ in self.stored))[-5:]
        loaded = batch([one for key, one in self.stored.items() if key[0] in newest], self.billed)
        for each in self.both:
            each.remember(projects, trace_ids)
            each.load(loaded)

    def deliver(self, spans: Sequence[SeenSpan], failures: int = 0, *, gives_up: bool = False) -> None:
        """`failures`: how often the insert fails; `gives_up`: it never works, and other batches follow."""
        rows = batch(spans)
        forgotten = {key for each in self.both for key in each.forgotten(rows)}
        loaded = batch([one for key, one in self.stored.items() if key[0] in forgotten], self.billed)
        for each in self.both:
            each.load(loaded)
        for _ in range(failures + 1):
            python, native = (each.absorb(rows) for each in self.both)
            assert native.billed.tolist() == python.billed.tolist()
            assert dict(native.revise) == dict(python.revise)
            assert native.superseded.tolist() == python.superseded.tolist()
            assert native.moved == python.moved
            assert native.repeated == python.repeated
        if gives_up:
            return
        for each, judgement in zip(self.both, (python, native), strict=True):
            each.confirm(rows, judgement)
        billed = billed_keys(rows, python)
        for row in np.flatnonzero(~python.superseded).tolist():
            one = spans[row]
            self.stored[one.key] = _moved(one, python.moved.get(row, one.start))
            self.billed.pop(one.key, None)
            if one.report:
                self.billed[one.key] = one.key in billed
        self.billed.update(python.revise)


def _moved(span: SeenSpan, start: int) -> SeenSpan:
    """A row that starts at `start`, and takes as long."""
    report = span.report and replace(span.report, start=start, end=span.report.end + start - span.report.start)
    return replace(span, start=start, report=report)


def made(
    chance: random.Random,
    traces_: int,
    spans: int,
    *,
    times: int = 10,
    calls: float = 0.8,
    tokens: int = 2,
    ids: int = 4,
) -> SeenSpan:
    """Any span of few: ids, totals, responses, scopes and times meet often."""
    trace = (chance.choice("pq"), f"{chance.randrange(traces_):032x}")
    span_id = f"{chance.randrange(spans):016x}"
    parent = chance.choice(["", "", "A" * 16, "0a", *[f"{chance.randrange(spans):016x}"] * 8])
    report = None
    start = chance.choice([*[HOUR_NS // 2] * 6, 0, HOUR_NS, 2 * HOUR_NS]) + chance.randrange(times)
    if chance.random() < 0.8:
        report = Report(
            span_id,
            is_call=chance.random() < calls,
            input_tokens=chance.randrange(tokens),
            output_tokens=chance.choice([0, 1, 1]),
            detail=chance.randrange(2),
            response_id=chance.choice(
                ["", "", "", "r1", "an-id-of-a-response-1", f"response-id-{chance.randrange(ids):09}"]
            ),
            scope=chance.choice(["s1", "s1", "s2", "s3"]),
            start=start,
            end=start + chance.randrange(times),
            root=not parent or chance.random() < 0.3,
            models=Models(chance.choice(_MODELS), chance.choice(_MODELS)),
            provider=chance.choice([0, 0, 1, 2]),
        )
    return SeenSpan(
        trace,
        span_id,
        parent,
        chance.choice(["a", "a", "a", "b"]),
        report,
        start=start,
        version=chance.randrange(4),
    )


def _history(seed: int, max_spans: int, steps: int, most: int = 8, **shape: Any) -> None:
    chance = random.Random(seed)
    twins = Twins(max_spans)
    sent: list[SeenSpan] = []
    for _ in range(steps):
        spans = [made(chance, **shape) for _ in range(chance.randint(0, most))]
        spans += chance.choices(sent, k=chance.randrange(most // 3 + 1)) if sent else []
        chance.shuffle(spans)
        sent += spans
        twins.deliver(spans, chance.choice([0, 0, 0, 1, 2]), gives_up=chance.random() < 0.1)
        if chance.random() < 0.05:
            twins.restart()


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**40),
    max_spans=st.sampled_from([1, 3, 10, 10, 30, 1000]),
    traces_=st.sampled_from([1, 3, 10]),
    spans=st.sampled_from([3, 8, 40]),
    times=st.sampled_from([4, 30]),
)
def test_any_history_is_judged_the_same(seed: int, max_spans: int, traces_: int, spans: int, times: int) -> None:
    _history(seed, max_spans, 12, traces_=traces_, spans=spans, times=times)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("times", "max_spans"), [(20, 2000), (1000, 2000), (1000, 500)])
def test_crowded_buckets_are_judged_the_same(seed: int, times: int, max_spans: int) -> None:
    _history(seed, max_spans, 8, 500, traces_=400, spans=4, times=times, tokens=1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("times", [20, 1000])
def test_crowded_traces_are_judged_the_same(seed: int, times: int) -> None:
    _history(seed, 2000, 6, 300, traces_=2, spans=1000, times=times, tokens=1)
