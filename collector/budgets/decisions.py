"""Whether a run may begin, from how the budgets it counts in stand. Only `hard` ones refuse."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Unit, Unpriced
from collector.model.budgets import Scope
from collector.model.money import usd_text

_SECOND = 10**9

# What is set aside comes and goes, what is spent stays until the period ends: seconds until it is worth asking again.
_RESERVED_RETRY = 10
_UNAVAILABLE_RETRY = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most a run may need; None where it was not given."""

    pico: int | None = None
    tokens: int | None = None

    def stated(self, unit: Unit) -> int | None:
        return self.tokens if unit is Unit.TOKENS else self.pico

    def amount(self, unit: Unit) -> int:
        return self.stated(unit) or 0


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How one budget stands for one scope; amounts are in `rule.unit`, picodollars or tokens."""

    rule: Rule
    scope: Scope
    period: Period
    spend: int
    reserved: int
    limit: int
    unpriced: int = 0

    @property
    def remaining(self) -> int:
        """What may still be spent or set aside; never below 0."""
        return max(0, self.limit - self.spend - self.reserved)

    @property
    def tightness(self) -> int:
        """What is left, in millionths of the limit."""
        return self.remaining * 1_000_000 // max(1, self.limit)

    def admits(self, amount: int) -> bool:
        """Whether `amount` fits; a budget that is used up has no room for nothing either."""
        used = self.spend + self.reserved
        return used < self.limit and used + amount <= self.limit

    def fits_spend(self, amount: int) -> bool:
        """Whether `amount` would fit if nothing were set aside."""
        return self.spend < self.limit and self.spend + amount <= self.limit

    @property
    def blocked(self) -> bool:
        """Whether calls without a known price make the spend unknown, and that is to refuse."""
        return self.rule.unpriced is Unpriced.BLOCK and self.unpriced > 0


class Refusal(StrEnum):
    """Why a run is refused."""

    OVER_LIMIT = "over_limit"
    UNPRICED = "unpriced"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Decision:
    """`budget` is the one that refuses, or else the tightest; None when no budget matches.

    `retry_after` is in seconds, and None unless refused; `degraded` is why spend is not wholly known,
    `unseen` which values no call has had: sentences, or "".
    """

    allowed: bool
    budgets: tuple[BudgetState, ...]
    budget: BudgetState | None
    degraded: str = ""
    reason: Refusal | None = None
    message: str = ""
    retry_after: int | None = None
    unseen: str = ""


def decide(
    states: tuple[BudgetState, ...], estimate: Estimate, now_ns: int, degraded: str = "", *, fail_closed: bool = False
) -> Decision:
    """Decide on a run that counts in the budgets of `states`. While `degraded`, they hold what is known."""
    hard = [state for state in states if state.rule.hard]
    if degraded and hard and fail_closed:
        text = f"Spend is not wholly known, and enforcement.fail is closed. {degraded}"
        return _refused(Refusal.UNAVAILABLE, states, hard, degraded, text, _UNAVAILABLE_RETRY)
    over = [state for state in hard if not state.admits(estimate.amount(state.rule.unit))]
    if over:
        return over_limit(states, over, estimate, now_ns, degraded)
    blocked = [state for state in hard if state.blocked]
    if blocked:
        budget = _tightest(blocked)
        text = f"{_named(budget)} has calls without a known price ({budget.unpriced}) {_until(budget)}, and refuses."
        return _refused(Refusal.UNPRICED, states, blocked, degraded, text, _wait(blocked, now_ns))
    tightest = _tightest(hard or states) if states else None
    return Decision(allowed=True, budgets=states, budget=tightest, degraded=degraded)


def over_limit(
    states: tuple[BudgetState, ...], over: Sequence[BudgetState], estimate: Estimate, now_ns: int, degraded: str = ""
) -> Decision:
    """The refusal by budgets that have no room."""
    budget = _tightest(over)
    unit = budget.rule.unit
    left = f"{amount_text(budget.remaining, unit)} of {amount_text(budget.limit, unit)} left"
    text = f"{_named(budget)} has {left} {_until(budget)}"
    if budget.reserved:
        text += f", with {amount_text(budget.reserved, unit)} set aside for other runs"
    amount = estimate.amount(unit)
    text += f"; {amount_text(amount, unit)} are asked for." if amount else "."
    passing = all(state.fits_spend(estimate.amount(state.rule.unit)) for state in over)
    wait = min(_RESERVED_RETRY, _wait(over, now_ns)) if passing else _wait(over, now_ns)
    return _refused(Refusal.OVER_LIMIT, states, over, degraded, text, wait)


def period_at(rule: Rule, now_ns: int) -> Period:
    """The period of a rule that holds `now_ns`, or its window at that time.

    A rolling window has no moment at which all starts anew: its end is that of the current step, the first moment at
    which spend may leave it.
    """
    return rule.schedule.current(now_ns)


def amount_text(amount: int, unit: Unit) -> str:
    """An amount for people: `12.5 USD`, `1000 tokens`."""
    return f"{amount} tokens" if unit is Unit.TOKENS else f"{usd_text(amount).rstrip('0').rstrip('.')} USD"


def iso(ns: int, rule: Rule) -> str:
    """A moment in the rule's zone, to the second, with its offset."""
    return _local(ns // _SECOND, rule.schedule.zone_name)


# Every answer has where the periods of its budgets begin and end.
@lru_cache(maxsize=1_000)
def _local(second: int, zone: str) -> str:
    return datetime.fromtimestamp(second, ZoneInfo(zone)).isoformat()


def _named(state: BudgetState) -> str:
    if not state.scope:
        return f"The budget {state.rule.name!r}"
    values = ", ".join(f"{name}={value}" for name, value in zip(state.rule.per, state.scope, strict=True))
    return f"The budget {state.rule.name!r} for {values}"


def _until(state: BudgetState) -> str:
    return state.rule.schedule.limit_text(state.rule.period_name, iso(state.period.end, state.rule))


def _tightest(states: Sequence[BudgetState]) -> BudgetState:
    return min(states, key=lambda state: state.tightness)


def _wait(refusing: Sequence[BudgetState], now_ns: int) -> int:
    """Seconds until the last of the refusing budgets starts anew: before that, one of them still refuses."""
    return max(1, math.ceil((max(state.period.end for state in refusing) - now_ns) / _SECOND))


def _refused(
    reason: Refusal,
    states: tuple[BudgetState, ...],
    refusing: Sequence[BudgetState],
    degraded: str,
    message: str,
    retry_after: int,
) -> Decision:
    return Decision(
        allowed=False,
        budgets=states,
        budget=_tightest(refusing),
        degraded=degraded,
        reason=reason,
        message=message,
        retry_after=retry_after,
    )
