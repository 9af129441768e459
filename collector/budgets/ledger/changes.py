"""What a write has changed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from collector.budgets.span_facts import NOTHING, Amount, SpanFact
from collector.model.budgets import Scope


class Portion(NamedTuple):
    """Calls that are matched alike and lie in the same slots: added (sign 1) or taken back (-1)."""

    sign: int
    calls: list[SpanFact]


@dataclass(slots=True)
class Posted:
    """What a write has added to one sum, and by which calls, in the order in which they count."""

    before: Amount
    after: Amount
    portions: list[Portion]

    @property
    def last(self) -> SpanFact:
        return self.portions[-1].calls[-1]

    @property
    def grown(self) -> bool:
        """Whether all that has changed was more spend."""
        before, after = self.before, self.after
        return after.calls > before.calls and after.pico >= before.pico and after.tokens >= before.tokens

    def crossing(self, is_over: Callable[[Amount], bool]) -> SpanFact:
        """The call after which the sum was over a line; the last one, where it was over it before or is not."""
        if is_over(self.before) or not is_over(self.after):
            return self.last
        total = self.before
        for portion in self.portions:
            for call in portion.calls:
                total = total.plus(call.amount, portion.sign)
                if is_over(total):
                    return call
        return self.last


@dataclass(frozen=True, slots=True)
class LeaseSpend:
    """All that the spans of a lease have spent so far. `finished`: the run's root span was among them."""

    amount: Amount = NOTHING
    finished: bool = False


@dataclass(slots=True)
class Changes:
    """What a write has changed: by rule, scope and start of the slot; and the slots to be loaded first."""

    posted: dict[tuple[str, Scope, int], Posted] = field(default_factory=dict)
    missing: dict[str, set[int]] = field(default_factory=dict)
    leases: dict[str, LeaseSpend] = field(default_factory=dict)
