"""Checks by their kind: the settings of one, a run or span, and what is found."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog

from collector.evals.commands import check_command
from collector.evals.evaluator import Evaluator
from collector.evals.figures import check_bound, check_finish
from collector.evals.finding import Finding, error, every, opposite, some
from collector.evals.outputs import check_json, check_regex, check_texts
from collector.evals.paths import check_tool_path
from collector.evals.span_queries import check_span_query
from collector.evals.subject import Subject
from collector.evals.waste import check_redundancy

log = structlog.get_logger("spanmeter.evals")

_CHECKS: Final[Mapping[str, Callable[[Any, Subject], Finding]]] = {
    "output_contains": check_texts,
    "output_equals": check_texts,
    "output_starts_with": check_texts,
    "output_regex": check_regex,
    "output_json": check_json,
    "bound": check_bound,
    "tool_path": check_tool_path,
    "span_query": check_span_query,
    "redundancy": check_redundancy,
    "finish": check_finish,
    "all": lambda check, subject: every([decide(one, subject) for one in check.all]),
    "any": lambda check, subject: some([decide(one, subject) for one in check.any]),
    "not": lambda check, subject: opposite(decide(check.not_, subject)),
}
# What the functions above decide; the others need a model, a program or a sender.
DECIDED: Final = frozenset(_CHECKS)
COMMAND: Final = "command"


def deciding(evaluators: Iterable[Evaluator], *, commands: bool) -> list[Evaluator]:
    """Those that are decided here; those that start a program only if they may."""
    return [
        one for one in evaluators if one.config.check.kind in DECIDED or (commands and one.config.check.kind == COMMAND)
    ]


def decide(check: Any, subject: Subject) -> Finding:
    """What a check finds. A check that cannot be carried out is an error, and never a verdict."""
    try:
        return check_command(check, subject) if check.kind == COMMAND else _CHECKS[check.kind](check, subject)
    except ValueError as problem:
        return error("evaluator", str(problem))
    except Exception as problem:
        log.exception("A check failed.", kind=check.kind)
        return error("internal", f"The check failed: {type(problem).__name__}.")
