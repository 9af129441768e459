"""How budgets of one kind of schedule are decided on."""

from dataclasses import dataclass, field
from typing import Protocol

from collector.budgets.ledger import Changes
from collector.budgets.rules import Rules
from collector.model.budgets import BudgetEvent, Line


@dataclass(slots=True)
class Findings:
    """Events to record, and the steps that represent lines of rolling windows from then on."""

    events: list[BudgetEvent] = field(default_factory=list)
    notified: dict[Line, int | None] = field(default_factory=dict)


class Strategy(Protocol):
    """Decides on the rules of its kind. Not thread-safe. What it finds at `now` it adds to `findings`."""

    def use(self, rules: Rules) -> None:
        """Decide by these rules from now on."""

    def names(self) -> list[str]:
        """The rules of this kind."""

    def changed(self, changes: Changes, now: int, findings: Findings) -> None:
        """Decide on the sums that have changed."""

    def everything(self, name: str, now: int, findings: Findings, *, ended: bool) -> None:
        """Decide on all sums of a rule as they are; `ended`: also where what was crossed is over."""

    def passed(self, name: str, now: int, findings: Findings) -> None:
        """Decide on what time alone has led to in a rule."""

    def sweep(self, now: int, findings: Findings) -> None:
        """Decide on a bounded part of what waits to be looked at."""
