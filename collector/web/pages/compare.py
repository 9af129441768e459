"""Two runs side by side, and this week against the last."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from collector.errors import Reason, Rejected
from collector.model.facts import Kind
from collector.model.money import usd
from collector.query.listing import RunsWanted
from collector.query.run_filter import RunFilter
from collector.query.run_rows import Kpis
from collector.runs import prompts_of, read_spans, run_of
from collector.runs.comparison import Pair, compared
from collector.runs.span import Span
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats
from collector.web.pages.page import Asked, Shown
from collector.web.pages.rows import title
from collector.web.pages.run_views import difference
from collector.web.pages.runs import rows_of
from collector.web.run_spans import waterfall_of

_TRACE_ID: Final = re.compile(r"[0-9A-Fa-f]{32}\Z")
_WEEK_NS: Final = 7 * 86_400 * 10**9
_MAX_ROWS: Final = 2000
_NOISE: Final = 0.1  # a difference below a tenth is muted
_CANDIDATES: Final = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: both values, the difference, and whether it is for the better."""

    label: str
    first: str
    second: str
    difference: str
    part: str
    verdict: str


async def page(asked: Asked) -> Shown:
    return await asyncio.to_thread(_page, asked)


def _page(asked: Asked) -> Shown:
    first, second = (_trace_id(asked, name) for name in ("a", "b"))
    if first and second:
        return _two(asked, first, second)
    return _choose(asked, first or second)


def _trace_id(asked: Asked, name: str) -> str:
    written = asked.query.get(name, "").strip()
    if written and not _TRACE_ID.match(written):
        raise Rejected(Reason.MALFORMED, f"{name}={written[:60]!r} is not a trace id: 32 hexadecimal digits.")
    return written.lower()


# -- two runs ---------------------------------------------------------------------------------------------------------


def _two(asked: Asked, first_id: str, second_id: str) -> Shown:
    first, second = _load(asked, first_id), _load(asked, second_id)
    pairs = list(compared(first.tree, second.tree))
    longest = max(first.end - first.start, second.end - second.start, 1)
    costs = [row.span.cost for run in (first, second) for row in run.rows]
    decimals = formats.decimals_of(costs)
    only = asked.query.get("only") == "differences"
    rows = [_row(pair, first, second, longest, decimals) for pair in pairs]
    shown = [row for row in rows if row["differs"]] if only else rows
    context = {
        "a": _head(asked, first, first_id),
        "b": _head(asked, second, second_id),
        "figures": _figures(first, second),
        "prompt": _prompts(asked, first_id, second_id),
        "rows": shown[:_MAX_ROWS],
        "cut": len(shown) > _MAX_ROWS,
        "both": sum(pair.first is not None and pair.second is not None for pair in pairs),
        "only_a": sum(pair.second is None for pair in pairs),
        "only_b": sum(pair.first is None for pair in pairs),
        "longest": formats.duration(longest),
        "swap": f"/compare?a={second_id}&b={first_id}",
        "only": only,
        "toggle": asked.without("only") if only else asked.without(only="differences"),
    }
    return Shown("compare.html", "Compare", "Compare", context, ("views",))


def _load(asked: Asked, trace_id: str) -> Waterfall:
    return waterfall_of(asked.services.query, asked.principal, trace_id)[0]


def _head(asked: Asked, run: Waterfall, trace_id: str) -> dict[str, str]:
    name = run.root.agent_name or run.root.name
    return {"name": name, "start": formats.full_time(run.start, asked.zone), "base": f"/runs/{trace_id}"}


def _row(pair: Pair, first: Waterfall, second: Waterfall, longest: int, decimals: int) -> dict[str, Any]:
    span = pair.first or pair.second
    assert span
    sides = [_side(one, run, longest, decimals) for one, run in ((pair.first, first), (pair.second, second))]
    gap = _length(pair.second) - _length(pair.first)
    muted = abs(gap) < _NOISE * max(_length(pair.first), 1)
    cost = (pair.second.cost or Decimal(0)) - (pair.first.cost or Decimal(0)) if pair.first and pair.second else None
    failed = bool(pair.first and pair.first.error) != bool(pair.second and pair.second.error)
    return {
        "level": min(pair.depth + 1, 12),
        "kind": span.kind,
        "name": title(span),
        "mark": "" if pair.first and pair.second else "−" if pair.first else "+",
        "only": "" if pair.first and pair.second else "only in A" if pair.first else "only in B",
        "sides": sides,
        "gap": formats.signed(formats.duration(gap)) if pair.first and pair.second and gap else "",
        "muted": muted,
        "cost_gap": formats.signed(formats.money(cost, decimals)) if cost else "",
        "differs": not (pair.first and pair.second) or not muted or failed,
    }


def _length(span: Span | None) -> int:
    return span.end - span.start if span else 0


def _side(span: Span | None, run: Waterfall, longest: int, decimals: int) -> dict[str, Any] | None:
    if span is None:
        return None
    width = 100 * _length(span) / longest
    return {
        "span_id": span.span_id,
        "duration": formats.duration(_length(span)),
        "cost": formats.money(span.cost, decimals),
        "x": f"{100 * (span.start - run.start) / longest:.3f}%",
        "width": f"{width:.3f}%",
        "thin": width < 3,
        "error": span.error,
    }


def _figures(first: Waterfall, second: Waterfall) -> list[Figure]:
    tools = [len(run.of_kind(Kind.TOOL)) for run in (first, second)]
    tokens = [run.counted("input_tokens") for run in (first, second)]
    cached = [
        run.counted("cache_read_tokens") / max(total, 1) for run, total in zip((first, second), tokens, strict=True)
    ]
    costs = [run.cost for run in (first, second)]
    known = costs[0] is not None and costs[1] is not None
    counts = (
        ("Errors", [len(first.errors), len(second.errors)]),
        ("Rounds", [len(first.rounds), len(second.rounds)]),
        ("Tool calls", tools),
        ("Tokens in", tokens),
        ("Tokens out", [run.counted("output_tokens") for run in (first, second)]),
        ("Spans", [len(first.rows), len(second.rows)]),
    )
    shares = [formats.percent(one) for one in cached]
    prices = [formats.money(cost) or "unpriced" for cost in costs]
    return [
        _figure("Cost", [float(cost or 0) for cost in costs], lambda one: formats.money(Decimal(repr(one))))
        if known
        else Figure("Cost", prices[0], prices[1], "", "", ""),
        _figure("Duration", [float(run.end - run.start) for run in (first, second)], formats.duration),
        *(_figure(label, [float(one) for one in values], formats.count) for label, values in counts),
        Figure(
            "of which cached",
            shares[0],
            shares[1],
            formats.signed(f"{100 * (cached[1] - cached[0]):.1f} pt".replace("-", "−")),
            "",
            "" if cached[0] == cached[1] else "better" if cached[1] > cached[0] else "worse",
        ),
    ]


def _figure(label: str, values: Sequence[float], text: Callable[[float], str]) -> Figure:
    """For all of them less is better."""
    first, second = values
    gap = second - first
    shown = f"{'+' if gap > 0 else '−'}{text(abs(gap))}" if gap else "the same"
    change = 100 * abs(gap) / first if first else 0
    part = f"{'+' if gap > 0 else '−'}{change:,.{0 if change >= 100 else 1}f} %" if change else ""
    verdict = "" if not gap else "worse" if gap > 0 else "better"
    return Figure(label, text(first), text(second), shown, part, verdict)


def _prompts(asked: Asked, first_id: str, second_id: str) -> dict[str, Any] | None:
    texts = []
    for trace_id in (first_id, second_id):
        run = run_of(read_spans(asked.services.query.run_spans(asked.principal, trace_id)))
        changes = prompts_of(run.rounds)
        texts.append(changes[0][1].text if changes else "")
    if not any(texts):
        return None
    lines = difference(*texts)
    return {
        "lines": lines,
        "removed": sum(mark == "-" for mark, _ in lines),
        "added": sum(mark == "+" for mark, _ in lines),
        "characters": [formats.count(len(text)) for text in texts],
    }


# -- weeks, and what to compare ---------------------------------------------------------------------------------------


def _choose(asked: Asked, chosen: str) -> Shown:
    agent, name = asked.query.get("agent", ""), ""
    if chosen:
        run = _load(asked, chosen)
        name = run.root.agent_name or run.root.name
        agent = agent or run.root.agent_name
    query, who = asked.services.query, asked.principal
    week = RunFilter(asked.now - _WEEK_NS, asked.now, agent=agent)
    found = query.kpis(who, week)
    agents = query.facets(who, replace(week, since=asked.now - 2 * _WEEK_NS, agent=""))["agent"]
    candidates = query.search(who, RunsWanted(asked.now - 4 * _WEEK_NS, asked.now, agent=agent, limit=_CANDIDATES)).runs
    candidates = [run for run in candidates if run.trace_id != chosen]
    titles = query.inputs(who, candidates)
    context = {
        "chosen": chosen,
        "name": name,
        "agent": agent,
        "agents": [
            (one.value, asked.without("agent", agent=one.value), one.value == agent) for one in agents if one.value
        ],
        "all_agents": asked.without("agent"),
        "figures": _weeks(found.other, found.window),
        "runs": (found.other.runs, found.window.runs),
        "rows": rows_of(asked, candidates, titles),
    }
    return Shown("compare_choose.html", "Compare", "Compare", context, ("views",))


def _weeks(before: Kpis, now: Kpis) -> list[Figure]:
    def dollars(pico: float) -> str:
        return formats.money(usd(int(pico)))

    def per_run(one: Kpis, what: float) -> float:
        return what / one.runs if one.runs else 0.0

    rows: list[tuple[str, Callable[[Kpis], float], Callable[[float], str]]] = [
        ("Cost", lambda one: one.cost or 0, dollars),
        ("Cost of a run, p50", lambda one: one.run_cost.p50, dollars),
        ("Cost of a run, p5", lambda one: one.run_cost.p5, dollars),
        ("Cost of a run, p95", lambda one: one.run_cost.p95, dollars),
        ("Duration p50", lambda one: one.duration.p50, formats.duration),
        ("Duration p95", lambda one: one.duration.p95, formats.duration),
        ("Failed runs", lambda one: per_run(one, one.failed_runs), formats.percent),
        ("Tokens in, a run", lambda one: per_run(one, one.input_tokens), formats.count),
        ("Tokens out, a run", lambda one: per_run(one, one.output_tokens), formats.count),
        ("Model calls, a run", lambda one: per_run(one, one.llm_calls), lambda value: f"{value:.1f}"),
        ("Unpriced calls", lambda one: one.unpriced_calls, formats.count),
    ]
    return [_figure(label, [float(read(before)), float(read(now))], text) for label, read, text in rows]
