"""The rows of a waterfall for templates: words, numbers, and bars as parts of the run's time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from collector.model.facts import Kind
from collector.runs.span import Span
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats

KINDS: Final = tuple(kind.value for kind in (Kind.AGENT, Kind.LLM, Kind.TOOL, Kind.EVAL, Kind.INTERNAL))
_MAX_DETAIL: Final = 60
_MIN_TEXTURE: Final = 0.6  # per cent of the run, under which a bar is drawn solid


@dataclass(frozen=True, slots=True)
class Bar:
    """One row. `x`, `width`, `tail` and `early` are parts of the time line, as attributes of SVG have them.

    `tail` is how long what is within goes on after the span; `early` is where its parent starts, if that is later.
    `within` is where its children run, which is drawn lighter: what is left is its own time.
    """

    span_id: str
    level: int
    kind: str
    name: str
    detail: str
    error: str
    duration: str
    tokens: str
    cost: str
    exact_cost: str
    is_sum: bool
    x: str
    width: str
    end: str
    tail: str
    early: str
    within: Sequence[tuple[str, str]]
    thin: bool
    critical: bool
    start: str
    group: str


def bars(run: Waterfall, shown: Sequence[int], decimals: int) -> list[Bar]:
    """Those rows of a run."""
    critical, rounds = set(run.critical_path), {at: number for number, at in enumerate(run.rounds, 1)}
    begin, length = run.start, max(run.end - run.start, 1)
    found, first_orphan = [], next(iter(run.orphans), None)
    for at in shown:
        row = run.rows[at]
        span = row.span
        is_sum = span.cost is None and (row.depth == 0 or span.kind == Kind.AGENT)
        cost = run.costs_below[at] if is_sum else span.cost
        tokens = run.tokens_below[at] if is_sum else 0 if span.rolled_up else span.input_tokens
        above = run.rows[row.parent].span if row.parent >= 0 else span
        before, after = above.start - span.start, run.ends_below[at] - span.end
        width = 100 * (span.end - span.start) / length
        pieces = covered(span, run.tree.children(span.span_id)) if span.kind != Kind.AGENT else ()
        found.append(
            Bar(
                span_id=span.span_id,
                level=row.depth + 1,
                kind=span.kind,
                name=span.label,
                detail=_detail(span, rounds.get(at), before),
                error=(run.messages.get(span.span_id, "") or "error")[:_MAX_DETAIL] if span.error else "",
                duration=formats.duration(span.end - span.start),
                tokens=formats.count(tokens) if tokens else "",
                cost="unpriced" if span.span_id in run.unpriced else formats.money(cost, decimals),
                exact_cost=formats.exact(cost),
                is_sum=is_sum and cost is not None,
                x=f"{100 * (span.start - begin) / length:.4f}%",
                width=f"{width:.4f}%",
                end=f"{100 * (span.end - begin) / length:.4f}%",
                tail=f"{100 * after / length:.4f}%" if after > 0 else "",
                early=f"{100 * (above.start - begin) / length:.4f}%" if before >= 1000 else "",
                within=[
                    (f"{100 * (x - begin) / length:.4f}%", f"{100 * (end - x) / length:.4f}%") for x, end in pieces
                ],
                thin=width < _MIN_TEXTURE,
                critical=at in critical,
                start=formats.duration(span.start - begin),
                group=f"parent not received ({len(run.orphans)})" if at == first_orphan else "",
            )
        )
    return found


def covered(span: Span, children: Sequence[Span]) -> list[tuple[int, int]]:
    """The time of a span in which its children run, as pieces in order that do not touch."""
    pieces: list[tuple[int, int]] = []
    for child in sorted(children, key=lambda one: one.start):
        begin, end = max(child.start, span.start), min(child.end, span.end)
        if pieces and begin <= pieces[-1][1]:
            pieces[-1] = pieces[-1][0], max(pieces[-1][1], end)
        elif begin < end:
            pieces.append((begin, end))
    return pieces


def legend(run: Waterfall) -> list[tuple[str, int]]:
    """Each kind there is, and how many spans are of it."""
    counts = {kind: len(run.of_kind(Kind(kind))) for kind in KINDS}
    return [(kind, number) for kind, number in counts.items() if number]


def _detail(span: Span, number: int | None, before: int) -> str:
    parts = [f"round {number}"] if number else []
    parts += ["same call reported above"] if span.rolled_up and span.kind == Kind.LLM else []
    parts += [f"starts {formats.duration(before)} before its parent"] if before >= 1000 else []
    return ", ".join(parts)
