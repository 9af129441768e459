"""What came of the runs that an evaluator might have looked at."""

from collections import Counter
from dataclasses import dataclass, field

from collector.model.evaluations import Evaluation


@dataclass(slots=True)
class Tally:
    """Of one evaluator: `selected` runs, and the rows they gave; of those not selected why."""

    selected: int = 0
    known: int = 0
    not_drawn: int = 0
    not_settled: int = 0
    rows: Counter[str] = field(default_factory=Counter)

    def add(self, found: Evaluation) -> None:
        self.rows[found.verdict.value or found.status.value] += 1
