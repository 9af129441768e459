"""What rolling windows lead to. Whoever looks at the same calls finds the same crossings, now or in an hour."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.budgets.events import State, crossed
from collector.budgets.ledger import HORIZON_NS, Ledger, Posted
from collector.budgets.ledger_account import OTHER
from collector.budgets.periods import Period, Rolling
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import Amount
from collector.budgets.windows import Crossing, StepSums, levels, look, times_over
from collector.model.budgets import BudgetEvent, Line, Scope

# The lines on record are gone through once in a while, so many at a time.
_VISIT_EVERY_NS = 60 * 1_000_000_000
_LINES_AT_ONCE = 500
# Of so many crossings in a rule it is asked when they were, where that is longer ago than what is kept.
_ASKED = 100

# What a scope has spent in steps, by their start, as the store says.
Earlier = Callable[[Rule, Scope, Sequence[int]], Mapping[int, Mapping[Scope, Amount]]]
_MAX_MEMORY_NS = 86_400 * 1_000_000_000


@dataclass(slots=True)
class Touched:
    """Steps of a scope have changed: the first of them, what was posted last, and whether all that was more spend."""

    first: int
    posted: Posted
    grown: bool


@dataclass(slots=True)
class Findings:
    """Events to record, and the steps that speak for lines from then on."""

    events: list[BudgetEvent] = field(default_factory=list)
    notified: dict[Line, int | None] = field(default_factory=dict)


class Windows:
    """Not thread-safe. `notified`: the lines on record with the step last notified; its owner keeps it up to date."""

    def __init__(self, ledger: Ledger, notified: Mapping[Line, int], earlier: Earlier) -> None:
        self._ledger = ledger
        self._earlier = earlier
        self._notified = notified
        # The latest step at which spend was seen to be over a line that was told of.
        self._seen_over: dict[Line, int] = {}
        self._entered: dict[str, int] = {}
        self._unvisited: list[Line] = []
        self._visit_at = 0

    def touched(
        self, rule: Rule, schedule: Rolling, changed: Mapping[Scope, Touched], now: int, findings: Findings
    ) -> None:
        """Find what changed sums lead to."""
        scopes = [scope for scope, one in changed.items() if self._may_lead_on(rule, schedule, scope, one, now)]
        self._look_at(rule, schedule, scopes, now, findings, {scope: changed[scope].posted for scope in scopes})

    def all(self, rule: Rule, schedule: Rolling, now: int, findings: Findings, *, ended: bool) -> None:
        """Find what the sums as they are lead to; `ended`: also where spend is under the line again."""
        spent = self._ledger.scopes(rule, schedule.kept(now) if ended else schedule.window(now))
        scopes = [scope for scope, amount in spent.items() if _reaches_some(rule, scope, amount)]
        self._look_at(rule, schedule, scopes, now, findings, ended=ended, asking=_ASKED)

    def passed(self, rule: Rule, schedule: Rolling, now: int, findings: Findings) -> None:
        """Find what time alone leads to: steps have come to which calls were dated ahead."""
        step = schedule.bucket(now)
        before = self._entered.setdefault(rule.name, step)
        if step <= before:
            return
        first = max(before, step - schedule.memory_ns) + schedule.step_ns
        scopes: set[Scope] = set()
        for start in range(first, step + 1, schedule.step_ns):
            scopes.update(self._ledger.cells(rule, start))
        self._look_at(rule, schedule, scopes, now, findings)
        self._entered[rule.name] = step

    def visit(self, rules: Rules, now: int, findings: Findings) -> None:
        """Look at some of the lines on record that were told of long ago: whether spend is under them again."""
        if not self._unvisited:
            if now < self._visit_at:
                return
            self._visit_at = now + _VISIT_EVERY_NS
            self._unvisited = list(self._notified)
        some, self._unvisited = self._unvisited[:_LINES_AT_ONCE], self._unvisited[_LINES_AT_ONCE:]
        scopes: dict[Rule, set[Scope]] = {}
        for line in some:
            rule = rules.find(line.budget)
            notified = self._notified.get(line, now)
            if rule and isinstance(rule.schedule, Rolling) and _is_of(rule, line):
                if notified < rule.schedule.bucket(now) - rule.schedule.memory_ns:
                    scopes.setdefault(rule, set()).add(line.scope)
            elif notified < now - _MAX_MEMORY_NS:
                findings.notified[line] = None  # of a budget or a limit that is no more
        for rule, several in scopes.items():
            assert isinstance(rule.schedule, Rolling)
            self._look_at(rule, rule.schedule, several, now, findings)

    def _may_lead_on(self, rule: Rule, schedule: Rolling, scope: Scope, one: Touched, now: int) -> bool:
        """Whether there may be something to find; a window after the change never held more than `most`."""
        step, window = schedule.bucket(now), schedule.window(now)
        spent = most = self._ledger.spend_in(rule, scope, window)
        if one.first < step:
            left = Period(one.first + schedule.step_ns - schedule.length_ns, window.start)
            for _, amount in self._ledger.steps(rule, [scope], left)[scope]:
                most = most.plus(amount)
        may = False
        for level in levels(rule, scope):
            line = level.line_of(rule, scope)
            if one.grown and level.measure(rule, most) < level.needed:
                continue
            still_over = line in self._notified and level.measure(rule, spent) >= level.needed
            if one.grown and still_over and self._seen_over.get(line, 0) >= step - schedule.step_ns:
                self._seen_over[line] = step
                continue
            may = may or line in self._notified or level.measure(rule, most) >= level.needed
        return may

    def _look_at(
        self,
        rule: Rule,
        schedule: Rolling,
        scopes: Collection[Scope],
        now: int,
        findings: Findings,
        posted: Mapping[Scope, Posted] | None = None,
        *,
        ended: bool = True,
        asking: int = 0,
    ) -> None:
        if not scopes:
            return
        step = schedule.bucket(now)
        whole, sums = self._known(rule, scopes, step + schedule.step_ns, now)
        since = min(step, whole + schedule.length_ns - schedule.step_ns)
        for scope in scopes:
            seen = look(rule, schedule, scope, sums[scope], self._notified, since, now)
            for crossed_line in seen.crossings:
                crossing = crossed_line
                if ended or step in crossing.over:
                    if crossing.over.start == since and asking:
                        asking -= 1
                        crossing = self._begun(rule, schedule, crossing, sums[scope], whole, now)
                    state = self._state(rule, schedule, crossed_line, now)
                    findings.events.append(crossed(state, crossing, schedule.step_ns, (posted or {}).get(scope)))
            for line, notified in seen.notified.items():
                if notified is None:
                    self._seen_over.pop(line, None)
                if notified is not None or line in self._notified:
                    findings.notified[line] = notified
            for line in seen.over:
                self._seen_over[line] = step

    def _known(self, rule: Rule, scopes: Collection[Scope], end: int, now: int) -> tuple[int, Mapping[Scope, StepSums]]:
        """The first step from which on all are known, and what these scopes have spent in each up to `end`."""
        while True:
            whole = self._ledger.whole_from(rule, now)
            sums = self._ledger.steps(rule, scopes, Period(whole, end))
            if self._ledger.whole_from(rule, now) == whole:  # else the drain has given up steps meanwhile
                return whole, sums

    def _begun(
        self, rule: Rule, schedule: Rolling, crossing: Crossing, sums: StepSums, whole: int, now: int
    ) -> Crossing:
        """The crossing by the step in which its time over the line began, further back than what is kept."""
        scope, last, sums = crossing.line.scope, crossing.over.end, list(sums)
        (level,) = (level for level in levels(rule, scope) if level.line_of(rule, scope) == crossing.line)
        over, horizon = crossing.over, now - HORIZON_NS
        while OTHER not in scope and whole > horizon:
            starts = range(whole - schedule.length_ns, whole, schedule.step_ns)
            whole = starts[0]
            earlier = self._earlier(rule, scope, starts)
            sums += [(start, cells[scope]) for start, cells in earlier.items() if start in starts and scope in cells]
            values = [(start, level.measure(rule, amount)) for start, amount in sums]
            since = whole + schedule.length_ns - schedule.step_ns
            (over,) = (time for time in times_over(values, schedule, level.needed, since, now) if last - 1 in time)
            if over.start > since:
                break
        return replace(crossing, over=over)

    def _state(self, rule: Rule, schedule: Rolling, crossing: Crossing, now: int) -> State:
        """The window now, or where spend is under the line again, the one that crossed it as far as steps are kept."""
        over, scope = crossing.over, crossing.line.scope
        window = schedule.window(now if now in over else over.start)
        return State(rule, scope, window, self._ledger.spend_in(rule, scope, window), now)


def _is_of(rule: Rule, line: Line) -> bool:
    return any(level.line_of(rule, line.scope) == line for level in levels(rule, line.scope))


def _reaches_some(rule: Rule, scope: Scope, amount: Amount) -> bool:
    return any(level.measure(rule, amount) >= level.needed for level in levels(rule, scope))
