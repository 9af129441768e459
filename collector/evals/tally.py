"""What came of the runs that an evaluator might have looked at."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from collector.model.evaluations import Evaluation


@dataclass(slots=True)
class Spending:
    """Of an evaluator that asks a model, USD: what was `spent`, or what a dry run would spend, `about` and at `most`.

    `unpriced`: the model has no known price.
    """

    spent: Decimal = Decimal(0)
    about: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    unpriced: bool = False


@dataclass(slots=True)
class Tally:
    """Of one evaluator: `selected` runs, and the rows they gave; of those not selected why."""

    selected: int = 0
    known: int = 0
    not_drawn: int = 0
    not_settled: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    price: Spending = field(default_factory=Spending)

    def add(self, found: Evaluation) -> None:
        """Count a row, votes apart."""
        if found.vote == 0:
            self.rows[found.verdict.value or found.status.value] += 1
            self.price.spent += found.receipt.cost or 0
