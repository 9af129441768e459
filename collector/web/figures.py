"""Figures side by side: of two runs, or of the runs of two windows, and whether the second is better."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from collector.model.facts import Kind
from collector.model.money import usd
from collector.query.run_rows import Kpis
from collector.runs.waterfall import Waterfall

_SIX = Decimal("0.000001")


class Unit(StrEnum):
    """What a figure counts."""

    USD = "usd"
    NANOSECONDS = "nanoseconds"
    COUNT = "count"
    FRACTION = "fraction"


class Verdict(StrEnum):
    """What the second value is, beside the first."""

    BETTER = "better"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of both. A value is None where nothing is known: a cost of calls without a price."""

    name: str
    unit: Unit
    first: Decimal | None
    second: Decimal | None
    more_is_better: bool = False

    @property
    def difference(self) -> Decimal | None:
        """The second less the first."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def verdict(self) -> Verdict | None:
        """None where both are the same, or one is not known."""
        if not self.difference:
            return None
        return Verdict.BETTER if (self.difference > 0) is self.more_is_better else Verdict.WORSE


def of_runs(first: Waterfall, second: Waterfall) -> list[Figure]:
    """What two runs cost, took and did."""

    def figure(name: str, read: Callable[[Waterfall], int], unit: Unit = Unit.COUNT) -> Figure:
        return Figure(name, unit, Decimal(read(first)), Decimal(read(second)))

    return [
        Figure("cost", Unit.USD, first.cost, second.cost),
        figure("duration", lambda run: run.end - run.start, Unit.NANOSECONDS),
        figure("errors", lambda run: len(run.errors)),
        figure("rounds", lambda run: len(run.rounds)),
        figure("tool_calls", lambda run: len(run.of_kind(Kind.TOOL))),
        figure("input_tokens", lambda run: run.counted("input_tokens")),
        figure("output_tokens", lambda run: run.counted("output_tokens")),
        figure("spans", lambda run: len(run.rows)),
        Figure("cached_part_of_input", Unit.FRACTION, _cached(first), _cached(second), more_is_better=True),
    ]


def of_windows(before: Kpis, now: Kpis) -> list[Figure]:
    """What the runs of two windows add up to, and how a run of them is."""

    def figure(name: str, read: Callable[[Kpis], Decimal], unit: Unit) -> Figure:
        return Figure(name, unit, read(before), read(now))

    def per_run(name: str, read: Callable[[Kpis], int], unit: Unit = Unit.COUNT) -> Figure:
        return figure(name, lambda one: _part(read(one), one.runs), unit)

    def money(name: str, read: Callable[[Kpis], int | None]) -> Figure:
        first, second = (None if _is_unknown(one) else usd(read(one) or 0) for one in (before, now))
        return Figure(name, Unit.USD, first, second)

    def time(name: str, read: Callable[[Kpis], int]) -> Figure:
        return figure(name, lambda one: Decimal(read(one)), Unit.NANOSECONDS)

    return [
        money("cost", lambda one: one.cost),
        money("cost_of_a_run_p50", lambda one: one.run_cost.p50),
        money("cost_of_a_run_p5", lambda one: one.run_cost.p5),
        money("cost_of_a_run_p95", lambda one: one.run_cost.p95),
        time("duration_p50", lambda one: one.duration.p50),
        time("duration_p95", lambda one: one.duration.p95),
        per_run("failed_runs", lambda one: one.failed_runs, Unit.FRACTION),
        per_run("input_tokens_a_run", lambda one: one.input_tokens),
        per_run("output_tokens_a_run", lambda one: one.output_tokens),
        per_run("model_calls_a_run", lambda one: one.llm_calls),
        figure("unpriced_calls", lambda one: Decimal(one.unpriced_calls), Unit.COUNT),
    ]


def _is_unknown(one: Kpis) -> bool:
    """Whether calls were made of which none has a price."""
    return one.cost is None and one.unpriced_calls > 0


def _cached(run: Waterfall) -> Decimal:
    return _part(run.counted("cache_read_tokens"), run.counted("input_tokens"))


def _part(number: int, of: int) -> Decimal:
    return (Decimal(number) / of).quantize(_SIX) if of else Decimal(0)
