"""What rolling windows lead to. Whoever looks at the same calls finds the same crossings, now or in an hour."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.budgets.events import State, crossed
from collector.budgets.ledger import OTHER, Changes, LedgerReader, Posted
from collector.budgets.periods import HORIZON_NS, Period, Rolling
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import Amount
from collector.budgets.windows import Crossing, StepSums, levels, look, times_over
from collector.model.budgets import Line, Scope
from collector.spending.alerting.strategy import Findings

# The lines on record are gone through once in a while, so many at a time.
_VISIT_EVERY_NS = 60 * 1_000_000_000
_LINES = 500
# Of so many crossings in a rule it is asked when they were, where that is longer ago than what is kept.
_ASKED = 100

# What a scope has spent in steps, by their start, as the store has it.
Earlier = Callable[[Rule, Scope, Sequence[int]], Mapping[int, Mapping[Scope, Amount]]]
_MAX_MEMORY_NS = 86_400 * 1_000_000_000


@dataclass(slots=True)
class Touched:
    """Steps of a scope have changed: the first of them, what was posted last, and whether all that was more spend."""

    first: int
    posted: Posted
    grown: bool


class RollingStrategy:
    """The strategy for rolling windows."""

    def __init__(self, ledger: LedgerReader, notified: Mapping[Line, int], earlier: Earlier) -> None:
        """`notified`: the lines on record with the step last notified; its owner keeps it up to date."""
        self._rules = Rules(())
        self._ledger = ledger
        self._earlier = earlier
        self._notified = notified
        # The latest step at which spend was seen to be over a line that was notified.
        self._seen_over: dict[Line, int] = {}
        self._entered: dict[str, int] = {}
        self._unvisited: list[Line] = []
        self._visit_at = 0

    def use(self, rules: Rules) -> None:
        self._rules = rules

    def names(self) -> list[str]:
        return list(self._rules.rolling)

    def changed(self, changes: Changes, now: int, findings: Findings) -> None:
        for name, touched in self._touched(changes, now).items():
            rule, schedule = self._rules.rolling[name]
            posted = {
                scope: change.posted
                for scope, change in touched.items()
                if self._may_lead_on(rule, schedule, scope, change, now)
            }
            self._look_at(rule, schedule, posted, now, findings, posted)

    def _touched(self, changes: Changes, now: int) -> dict[str, dict[Scope, Touched]]:
        """What was posted to the steps of windows, by rule and scope."""
        touched: dict[str, dict[Scope, Touched]] = {}
        for (name, scope, start), posted in changes.posted.items():
            if name in self._rules.rolling:
                rule, schedule = self._rules.rolling[name]
                counted_as = self._ledger.counted_as(rule, scope, schedule.window(now))
                of_rule = touched.setdefault(name, {})
                before = of_rule.get(counted_as, Touched(start, posted, grown=True))
                of_rule[counted_as] = Touched(min(before.first, start), posted, before.grown and posted.grown)
        return touched

    def everything(self, name: str, now: int, findings: Findings, *, ended: bool) -> None:
        """`ended`: also where spend is under the line again."""
        rule, schedule = self._rules.rolling[name]
        spent = self._ledger.scopes(rule, schedule.kept(now) if ended else schedule.window(now))
        scopes = [scope for scope, amount in spent.items() if _reaches_some(rule, scope, amount)]
        self._look_at(rule, schedule, scopes, now, findings, ended=ended, asking=_ASKED)

    def passed(self, name: str, now: int, findings: Findings) -> None:
        """Steps have come to which calls were dated ahead."""
        rule, schedule = self._rules.rolling[name]
        step = schedule.bucket(now)
        before = self._entered.setdefault(name, step)
        if step <= before:
            return
        first = max(before, step - schedule.memory_ns) + schedule.step_ns
        scopes: set[Scope] = set()
        for start in range(first, step + 1, schedule.step_ns):
            scopes.update(self._ledger.cells(rule, start))
        self._look_at(rule, schedule, scopes, now, findings)
        self._entered[name] = step

    def sweep(self, now: int, findings: Findings) -> None:
        """Look at some of the lines on record that were notified long ago: whether spend is under them again."""
        if not self._unvisited:
            if now < self._visit_at:
                return
            self._visit_at = now + _VISIT_EVERY_NS
            self._unvisited = list(self._notified)
        visited, self._unvisited = self._unvisited[:_LINES], self._unvisited[_LINES:]
        scopes: dict[str, set[Scope]] = {}
        for line in visited:
            rule, schedule = self._rules.rolling.get(line.budget, (None, None))
            notified = self._notified.get(line, now)
            if rule and schedule and _is_of(rule, line):
                if notified < schedule.bucket(now) - schedule.memory_ns:
                    scopes.setdefault(rule.name, set()).add(line.scope)
            elif notified < now - _MAX_MEMORY_NS:
                findings.notified[line] = None  # of a budget or a limit that is no more
        for name, several in scopes.items():
            self._look_at(*self._rules.rolling[name], several, now, findings)

    def _may_lead_on(self, rule: Rule, schedule: Rolling, scope: Scope, change: Touched, now: int) -> bool:
        """Whether there may be something to find; a window after the change never held more than `highest`."""
        step, window = schedule.bucket(now), schedule.window(now)
        spent = highest = self._ledger.spend_in(rule, scope, window)
        if change.first < step:
            left = Period(change.first + schedule.step_ns - schedule.length_ns, window.start)
            for _, amount in self._ledger.by_slot(rule, [scope], left)[scope]:
                highest = highest.plus(amount)
        may = False
        for level in levels(rule, scope):
            line = level.line_of(rule, scope)
            if change.grown and level.measure(rule, highest) < level.needed:
                continue
            still_over = line in self._notified and level.measure(rule, spent) >= level.needed
            if change.grown and still_over and self._seen_over.get(line, 0) >= step - schedule.step_ns:
                self._seen_over[line] = step
                continue
            may = may or line in self._notified or level.measure(rule, highest) >= level.needed
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
        first, sums = self._known(rule, schedule, scopes, now)
        since = min(step, first + schedule.length_ns - schedule.step_ns)
        for scope in scopes:
            seen = look(rule, schedule, scope, sums[scope], self._notified, since, now)
            for crossed_line in seen.crossings:
                crossing = crossed_line
                if ended or step in crossing.over:
                    if crossing.over.start == since and asking:
                        asking -= 1
                        crossing = self._begun(rule, schedule, crossing, sums[scope], first, now)
                    state = self._state(rule, schedule, crossed_line, now)
                    findings.events.append(crossed(state, crossing, schedule.step_ns, (posted or {}).get(scope)))
            for line, notified in seen.notified.items():
                if notified is None:
                    self._seen_over.pop(line, None)
                if notified is not None or line in self._notified:
                    findings.notified[line] = notified
            for line in seen.over:
                self._seen_over[line] = step

    def _known(
        self, rule: Rule, schedule: Rolling, scopes: Collection[Scope], now: int
    ) -> tuple[int, Mapping[Scope, StepSums]]:
        """The first step from which on all are known, and what these scopes have spent in each up to that of `now`."""
        kept = schedule.kept(now)
        while True:
            first = max(kept.start, self._ledger.complete_from(rule))
            sums = self._ledger.by_slot(rule, scopes, Period(first, kept.end))
            if max(kept.start, self._ledger.complete_from(rule)) == first:  # else steps were given up meanwhile
                return first, sums

    def _begun(
        self, rule: Rule, schedule: Rolling, crossing: Crossing, sums: StepSums, first: int, now: int
    ) -> Crossing:
        """The crossing by the step in which its time over the line began, further back than what is kept."""
        scope, last, sums = crossing.line.scope, crossing.over.end, list(sums)
        (level,) = (level for level in levels(rule, scope) if level.line_of(rule, scope) == crossing.line)
        over, horizon = crossing.over, now - HORIZON_NS
        while OTHER not in scope and first > horizon:
            starts = range(first - schedule.length_ns, first, schedule.step_ns)
            first = starts[0]
            earlier = self._earlier(rule, scope, starts)
            sums += [(start, cells[scope]) for start, cells in earlier.items() if start in starts and scope in cells]
            values = [(start, level.measure(rule, amount)) for start, amount in sums]
            since = first + schedule.length_ns - schedule.step_ns
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
