"""The list of runs: figures of the time that is asked for beside the time before, facets, and a page of the runs."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from collector.model.evaluations import EvalKind
from collector.model.money import usd
from collector.query.current import CurrentRuns
from collector.query.evaluations import EvaluationsWanted
from collector.query.listing import RunsWanted
from collector.query.run_filter import Problem, RunStatus
from collector.query.run_rows import FacetCount, Kpis, KpiWindows, RunPage, RunRow
from collector.query.titles import title_of
from collector.web.pages import formats
from collector.web.pages.first_visit import first_visit
from collector.web.pages.page import Asked, Moved, Shown
from collector.web.pages.periods import Period, period_of
from collector.web.pages.verdicts import doubted_of
from collector.web.reading import reader
from collector.web.run_inputs import RunsQuery

_PAGE: Final = 50
_MAX_VERDICTS: Final = 20_000
_STEPS: Final = 24
_SHOWN_VALUES: Final = 8
_TRACE_ID: Final = re.compile(r"[0-9A-Fa-f]{32}\Z")
_SPAN_ID: Final = re.compile(r"[0-9A-Fa-f]{16}\Z")
_RUNNING_NS: Final = 5 * 60 * 10**9
_VERDICTS: Final = {"fail": "error", "error": "warn", "pass": "ok", "skipped": ""}  # the worst first
_OWN: Final = ("q", "last", "send")
_READ: Final = reader(RunsQuery, "parameter")
_SET: Final = ("limit", "titles")  # by the page
PARAMETERS: Final = (*_OWN, *(name for name in RunsQuery.model_fields if name not in _SET))
FACETS: Final = {
    "status": "Status",
    "agent": "Agent",
    "model": "Model",
    "feature": "Feature",
    "service": "Service",
}
PROBLEMS: Final = {
    Problem.ERRORS.value: "Errors",
    Problem.FAILED_EVALS.value: "Failed evals",
    Problem.UNPRICED.value: "Unpriced",
}
STATUSES: Final = {
    RunStatus.OK.value: "done",
    RunStatus.ERRORS.value: "done, errors",
    RunStatus.FAILED.value: "error",
    RunStatus.INCOMPLETE.value: "incomplete",
}


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure: its value, how it differs from the one before, and a line through its steps."""

    label: str
    value: str
    change: str = ""
    before: str = ""
    line: str = ""
    last: tuple[str, str] | None = None
    title: str = ""
    kind: str = ""


async def page(asked: Asked) -> Shown | Moved:
    text = asked.query.get("q", "").strip()
    if place := await asyncio.to_thread(_place, asked, text):
        return Moved(place)
    period = period_of(asked)
    query = _READ(_given(asked, period, text))
    ask, who, matching, wanted = asked.services.query, asked.principal, query.asked(), query.wanted()
    current = await asyncio.to_thread(ask.current, who, matching.before[0], matching.until)
    found, listed, facets = await asyncio.gather(
        asyncio.to_thread(ask.kpis, who, matching, steps=_STEPS, current=current),
        asyncio.to_thread(_listed, asked, wanted, current),
        asyncio.to_thread(ask.facets, who, matching, current),
    )
    if not found.window.runs and not found.folded and await asyncio.to_thread(_is_first_visit, asked):
        return await asyncio.to_thread(first_visit, asked)
    return _shown(asked, period, query, found, listed, facets)


class Found(NamedTuple):
    """How often evaluators found what of a run and its spans, and how often of these a judge that is not calibrated."""

    counts: Counter[str]
    doubted: Counter[str]


@dataclass(frozen=True, slots=True)
class _Listed:
    """A page of runs, with the beginning of their inputs and what evaluators found of them."""

    page: RunPage
    titles: Mapping[str, str]
    verdicts: Mapping[str, Found]


def _listed(asked: Asked, wanted: RunsWanted, current: CurrentRuns) -> _Listed:
    ask, who = asked.services.query, asked.principal
    page = ask.search(who, wanted, current)
    return _Listed(page, ask.inputs(who, page.runs), verdicts_of(asked, page.runs))


def _is_first_visit(asked: Asked) -> bool:
    return not filters_of(asked) and not asked.services.query.search(asked.principal, _anything()).runs


def _shown(
    asked: Asked,
    period: Period,
    query: RunsQuery,
    found: KpiWindows,
    listed: _Listed,
    facets: Mapping[str, Sequence[FacetCount]],
) -> Shown:
    after = query.next_text(listed.page.next)
    context = {
        "kpis": _kpis(found, period),
        "facets": _facets(asked, facets),
        "quick": _quick(asked, facets),
        "rows": rows_of(asked, listed.page.runs, listed.titles, listed.verdicts),
        "judged": bool(listed.verdicts),
        "total": found.window.runs,
        "folded": found.folded,
        "period": period,
        "filters": filters_of(asked),
        "older": asked.without(after=after) if after else "",
        "first_page": asked.without("after") if "after" in asked.query else "",
        "sort": query.sort.value,
        "ascending": query.order.value == "asc",
        "sorts": {
            name: asked.without("after", sort=name, order="asc" if _is_descending(query, name) else "desc")
            for name in ("start", "duration", "tokens", "cost", "failed")
        },
    }
    return Shown("runs.html", "Runs", "Runs", context, ("runs",))


def _place(asked: Asked, text: str) -> str:
    """The page that an id names: of a run, or of a span that is stored. Any other text is looked for in runs."""
    if _TRACE_ID.match(text):
        return f"/runs/{text.lower()}"
    trace_id = asked.services.query.run_of_span(asked.principal, text) if _SPAN_ID.match(text) else None
    return f"/runs/{trace_id}?span={text.lower()}" if trace_id else ""


def _is_descending(query: RunsQuery, name: str) -> bool:
    return query.sort.value == name and query.order.value == "desc"


def _given(asked: Asked, period: Period, text: str) -> dict[str, object]:
    read = RunsQuery.model_fields
    given: dict[str, object] = {name: value for name, value in asked.query.items() if name in read and value}
    given |= {"since": period.since_text, "until": period.until_text, "limit": str(_PAGE)}
    return given | ({"text": text} if text else {})


def _anything() -> Any:
    return _READ({"since": "1971-01-01", "limit": "1", "folded": "true"}).wanted()


def filters_of(asked: Asked) -> list[tuple[str, str, str]]:
    """What narrows the list: a name, its value, and the address without it."""
    known = ("q", *FACETS, "user", "conversation", "text", "attribute", "problem", "verdict", "evaluator")
    known += ("purpose", "folded")
    known += ("min_cost", "max_cost", "min_seconds", "max_seconds", "min_tokens", "max_tokens")
    labels = {"q": "text", "folded": "traces without calls", "min_cost": "cost from $", "max_cost": "cost up to $"}
    return [
        (labels.get(name, name.replace("_", " ")), asked.query[name], asked.without(name, "after"))
        for name in known
        if asked.query.get(name)
    ]


def verdicts_of(asked: Asked, runs: Sequence[RunRow]) -> dict[str, Found]:
    """By trace id."""
    wanted = EvaluationsWanted(trace_ids=[run.trace_id for run in runs], limit=_MAX_VERDICTS)
    found = asked.services.query.evaluations(asked.principal, wanted) if runs else ()
    doubted = doubted_of(asked, found)
    by_run: dict[str, Found] = {}
    for one in found:
        of_run = by_run.setdefault(one.trace_id, Found(Counter(), Counter()))
        word = one.verdict.value or one.status.value
        of_run.counts[word] += 1
        of_run.doubted[word] += one.kind is EvalKind.JUDGE and one.evaluator in doubted
    return by_run


def rows_of(
    asked: Asked,
    runs: Sequence[RunRow],
    titles: Mapping[str, str],
    verdicts: Mapping[str, Found] | None = None,
) -> list[dict[str, Any]]:
    """The rows of a table of runs."""
    found = verdicts or {}
    decimals = formats.decimals_of(usd(run.cost) for run in runs if run.cost is not None)
    longest = max((run.duration for run in runs), default=0)
    return [
        _row(asked, run, title_of(titles.get(run.trace_id, "")), decimals, longest)
        | {"verdict": _verdict(found[run.trace_id]) if run.trace_id in found else None}
        for run in runs
    ]


def _verdict(found: Found) -> tuple[str, str] | None:
    """A class and words for what evaluators found of a run: the worst, of how many."""
    counts = found.counts
    every = sum(number for word, number in counts.items() if word != "skipped" or len(counts) == 1)
    worst = next((word for word in _VERDICTS if counts.get(word)), "")
    if not worst:
        return None
    number = counts[worst]
    words = f"{number} {worst}" if number == every else f"{number} of {every} {worst}"
    return _VERDICTS[worst], words + (", uncalibrated" if found.doubted[worst] == number else "")


def _row(asked: Asked, run: RunRow, title: str, decimals: int, longest: int) -> dict[str, Any]:
    cost = None if run.cost is None else usd(run.cost)
    return {
        "trace_id": run.trace_id,
        "order": run.start // 1000,  # microseconds, which a browser's numbers hold
        "state": state_of(run, asked.now),
        "start": formats.short_time(run.start, asked.now, asked.zone),
        "full_start": formats.full_time(run.start, asked.zone),
        "name": run.agent_name or run.root_name or "(no name)",
        "title": title,
        "models": ", ".join(run.models),
        "duration": formats.duration(run.duration),
        "share": f"{100 * run.duration / max(longest, 1):.2f}%",
        "input_tokens": formats.count(run.input_tokens),
        "output_tokens": formats.count(run.output_tokens),
        "cost": "unpriced" if run.unpriced_calls and cost is None else formats.money(cost, decimals),
        "exact_cost": formats.exact(cost),
        "unpriced": run.unpriced_calls,
        "feature": run.feature,
        "user": run.user_id,
        "last": formats.ago((asked.now - run.last_received) / 1e9) if run.status is RunStatus.INCOMPLETE else "",
    }


def state_of(run: RunRow, now: int) -> tuple[str, str]:
    """A class and a word."""
    if run.status is RunStatus.INCOMPLETE:
        return ("running", "running") if now - run.last_received < _RUNNING_NS else ("warn", "incomplete")
    return {
        RunStatus.OK: ("ok", "done"),
        RunStatus.ERRORS: ("warn", formats.plural(run.errors, "error")),
        RunStatus.FAILED: ("error", "error"),
    }[run.status]


# -- figures ----------------------------------------------------------------------------------------------------------


def _kpis(found: KpiWindows, period: Period) -> list[Kpi]:
    now, before, steps = found.window, found.other, [one for _, one in found.steps]
    compared = before.runs > 0 and period.compares

    def kpi(
        label: str, value: str, old: str, read: Callable[[Kpis], float | None], change: str = "", **more: Any
    ) -> Kpi:
        points, last = _line([read(one) or 0 for one in steps])
        shown = change or _change(read(now), read(before))
        return Kpi(label, value, shown if compared else "", f"was {old}" if compared else "", points, last, **more)

    return [
        kpi(
            "Cost",
            _spent(now),
            _spent(before),
            lambda one: None if one.cost is None else float(usd(one.cost)),
            title="" if now.cost is None else formats.exact(usd(now.cost)),
            kind="first",
        ),
        kpi("Runs", formats.count(now.runs), formats.count(before.runs), lambda one: one.runs),
        kpi(
            "Error rate",
            formats.percent(_rate(now)),
            formats.percent(_rate(before)),
            _rate,
            formats.signed(f"{100 * (_rate(now) - _rate(before)):.1f} pt".replace("-", "−")),
        ),
        kpi(
            "Duration p50",
            formats.duration(now.duration.p50),
            formats.duration(before.duration.p50),
            lambda one: one.duration.p50,
        ),
        kpi(
            "Duration p95",
            formats.duration(now.duration.p95),
            formats.duration(before.duration.p95),
            lambda one: one.duration.p95,
        ),
        kpi("Tokens in", formats.count(now.input_tokens), formats.count(before.input_tokens), lambda k: k.input_tokens),
        kpi(
            "Tokens out",
            formats.count(now.output_tokens),
            formats.count(before.output_tokens),
            lambda one: one.output_tokens,
        ),
        kpi(
            "Unpriced calls",
            formats.count(now.unpriced_calls),
            formats.count(before.unpriced_calls),
            lambda one: one.unpriced_calls,
            formats.signed(formats.count(now.unpriced_calls - before.unpriced_calls).replace("-", "−")),
            kind="warn" if now.unpriced_calls else "",
        ),
    ]


def _spent(one: Kpis) -> str:
    if one.cost is None:
        return "unpriced" if one.unpriced_calls else "–"
    return formats.money(usd(one.cost))


def _rate(one: Kpis) -> float:
    return one.failed_runs / one.runs if one.runs else 0.0


def _change(now: float | None, before: float | None) -> str:
    if now is None or not before:
        return ""
    change = 100 * (now - before) / before
    shown = f"{abs(change):,.0f}" if abs(change) >= 100 else f"{abs(change):.1f}"
    return f"{'+' if change >= 0 else '−'}{shown} %"


def _line(values: Sequence[float]) -> tuple[str, tuple[str, str] | None]:
    """The points of a sparkline in a box of 100 by 18, and its last one."""
    top = max(values, default=0)
    if len(values) < 2 or not top:
        return "", None
    points = [
        (f"{100 * at / (len(values) - 1):.1f}", f"{17 - 15 * value / top:.1f}") for at, value in enumerate(values)
    ]
    return " ".join(",".join(point) for point in points), points[-1]


# -- facets -----------------------------------------------------------------------------------------------------------


def _facets(asked: Asked, facets: Mapping[str, Sequence[FacetCount]]) -> list[dict[str, Any]]:
    found = []
    for name, label in FACETS.items():
        chosen = asked.query.get(name, "")
        values = [
            {
                "label": STATUSES.get(one.value, one.value) if name == "status" else one.value,
                "runs": formats.count(one.runs),
                "chosen": one.value == chosen,
                "link": asked.without(name, "after")
                if one.value == chosen
                else asked.without("after", **{name: one.value}),
            }
            for one in facets.get(name, ())
            if one.value
        ]
        if values:
            found.append({"label": label, "values": values[:_SHOWN_VALUES], "more": values[_SHOWN_VALUES:]})
    return found


def _quick(asked: Asked, facets: Mapping[str, Sequence[FacetCount]]) -> list[dict[str, Any]]:
    """All runs, and those with a problem, of which there are some or one is chosen."""
    counts = {one.value: one.runs for one in facets.get("problem", ())}
    chosen = asked.query.get("problem", "")
    values = [name for name in PROBLEMS if counts.get(name) or name == chosen]
    every = {"label": "All", "runs": "", "chosen": not chosen, "link": asked.without("problem", "after")}
    return [
        every,
        *(
            {
                "label": PROBLEMS[name],
                "runs": formats.count(counts.get(name, 0)),
                "chosen": name == chosen,
                "link": asked.without("after", problem=name),
            }
            for name in values
        ),
    ]
