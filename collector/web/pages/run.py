"""The page of one run: what it did, in which order, for how much."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from collector.model.facts import Kind
from collector.query.spans import MAX_SPANS
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats, verdicts
from collector.web.pages.page import Asked, Shown
from collector.web.pages.rows import bars, legend
from collector.web.pages.run_views import run_view, run_views
from collector.web.run_spans import waterfall_of

_RUNNING_NS: Final = 5 * 60 * 10**9  # a run whose last span came longer ago is not in flight any more
_PAGE: Final = 500  # rows without scripts
_PRINTED: Final = 2000  # rows on paper
_FIRST: Final = 60  # rows that stand there until the script has drawn all of them
PRINT: Final = "print"
VIEWS: Final = (
    ("waterfall", "Waterfall"),
    ("conversation", "Conversation"),
    ("rounds", "Rounds"),
    ("prompt", "Prompt"),
    ("tools", "Tools"),
    ("json", "JSON"),
)


_NAMES: Final = (*dict(VIEWS), PRINT)
# The waterfall's, of which modules read some; a page of rounds; how a conversation is read; whether paper is asked for.
PARAMETERS: Final = (
    *("view", "span", "kinds", "only", "q", "row", "to", "fit", "fold"),
    *("from", "unfold", "as", "now"),
)


async def page(asked: Asked) -> Shown:
    return await asyncio.to_thread(_page, asked)


def load(asked: Asked) -> tuple[Waterfall, bool]:
    """The run asked for, and whether it has more spans than are shown. Raises Rejected when there is none."""
    return waterfall_of(asked.services.query, asked.principal, asked.path["trace_id"])


def _page(asked: Asked) -> Shown:
    view = asked.choice("view", _NAMES) or "waterfall"
    run, truncated = load(asked)
    context = {
        **head(asked, run),
        "view": view,
        "views": VIEWS,
        "truncated": truncated,
        "max_spans": MAX_SPANS,
    }
    if view == PRINT:
        return Shown("run_print.html", _name(run), "Runs", {**context, **_printed(asked, run)}, ("print",))
    if view == "waterfall":
        return Shown("run.html", _name(run), "Runs", {**context, **_waterfall(asked, run)}, ("run",))
    return Shown(f"run_{view}.html", _name(run), "Runs", {**context, **run_view(asked, run, view)}, ("views",))


def head(asked: Asked, run: Waterfall) -> dict[str, Any]:
    """What every view of a run begins with."""
    trace_id = asked.path["trace_id"].lower()
    spans = [row.span for row in run.rows]
    dearest = max((at for at, span in enumerate(spans) if span.cost), key=lambda at: spans[at].cost or 0, default=None)
    errors = run.errors
    first_error = min(errors, key=lambda at: spans[at].start, default=None)
    tools = run.of_kind(Kind.TOOL)
    slowest = max(tools, key=lambda at: spans[at].end - spans[at].start, default=None)
    cached = run.counted("cache_read_tokens")
    judged = verdicts.found_of(asked, trace_id)
    return {
        "trace_id": trace_id,
        "name": _name(run),
        "state": state(run, asked.now),
        "start": run.start,
        "duration": run.end - run.start,
        "cost": run.cost,
        "tokens_in": run.counted("input_tokens"),
        "tokens_cached": cached,
        "tokens_out": run.counted("output_tokens"),
        "rounds": len(run.rounds),
        "tool_calls": len(tools),
        "spans": len(spans),
        "errors": len(errors),
        "unpriced": len(run.unpriced),
        "models": run.models,
        "features": run.features,
        "users": run.users,
        "services": run.services,
        "conversations": run.conversations,
        "orphans": len(run.orphans),
        "content_expired": run.content_expired,
        "capture_policy": run.capture_policy,
        "base": f"/runs/{trace_id}",
        "verdicts": verdicts.of_run(judged, run.received, verdicts.doubted_of(asked, judged)),
        "labels": verdicts.labels_of(asked, judged),
        "jumps": {
            "dearest": None
            if dearest is None
            else (spans[dearest].span_id, formats.money(spans[dearest].cost), formats.exact(spans[dearest].cost)),
            "error": None
            if first_error is None
            else (spans[first_error].span_id, f"at {formats.duration(spans[first_error].start - run.start)}"),
            "slowest": None
            if slowest is None
            else (spans[slowest].span_id, formats.duration(spans[slowest].end - spans[slowest].start)),
        },
    }


def state(run: Waterfall, now: int) -> tuple[str, str]:
    """A word for how the run stands, as a class and in words."""
    failed = formats.plural(len(run.errors), "error")
    if not run.complete:
        if now - run.received < _RUNNING_NS:
            return "running", f"incomplete, last span {formats.ago((now - run.received) / 1e9)}"
        return "warn", "incomplete"
    if run.root.error:
        return "error", "error" if len(run.errors) < 2 else failed
    return ("warn", f"done, {failed}") if run.errors else ("ok", "done")


def _name(run: Waterfall) -> str:
    return run.root.agent_name or run.root.name or "run"


def _waterfall(asked: Asked, run: Waterfall) -> dict[str, Any]:
    kinds = [kind for kind in asked.query.get("kinds", "").split(",") if kind]
    only = _ONLY.get(asked.choice("only", _ONLY))
    among = set(only(run)) if only else range(len(run.rows))
    chosen = [at for at, row in enumerate(run.rows) if at in among and (not kinds or row.span.kind in kinds)]
    begin = min(asked.number("row", 0), len(chosen))
    shown = chosen[begin : begin + _PAGE]
    decimals = formats.decimals_of(row.span.cost for row in run.rows)
    drawn = bars(run, shown, decimals)
    return {
        "first_rows": drawn[:_FIRST],
        "other_rows": drawn[_FIRST:],
        "legend": legend(run),
        "critical": len(run.critical_path),
        "limits": _limits(run),
        "axis": [
            (formats.mark(mark), f"{100 * mark / max(run.end - run.start, 1):.3f}%")
            for mark in formats.steps(run.end - run.start, 6)
        ],
        "decimals": decimals,
        "shown_from": begin + 1,
        "shown_to": begin + len(shown),
        "matching": len(chosen),
        "next_row": begin + _PAGE if begin + _PAGE < len(chosen) else None,
        "previous_row": max(0, begin - _PAGE) if begin else None,
        "kinds": kinds,
        "selected": asked.query.get("span", ""),
    }


def _slow(run: Waterfall) -> int:
    """A round duration that few spans exceed, in nanoseconds: a second, or more in a long run."""
    return max(10**9, int(10 ** math.floor(math.log10(max(run.end - run.start, 20) / 20))))


def _dear(run: Waterfall) -> Decimal:
    """A round amount that the dearest call exceeds."""
    most = max((row.span.cost or Decimal(0) for row in run.rows), default=Decimal(0))
    return Decimal(1).scaleb(most.adjusted()) if most else most


def _slower(run: Waterfall) -> Sequence[int]:
    slow = _slow(run)
    return [at for at, row in enumerate(run.rows) if row.span.end - row.span.start > slow]


def _dearer(run: Waterfall) -> Sequence[int]:
    dear = _dear(run)
    return [at for at, row in enumerate(run.rows) if row.span.cost and row.span.cost > dear]


_ONLY: Final[Mapping[str, Callable[[Waterfall], Sequence[int]]]] = {
    "errors": lambda run: run.errors,
    "critical": lambda run: run.critical_path,
    "slow": _slower,
    "dear": _dearer,
}


def _limits(run: Waterfall) -> list[tuple[str, str, str, int]]:
    """Filters by a limit of this run that some rows pass: name, limit (in microseconds, in USD), words, matches."""
    slow, dear = _slow(run), _dear(run)
    found = [
        ("slow", str(slow // 1000), f"slower than {formats.mark(slow)}", len(_slower(run))),
        ("dear", f"{dear:f}", f"dearer than ${dear:f}", len(_dearer(run))),
    ]
    return [each for each in found if 0 < each[3] < len(run.rows)]


def _printed(asked: Asked, run: Waterfall) -> dict[str, Any]:
    """All views at once, for paper."""
    decimals = formats.decimals_of(row.span.cost for row in run.rows)
    shown = range(min(len(run.rows), _PRINTED))
    return {"printed_rows": bars(run, shown, decimals), **run_views(asked, run)}
