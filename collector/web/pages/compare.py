"""Two runs side by side, and this week against the last."""

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from collector.errors import Reason, Rejected
from collector.model.evaluations import EvalKind, Evaluation, Verdict
from collector.query.listing import RunsWanted
from collector.query.run_filter import RunFilter
from collector.runs.comparison import Pair, compared
from collector.runs.span import Span
from collector.runs.text_difference import difference
from collector.runs.waterfall import Waterfall
from collector.web.compare import first_prompts, name_of
from collector.web.figures import Figure, Unit, of_runs, of_windows
from collector.web.pages import formats, verdicts
from collector.web.pages.page import Asked, Shown
from collector.web.pages.runs import rows_of
from collector.web.run_spans import waterfall_of

_TRACE_ID: Final = re.compile(r"[0-9A-Fa-f]{32}\Z")
_WEEK_NS: Final = 7 * 86_400 * 10**9
_MAX_ROWS: Final = 2000
_NOISE: Final = 0.1  # a difference below a tenth is muted
_CANDIDATES: Final = 30


@dataclass(frozen=True, slots=True)
class Line:
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
    only = bool(asked.choice("only", ("differences",)))
    rows = [_row(pair, first, second, longest, decimals) for pair in pairs]
    shown = [row for row in rows if row["differs"]] if only else rows
    context = {
        "a": _head(asked, first, first_id),
        "b": _head(asked, second, second_id),
        "figures": [*_lines(of_runs(first, second)), *_evals(asked, first_id, second_id)],
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
    return {"name": name_of(run), "start": formats.full_time(run.start, asked.zone), "base": f"/runs/{trace_id}"}


def _row(pair: Pair, first: Waterfall, second: Waterfall, longest: int, decimals: int) -> dict[str, Any]:
    span = pair.first or pair.second
    assert span
    sides = [_side(one, run, longest, decimals) for one, run in ((pair.first, first), (pair.second, second))]
    gap = _length(pair.second) - _length(pair.first)
    muted = abs(gap) < _NOISE * max(_length(pair.first), 1)
    cost = _gap(pair.first and pair.first.cost, pair.second and pair.second.cost)
    failed = bool(pair.first and pair.first.error) != bool(pair.second and pair.second.error)
    return {
        "level": min(pair.depth + 1, 12),
        "kind": span.kind,
        "name": span.label,
        "mark": "" if pair.first and pair.second else "−" if pair.first else "+",
        "only": "" if pair.first and pair.second else "only in A" if pair.first else "only in B",
        "sides": sides,
        "gap": formats.signed(formats.duration(gap)) if pair.first and pair.second and gap else "",
        "muted": muted,
        "cost_gap": formats.signed(formats.money(cost, decimals)) if cost else "",
        "differs": not (pair.first and pair.second) or not muted or failed,
    }


def _gap(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    """None where one is not known."""
    return None if first is None or second is None else second - first


def _length(span: Span | None) -> int:
    return span.end - span.start if span else 0


def _side(span: Span | None, run: Waterfall, longest: int, decimals: int) -> dict[str, Any] | None:
    if span is None:
        return None
    width = 100 * _length(span) / longest
    return {
        "span_id": span.span_id,
        "duration": formats.duration(_length(span)),
        "cost": "unpriced" if span.span_id in run.unpriced else formats.money(span.cost, decimals),
        "x": f"{100 * (span.start - run.start) / longest:.3f}%",
        "width": f"{width:.3f}%",
        "thin": width < 3,
        "end": f"{100 * (span.end - run.start) / longest:.3f}%",
        "late": span.end - run.start > 0.7 * longest,
        "error": span.error,
    }


def _prompts(asked: Asked, first_id: str, second_id: str) -> dict[str, Any] | None:
    texts = first_prompts(asked.services.query, asked.principal, (first_id, second_id))
    if not any(texts):
        return None
    whole = bool(asked.choice("prompt", ("whole",)))
    lines = difference(*texts, whole=whole)
    removed = sum(line.mark == "-" for line in lines)
    return {
        "lines": lines,
        "removed": removed,
        "added": sum(line.mark == "+" for line in lines),
        "equal": len(texts[0].splitlines()) - removed,
        "characters": [formats.count(len(text)) for text in texts],
        "whole": whole,
        "switch": [
            ("Changes", asked.without("prompt"), not whole),
            ("Whole", asked.without(prompt="whole"), whole),
        ],
    }


def _evals(asked: Asked, *trace_ids: str) -> list[Line]:
    """What each evaluator found of both runs, where it has judged one, and what people did."""
    found = [verdicts.found_of(asked, each) for each in trace_ids]
    doubted = verdicts.doubted_of(asked, [one for side in found for one in side])
    sides = [{_title(one, doubted): one for one in side if not one.span_id} for side in found]
    return [_eval(title, *(side.get(title) for side in sides)) for title in sorted({*sides[0], *sides[1]})]


def _title(one: Evaluation, doubted: Collection[str]) -> str:
    if one.kind is EvalKind.HUMAN:
        return f"Label {one.evaluator}"
    is_doubted = one.kind is EvalKind.JUDGE and one.evaluator in doubted
    return f"Eval {one.evaluator}" + (" (uncalibrated)" if is_doubted else "")


def _eval(title: str, first: Evaluation | None, second: Evaluation | None) -> Line:
    """Of verdicts of different revisions neither is the better one."""
    a, b = (f"{verdicts.word_of(one)} {verdicts.score_of(one)}".strip() if one else "–" for one in (first, second))
    gap, verdict = "", ""
    if first and second and first.revision != second.revision:
        return Line(title, a, b, "other revision", "", verdict)
    if first and second and first.score is not None and second.score is not None and first.score != second.score:
        gap = formats.signed(f"{second.score - first.score:.3g}".replace("-", "−"))
        verdict = "better" if second.score > first.score else "worse"
    if first and second and {first.verdict, second.verdict} == {Verdict.PASS, Verdict.FAIL}:
        verdict = "better" if second.verdict is Verdict.PASS else "worse"
    return Line(title, a, b, gap, "", verdict)


# -- weeks, and what to compare ---------------------------------------------------------------------------------------


def _choose(asked: Asked, chosen: str) -> Shown:
    agent, name = asked.query.get("agent", ""), ""
    if chosen:
        run = _load(asked, chosen)
        name = name_of(run)
        agent = agent or run.root.agent_name
    query, who = asked.services.query, asked.principal
    week = RunFilter(asked.now - _WEEK_NS, asked.now, agent=agent, folded=False)
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
        "figures": _lines(of_windows(found.other, found.window)),
        "runs": (found.other.runs, found.window.runs),
        "rows": rows_of(asked, candidates, titles),
    }
    return Shown("compare_choose.html", "Compare", "Compare", context, ("views",))


# -- figures ----------------------------------------------------------------------------------------------------------

_LABELS: Final = {
    "cached_part_of_input": "of which cached",
    "input_tokens": "Tokens in",
    "output_tokens": "Tokens out",
    "cost_of_a_run_p50": "Cost of a run, p50",
    "cost_of_a_run_p5": "Cost of a run, p5",
    "cost_of_a_run_p95": "Cost of a run, p95",
    "input_tokens_a_run": "Tokens in, a run",
    "output_tokens_a_run": "Tokens out, a run",
    "model_calls_a_run": "Model calls, a run",
}


def _lines(figures: Sequence[Figure]) -> list[Line]:
    return [_line(one) for one in figures]


def _line(one: Figure) -> Line:
    label = _LABELS.get(one.name) or one.name[0].upper() + one.name[1:].replace("_", " ")
    first, second = (_shown(one, value) for value in (one.first, one.second))
    gap = one.difference
    if gap is None:
        return Line(label, first, second, "", "", "")
    sign = "+" if gap > 0 else "−"
    if one.unit is Unit.FRACTION:
        difference_text, part = f"{sign}{abs(100 * gap):.1f} pt", ""
    else:
        difference_text, part = sign + _shown(one, abs(gap)), _part(gap, one.first or Decimal(0))
    return Line(label, first, second, difference_text if gap else "the same", part, one.verdict or "")


def _part(gap: Decimal, first: Decimal) -> str:
    change = 100 * abs(gap) / first if first else Decimal(0)
    return f"{'+' if gap > 0 else '−'}{change:,.{0 if change >= 100 else 1}f} %" if change else ""


def _shown(one: Figure, value: Decimal | None) -> str:
    if value is None:
        return "unpriced"
    match one.unit:
        case Unit.USD:
            return formats.money(value)
        case Unit.NANOSECONDS:
            return formats.duration(float(value))
        case Unit.FRACTION:
            return formats.percent(float(value))
        case Unit.COUNT:
            return f"{value:.1f}" if one.name == "model_calls_a_run" else formats.count(float(value))
