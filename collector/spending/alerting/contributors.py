"""What only the store knows of an event, added to it after it is durable and before it is sent."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import structlog

from collector.budgets.ledger import OTHER
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Rules, Unit
from collector.budgets.views import Share
from collector.errors import Unavailable
from collector.model.budgets import BudgetEvent, Scope
from collector.model.clock import Clock
from collector.model.money import usd_text

log = structlog.get_logger("spanmeter.budgets")

_EVENTS = 1_000
_CONTRIBUTORS = 5
# Those that have a receiver are sent long before.
_GIVEN_UP_AFTER_NS = 60 * 1_000_000_000

# What was spent most on in a period, for each of some scopes of a rule. Blocking; raises Unavailable.
Top = Callable[[Rule, Collection[Scope], Period, int], Mapping[Scope, Sequence[Share]]]
# The same, as far as it is known without asking the store: at once, or None.
Known = Callable[[Rule, Collection[Scope], Period, int], Mapping[Scope, Sequence[Share]] | None]


class EventsWithoutContributors(Protocol):
    """The outbox, as far as events wait there."""

    def without_contributors(self, limit: int) -> Sequence[BudgetEvent]:
        """Events that lack what only the store knows, oldest first."""

    def add_contributors(self, more: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to the data of events, by id, and let them go."""


class Contributors:
    """Describes events off the way on which they are decided: nobody waits for the store but they, and not for long."""

    def __init__(
        self,
        rules: Rules,
        outbox: EventsWithoutContributors,
        clock: Clock,
        top: Top,
        has_contributors: Callable[[], None],
    ) -> None:
        """`has_contributors` is called when events may be sent."""
        self._clock = clock
        self._rules = rules
        self._outbox = outbox
        self._top = top
        self._notify = has_contributors

    def use(self, rules: Rules) -> None:
        """Read events by these rules from now on."""
        self._rules = rules

    def work(self) -> None:
        """Describe what waits. While the store does not answer, it is asked again, until events are too old for it."""
        waiting = self._outbox.without_contributors(_EVENTS)
        groups = _by_period(self._rules, waiting)
        notified = {event.id for events in groups.values() for event in events}
        self._outbox.add_contributors({event.id: {} for event in waiting if event.id not in notified})
        for (rule, period), events in groups.items():
            try:
                self._add_contributors(rule, period, events)
            except Unavailable as error:
                log.warning("Events do not say yet who spent most.", budget=rule.name, why=str(error))
                old = self._clock.time_ns() - _GIVEN_UP_AFTER_NS
                self._outbox.add_contributors({event.id: {} for event in events if event.created_ns < old})
            self._notify()

    def _add_contributors(self, rule: Rule, period: Period, events: Sequence[BudgetEvent]) -> None:
        scopes = {event.scope for event in events if OTHER not in event.scope}
        shares = self._top(rule, scopes, period, _CONTRIBUTORS) if scopes else {}
        tops = {scope: [_entry(rule, share) for share in shares.get(scope, ())] for scope in scopes}
        self._outbox.add_contributors({event.id: {"top": tops.get(event.scope)} for event in events})


def with_top(rules: Rules, events: Sequence[BudgetEvent], known: Known) -> list[BudgetEvent]:
    """The events, with contributors where these are known at once."""
    tops: dict[str, list[dict[str, Any]]] = {}
    waiting = [event for event in events if not event.has_contributors and OTHER not in event.scope]
    for (rule, period), several in _by_period(rules, waiting).items():
        # What an earlier window held only the store knows.
        past_window = not rule.schedule.renews and several[0].data.get("late")
        shares = None if past_window else known(rule, {event.scope for event in several}, period, _CONTRIBUTORS)
        for event in several if shares is not None else ():
            tops[event.id] = [_entry(rule, share) for share in (shares or {})[event.scope]]
    return [
        replace(event, data={**event.data, "top": tops[event.id]}, has_contributors=True) if event.id in tops else event
        for event in events
    ]


def _by_period(rules: Rules, events: Iterable[BudgetEvent]) -> dict[tuple[Rule, Period], list[BudgetEvent]]:
    """Without events of rules that are no more or divide by other dimensions now: their contributors are unknown."""
    groups: dict[tuple[Rule, Period], list[BudgetEvent]] = {}
    for event in events:
        rule = rules.find(event.budget)
        if rule and len(rule.per) == len(event.scope):
            groups.setdefault((rule, _period(rule, event)), []).append(event)
    return groups


def _period(rule: Rule, event: BudgetEvent) -> Period:
    """The period an event is about; of a rolling window, the one it was decided on."""
    evaluated = event.period_start if event.data.get("late") else event.created_ns
    return rule.schedule.event_period(Period(event.period_start, event.period_end), evaluated)


def _entry(rule: Rule, share: Share) -> dict[str, Any]:
    return {
        "feature": share.feature,
        "model": share.model,
        "spend": usd_text(share.amount.pico) if rule.unit is Unit.USD else str(share.amount.tokens),
        "calls": share.amount.calls,
    }
