"""Bounds on runs without their documents: one statement over the kept sums of all runs that are selected.

It finds what `decide` finds on the documents of the same runs.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import re2

from collector.config.checks import Bound
from collector.evals.evaluator import Evaluator
from collector.evals.values import plain
from collector.query.current import current_runs
from collector.query.limits import Reader
from collector.query.run_filter import RunFilter, hours_of
from collector.store.client import Store

_METRICS: Final = frozenset({"cost_usd", "duration_ms", "input_tokens", "output_tokens", "errors"})
_SELECTED: Final = ("agent", "feature", "model", "service", "user", "conversation")
_WHOLE: Final = 2**64
_SECOND: Final = 10**9


def needs_columns_only(evaluator: Evaluator) -> bool:
    """Whether what an evaluator decides stands in the sums of runs."""
    config = evaluator.config
    bound = isinstance(config.check, Bound) and config.check.metric in _METRICS
    return bound and config.on == "run" and not config.select.where


def count(reader: Reader, evaluator: Evaluator, project: str, period: RunFilter, now: int, *, again: bool) -> Any:
    """The columns of `evals_counts.sql`."""
    hours = hours_of(period.since, period.until)
    statement, of_runs = current_runs(reader, project).statement(
        "evals_counts", period, hours["floor"], hours["ceiling"]
    )
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
    """Add a verdict for every run that is selected. Raises Unavailable."""
    hours = hours_of(period.since, period.until)
    statement, of_runs = current_runs(reader, project).statement(
        "evaluate_runs", period, hours["floor"], hours["ceiling"]
    )
    check = evaluator.config.check
    assert isinstance(check, Bound), "as needs_columns_only says"
    parameters = {
        **_parameters(evaluator, project, period, now, again=again),
        "batch": batch,
        "at": now,
        "probability": evaluator.config.sample.rate,
        "max": _decimal(check.max),
        "min": _decimal(check.min),
        "max_text": "" if check.max is None else plain(check.max),
        "min_text": "" if check.min is None else plain(check.min),
    }
    store.command(statement, {**of_runs, **parameters})


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _parameters(evaluator: Evaluator, project: str, period: RunFilter, now: int, *, again: bool) -> Mapping[str, Any]:
    config = evaluator.config
    assert isinstance(config.check, Bound), "as needs_columns_only says"
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
        "metric": config.check.metric,
        "status": list(config.select.status),
        **{name: _expression(getattr(config.select, name)) for name in _SELECTED},
    }


def _expression(patterns: tuple[str, ...]) -> str:
    """RE2 for what one of `patterns` matches, in which `*` is any letters; empty without any."""
    return f"^(?s:{'|'.join('.*'.join(map(re2.escape, one.split('*'))) for one in patterns)})$" if patterns else ""
