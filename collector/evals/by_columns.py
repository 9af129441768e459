"""Checks without documents of runs: one statement each over all runs that are selected, from columns alone.

They find what `decide` finds on the documents of the same runs. Bounds of runs are read from their kept sums, what is
asked of spans from the rows of these.
"""

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import re2

from collector.config.checks import (
    Bound,
    Finish,
    OutputContains,
    OutputEquals,
    OutputRegex,
    OutputStartsWith,
    SpanQuery,
    SpanQueryCheck,
)
from collector.evals.evaluator import Evaluator
from collector.evals.figures import CUT_SHORT
from collector.evals.outputs import WORDS, shown, wanted_texts
from collector.evals.span_queries import wanted_count
from collector.evals.values import plain
from collector.query.current import current_runs
from collector.query.limits import Reader
from collector.query.run_filter import RunFilter, hours_of
from collector.store.client import Store

_METRICS: Final = frozenset({"cost_usd", "duration_ms", "input_tokens", "output_tokens", "errors"})
_SELECTED: Final = ("agent", "feature", "model", "service", "user", "conversation")
# Of a query of spans what needs no other span, and no value of an attribute: these are stored as texts.
_OF_ONE_SPAN: Final = frozenset(
    {
        "name_equals",
        "name_contains",
        "name_matches_regex",
        "kind",
        "operation",
        "tool",
        "agent",
        "model",
        "status",
        "has_attribute_keys",
        "min_duration",
        "max_duration",
    }
)
_WHOLE: Final = 2**64
_SECOND: Final = 10**9


class Statement(NamedTuple):
    """A statement by name, what is bound to it, and the query of spans that it asks."""

    name: str
    parameters: Mapping[str, Any]
    query: SpanQuery | None = None


def needs_columns_only(evaluator: Evaluator) -> bool:
    """Whether what an evaluator decides stands in columns of runs or spans."""
    return _statement(evaluator) is not None


def count(reader: Reader, evaluator: Evaluator, project: str, period: RunFilter, now: int, *, again: bool) -> Any:
    """The columns of `evals_counts.sql`."""
    hours = hours_of(period.since, period.until)
    statement, of_runs = current_runs(reader, project, *hours).statement("evals_counts", period, *hours)
    parameters = _parameters(evaluator, project, period, now, again=again)
    return reader.query(statement, {**of_runs, **parameters}).to_pylist()[0]


def judge(
    store: Store,
    reader: Reader,
    evaluator: Evaluator,
    project: str,
    period: RunFilter,
    now: int,
    batch: str,
    *,
    again: bool,
) -> None:
    """Add a verdict for every run, or span of a run, that is selected. Raises Unavailable."""
    asked = _statement(evaluator)
    assert asked is not None, "as needs_columns_only says"
    hours = hours_of(period.since, period.until)
    statement, of_runs = current_runs(reader, project, *hours).statement(asked.name, period, *hours)
    parameters = {
        **_parameters(evaluator, project, period, now, again=again),
        "batch": batch,
        "at": now,
        "probability": evaluator.config.sample.rate,
        **(_of_spans(evaluator, asked.query) if asked.query is not None else {}),
        **asked.parameters,
    }
    store.command(statement, {**of_runs, **parameters})


def _statement(evaluator: Evaluator) -> Statement | None:
    """What decides an evaluator; None when its runs have to be read."""
    config = evaluator.config
    where = config.select.where
    make = _STATEMENTS.get((config.on, config.check.kind))
    if make is None or len(where) > (config.on == "span") or not all(map(_is_of_one_span, where)):
        return None
    return make(config.check, where[0] if where else SpanQuery())


def _run_bound(check: Bound, _: SpanQuery) -> Statement | None:
    return Statement("evaluate_runs", _bounds(check)) if check.metric in _METRICS else None


def _span_bound(check: Bound, where: SpanQuery) -> Statement | None:
    return Statement("evaluate_span_bounds", _bounds(check), where) if check.metric in _METRICS else None


def _bounds(check: Bound) -> Mapping[str, Any]:
    return {
        "max": _decimal(check.max),
        "min": _decimal(check.min),
        "max_text": "" if check.max is None else plain(check.max),
        "min_text": "" if check.min is None else plain(check.min),
    }


def _span_texts(check: OutputContains | OutputEquals | OutputStartsWith, where: SpanQuery) -> Statement | None:
    if check.ignore_case or check.normalise:
        return None  # Unicode has more of that than the store
    texts = wanted_texts(check)
    is_so, is_not_so = WORDS[check.kind]
    parameters = {
        "how": check.kind,
        "texts": list(texts),
        "shown": [shown(text) for text in texts],
        "any": int(bool(check.any)),
        "is_so": is_so,
        "is_not_so": is_not_so,
    }
    return Statement("evaluate_span_texts", parameters, where)


def _span_pattern(check: OutputRegex, where: SpanQuery) -> Statement:
    text = f"^(?:{check.pattern})\\z" if check.full else check.pattern
    flags = "i-s" if check.ignore_case else "-s"
    parameters = {"pattern": f"^((?s:.*?))((?{flags}:{text}))", "shown_pattern": shown(check.pattern)}
    return Statement("evaluate_span_patterns", parameters, where)


def _span_finish(check: Finish, where: SpanQuery) -> Statement:
    parameters = {"allowed": [one.lower() for one in check.allowed], "cut_short": list(CUT_SHORT)}
    return Statement("evaluate_span_finishes", parameters, where)


def _span_count(check: SpanQueryCheck, _: SpanQuery) -> Statement | None:
    if not _is_of_one_span(check.query):
        return None
    parameters = {"least": check.count.min, "most": check.count.max, "wanted": wanted_count(check)}
    return Statement("evaluate_span_counts", parameters, check.query)


_STATEMENTS: Final[Mapping[tuple[str, str], Callable[[Any, SpanQuery], Statement | None]]] = {
    ("run", "bound"): _run_bound,
    ("run", "span_query"): _span_count,
    ("span", "bound"): _span_bound,
    ("span", "output_contains"): _span_texts,
    ("span", "output_equals"): _span_texts,
    ("span", "output_starts_with"): _span_texts,
    ("span", "output_regex"): _span_pattern,
    ("span", "finish"): _span_finish,
}


def _is_of_one_span(query: SpanQuery) -> bool:
    return all(name in _OF_ONE_SPAN or getattr(query, name) is None for name in query.model_fields_set)


def _of_spans(evaluator: Evaluator, query: SpanQuery) -> Mapping[str, Any]:
    """The parameters of `evals_spans.sql`."""
    return {
        "target": evaluator.config.on,
        "name_equals": query.name_equals,
        "name_contains": query.name_contains,
        "name_matches": f"(?-s:{query.name_matches_regex})" if query.name_matches_regex else "",
        "kind": query.kind,
        "operation": query.operation,
        "tool": query.tool,
        "span_agent": query.agent,
        "span_model": query.model,
        "failed": None if query.status is None else int(query.status == "error"),
        "keys": list(query.has_attribute_keys),
        "min_duration": None if query.min_duration is None else query.min_duration * _SECOND,
        "max_duration": None if query.max_duration is None else query.max_duration * _SECOND,
    }


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _parameters(evaluator: Evaluator, project: str, period: RunFilter, now: int, *, again: bool) -> Mapping[str, Any]:
    config = evaluator.config
    return {
        "project": project,
        "since": period.since,
        "until": period.until,
        "evaluator": evaluator.name,
        "revision": evaluator.revision,
        "again": int(again),
        "by": config.sample.by,
        "everyone": int(config.sample.rate >= 1),
        "draw": min(math.ceil(config.sample.rate * _WHOLE), _WHOLE - 1),
        "settled": int(now - config.settle * _SECOND),
        "metric": config.check.metric if isinstance(config.check, Bound) else "errors",
        "status": list(config.select.status),
        **{name: _expression(getattr(config.select, name)) for name in _SELECTED},
    }


def _expression(patterns: tuple[str, ...]) -> str:
    """RE2 for what one of `patterns` matches, in which `*` is any letters; empty without any."""
    return f"^(?s:{'|'.join('.*'.join(map(re2.escape, one.split('*'))) for one in patterns)})$" if patterns else ""
