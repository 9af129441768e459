"""The path of tools that a run took, held against the one that is expected.

A step and an action agree by name and, where the step has some, by arguments. What order does not decide is a maximum
matching: no action is given to a step that another step needs more.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Final

from collector.config.checks import Step, ToolPath
from collector.config.patterns import nodes, violation
from collector.evals.finding import MAX_EVIDENCE, Finding, found, skipped
from collector.evals.outputs import mismatch
from collector.evals.subject import Subject
from collector.evals.values import equal, parsed, with_defaults, within
from collector.model.evaluations import Evidence, Skip, cite
from collector.model.facts import Kind
from collector.runs import Round
from collector.runs.names import agree

# Beyond so many pairs of steps and actions no score is made.
_MAX_PAIRS: Final = 1_000_000


@dataclass(frozen=True)
class Taken:
    """A tool that was called. `span_id` is that of its run, or of the call that asked for it."""

    tool: str
    arguments: str = ""
    span_id: str = ""
    round: int = 0
    error: bool = False

    @cached_property
    def value(self) -> Any:
        return parsed(self.arguments) if self.arguments else {}

    def __str__(self) -> str:
        return f"{self.tool} (round {self.round})"


Agrees = Callable[[Step, Taken], bool]


def check_tool_path(check: ToolPath, subject: Subject) -> Finding:
    """Whether the path that was taken is as expected."""
    path = taken(check, subject)
    if path is None:
        return skipped(Skip.NO_DATA, "Nothing tells which tools it called.")
    actions, source = path
    compared = _without_failed(actions, check.failed)
    if _needs_arguments(check) and compared and not any(action.arguments for action in compared):
        return skipped(Skip.NO_DATA, "The arguments of its tools are not known.")
    agrees = Agreement(check)
    problem = _limits(check, actions, compared) or _MODES[check.mode](check, compared, agrees)
    score = _score(check, compared, agrees)
    if problem is None:
        words = ", ".join(map(str, compared[:MAX_EVIDENCE])) or "no tool"
        return found(
            True, f"The {source} path is as expected: {words}.", list(map(_cited, compared[:MAX_EVIDENCE])), score
        )
    reason, action = problem
    evidence = [_cited(action)] if action else list(map(_cited, compared[:MAX_EVIDENCE]))
    return found(False, f"{reason} ({source} path).", evidence, score)


def taken(check: ToolPath, subject: Subject) -> tuple[list[Taken], str] | None:
    """The tools that were called, in order, and whether spans tell of them or answers; None when neither does."""
    rounds = [one for one in subject.run.rounds if _is_meant(one, check, subject)]
    executed = [action for one in rounds for action in _executed(one)]
    if executed and check.path != "requested":
        return executed, "executed"
    requested = [action for one in rounds for action in _requested(one)]
    if requested and check.path != "executed":
        return requested, "requested"
    if check.path == "executed":
        return None
    calls = [one for one in rounds if one.call]
    return ([], "requested") if calls and all(one.call.output for one in calls if one.call) else None


def _executed(one: Round) -> Iterator[Taken]:
    for action in one.actions:
        if action.span.kind in (Kind.TOOL, Kind.AGENT):
            name = action.asked.name if action.span.kind == Kind.AGENT and action.asked else action.name
            yield Taken(name, action.arguments, action.span.span_id, one.number, action.error)


def _requested(one: Round) -> Iterator[Taken]:
    span_id = one.call.span.span_id if one.call else ""
    return (Taken(asked.name, asked.arguments, span_id, one.number) for asked in one.requests)


def _is_meant(one: Round, check: ToolPath, subject: Subject) -> bool:
    """Whether a round is of the agent that is asked for, or of the run itself."""
    if not check.agent:
        return check.depth == "all" or one in subject.top_rounds or one.call is None
    owner = subject.tree.spans.get(one.owner)
    above = [owner, *subject.tree.ancestors(one.owner)] if owner else []
    agents = [span.agent_name for span in above if span.kind == Kind.AGENT]
    return check.agent in (agents if check.depth == "all" else agents[:1])


def _without_failed(actions: Sequence[Taken], failed: str) -> list[Taken]:
    if failed == "count":
        return list(actions)
    good = {}
    for position, action in enumerate(actions):
        if not action.error:
            good[action.tool] = position
    return [
        action
        for position, action in enumerate(actions)
        if not action.error or (failed == "made_good" and good.get(action.tool, -1) < position)
    ]


class Agreement:
    """Whether a step and an action agree, by the settings of a path."""

    def __init__(self, check: ToolPath) -> None:
        self._check = check

    def __call__(self, step: Step, action: Taken) -> bool:
        if step.tool != action.tool and not agree(step.tool, action.tool):
            return False
        if step.schema_ is not None and violation(step.schema_, action.value):
            return False
        if any(mismatch(expected, nodes(path, action.value)) for path, expected in step.at.items()):
            return False
        return step.arguments is None or arguments_agree(step, action.value, step.match or self._check.arguments)


def arguments_agree(step: Step, value: Any, mode: str) -> bool:
    """Whether arguments are as a step has them."""
    if mode == "ignore":
        return True
    expected = with_defaults(step.arguments, step.defaults, step.ignore)
    actual = with_defaults(value, step.defaults, step.ignore)
    return equal(expected, actual) if mode == "exact" else within(expected, actual)


def _needs_arguments(check: ToolPath) -> bool:
    return any(
        bool(step.arguments and (step.match or check.arguments) != "ignore")
        or step.schema_ is not None
        or bool(step.at)
        for batch in check.steps
        for step in batch
    )


Problem = tuple[str, Taken | None]


def _limits(check: ToolPath, actions: Sequence[Taken], compared: Sequence[Taken]) -> Problem | None:
    """Failed attempts count too."""
    if check.max_actions is not None and len(actions) > check.max_actions:
        return f"{len(actions)} calls of tools, more than {check.max_actions}", actions[check.max_actions]
    for tool, most in check.max_repeats.items():
        called = [action for action in actions if action.tool == tool or agree(tool, action.tool)]
        if len(called) > most:
            return f"{tool} is called {len(called)} times, more than {most}", called[most]
    for tool, at, word in ((check.first, 0, "first"), (check.last, -1, "last")):
        if tool and not (compared and (compared[at].tool == tool or agree(tool, compared[at].tool))):
            return f"{tool} is not called {word}", compared[at] if compared else None
    return None


def _exact(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    if not check.steps:
        return None
    expected = check.steps if check.batched else [[step] for step in _flat(check)]
    actual = _batches(actions) if check.batched else [[action] for action in actions]
    for number, (steps, batch) in enumerate(zip(expected, actual, strict=False), 1):
        if len(steps) == len(batch) == 1 and not agrees(steps[0], batch[0]):
            return f"{batch[0]} stands where {steps[0].tool}{_with(steps[0])} is expected", batch[0]
        if problem := _same_in(steps, batch, agrees, f" in batch {number}"):
            return problem
    if len(actual) > len(expected):
        return f"{actual[len(expected)][0]} is more than expected", actual[len(expected)][0]
    return (f"{_named(expected[len(actual)])} is missing at the end", None) if len(actual) < len(expected) else None


def _in_order(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    """Expected batches are found one after the other, each in one round; the earliest that will do is never wrong."""
    units = _batches(actions) if check.batched else [[action] for action in actions]
    at = 0
    for batch in check.steps:
        while at < len(units) and len(matching(batch, units[at], agrees)) < len(batch):
            at += 1
        if at == len(units):
            after = f" after {units[-1][-1]}" if units and batch is not check.steps[0] else ""
            known = next((action for action in actions if any(agrees(step, action) for step in batch)), None)
            if known:
                return f"{known} stands in the wrong place", known
            return f"{_named(batch)} is missing{after}", None
        at += 1
    return None


def _same(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    return _same_in(_flat(check), actions, agrees) if check.steps else None


def _same_in(steps: Sequence[Step], actions: Sequence[Taken], agrees: Agrees, where: str = "") -> Problem | None:
    return _missing(steps, actions, agrees, where) or _extra(steps, actions, agrees, where)


def _at_least(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    return _missing(_flat(check), actions, agrees)


def _at_most(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    return _extra(_flat(check), actions, agrees)


def _never(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> Problem | None:
    called = next((action for action in actions if any(agrees(step, action) for step in _flat(check))), None)
    return (f"{called} is called", called) if called else None


def _missing(steps: Sequence[Step], actions: Sequence[Taken], agrees: Agrees, where: str = "") -> Problem | None:
    met = matching(steps, actions, agrees)
    if len(met) == len(steps):
        return None
    step = next(step for position, step in enumerate(steps) if position not in met)
    near = next((action for action in actions if action.tool == step.tool), None)
    return f"{step.tool}{_with(step)} is missing{where}", near


def _extra(steps: Sequence[Step], actions: Sequence[Taken], agrees: Agrees, where: str = "") -> Problem | None:
    met = set(matching(steps, actions, agrees).values())
    if len(met) == len(actions):
        return None
    action = next(action for position, action in enumerate(actions) if position not in met)
    return f"{action} is more than expected{where}", action


_MODES: Final[dict[str, Callable[[ToolPath, Sequence[Taken], Agrees], Problem | None]]] = {
    "exact": _exact,
    "in_order": _in_order,
    "same": _same,
    "at_least": _at_least,
    "at_most": _at_most,
    "never": _never,
}


def matching(steps: Sequence[Step], actions: Sequence[Taken], agrees: Agrees) -> dict[int, int]:
    """As many steps as possible with an action each: positions of steps, and of their actions."""
    may = [[at for at, action in enumerate(actions) if agrees(step, action)] for step in steps]
    step_of: dict[int, int] = {}
    for position in range(len(steps)):
        _augment(position, may, step_of)
    return {position: at for at, position in step_of.items()}


def _augment(start: int, may: Sequence[Sequence[int]], step_of: dict[int, int]) -> None:
    """Find an action for the step `start`, moving others to other actions where that takes it."""
    came_from: dict[int, int] = {}  # by action: the step that would take it
    waiting = [start]
    for step in waiting:
        for at in may[step]:
            if at in came_from:
                continue
            came_from[at] = step
            if at in step_of:
                waiting.append(step_of[at])
                continue
            _give(at, start, came_from, step_of)
            return


def _give(at: int, start: int, came_from: dict[int, int], step_of: dict[int, int]) -> None:
    held = {step: action for action, step in step_of.items()}
    while True:
        step = came_from[at]
        step_of[at] = step
        if step == start:
            return
        at = held[step]


def _score(check: ToolPath, actions: Sequence[Taken], agrees: Agrees) -> float | None:
    """F1 of the steps: in order by the longest common subsequence, else by the matching."""
    if check.mode == "never" or not check.steps:
        return None
    steps = _flat(check)
    if len(steps) * len(actions) > _MAX_PAIRS:
        return None
    in_order = check.mode in ("exact", "in_order")
    common = common_length(steps, actions, agrees) if in_order else len(matching(steps, actions, agrees))
    return f1(common, len(actions), len(steps))


def f1(common: int, actual: int, expected: int) -> float:
    """The harmonic mean of precision and recall: of two empty paths 1, of one empty path 0."""
    if not actual and not expected:
        return 1.0
    return 2 * common / (actual + expected)


def common_length(steps: Sequence[Step], actions: Sequence[Taken], agrees: Agrees) -> int:
    """How long the longest common subsequence is."""
    row = [0] * (len(actions) + 1)
    for step in steps:
        before = row
        row = [0]
        for at, action in enumerate(actions):
            row.append(before[at] + 1 if agrees(step, action) else max(row[at], before[at + 1]))
    return row[-1]


def _flat(check: ToolPath) -> list[Step]:
    return [step for batch in check.steps for step in batch]


def _batches(actions: Sequence[Taken]) -> list[list[Taken]]:
    return [list(batch) for _, batch in groupby(actions, key=lambda action: action.round)]


def _named(batch: Sequence[Step]) -> str:
    counted = Counter(step.tool for step in batch)
    return ", ".join(f"{tool} x {count}" if count > 1 else tool for tool, count in counted.items())


def _with(step: Step) -> str:
    text = "" if step.arguments is None else repr(step.arguments)
    return f" with {text[:80]}" if text else ""


def _cited(action: Taken) -> Evidence:
    return cite(action.span_id, "ToolName", action.tool)
