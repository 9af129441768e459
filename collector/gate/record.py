"""What a gate knows of one side: cases, their trials, what evaluators found of each. A baseline is such a record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from collector.gate.reviewed import read_reviewed, write_reviewed
from collector.model.evaluations import EvalStatus, Verdict
from collector.stats.agreement import flip_rate

FORMAT: Final = 1
_BASELINE: Final = "baseline"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one evaluator found of a run: all of its spans together, where it looks at spans."""

    status: EvalStatus
    verdict: Verdict = Verdict.NONE
    score: float | None = None
    reason: str = ""
    error_type: str = ""
    flags: tuple[str, ...] = ()
    span_id: str = ""

    @property
    def passed(self) -> bool | None:
        """None without a verdict."""
        return None if self.verdict is Verdict.NONE else self.verdict is Verdict.PASS


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a case. `figures` holds what is known: what is not, such as a cost without a price, is not there."""

    trace_id: str
    input_hash: str = ""
    guessed: bool = False
    unpriced: bool = False
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """Whether all that have a verdict pass; None when none has."""
        verdicts = [one.passed for one in self.outcomes.values() if one.passed is not None]
        return all(verdicts) if verdicts else None

    def verdict(self, evaluator: str) -> bool | None:
        """Of one evaluator, or without a name of all."""
        if not evaluator:
            return self.passed
        found = self.outcomes.get(evaluator)
        return found.passed if found else None


@dataclass(frozen=True, slots=True)
class Record:
    """One side of a gate. `evaluators` are their revisions; `judge_usd` is what this gate's judging cost.

    `flip_rates` tells of judges how often they contradict themselves (`gate noise`).
    """

    evaluators: Mapping[str, str]
    cases: Mapping[str, Sequence[Trial]]
    approved_by: str = ""
    created: str = ""
    flip_rates: Mapping[str, float] = field(default_factory=dict)
    judge_usd: Decimal = Decimal(0)

    @property
    def trials(self) -> int:
        """The most that a case has."""
        return max(map(len, self.cases.values()), default=0)

    def to_json(self) -> str:
        """As a file that people review: sorted, a case a paragraph."""
        shown = asdict(self) | {"format": FORMAT, "judge_usd": str(self.judge_usd)}
        return json.dumps(shown, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Raises ValueError, KeyError or TypeError for what is no record."""
        tree = json.loads(text)
        if tree["format"] != FORMAT:
            raise ValueError(f"its format is {tree['format']}, and this version reads {FORMAT}")
        return cls(
            evaluators=tree["evaluators"],
            cases={name: tuple(map(_trial, trials)) for name, trials in tree["cases"].items()},
            approved_by=tree["approved_by"],
            created=tree["created"],
            flip_rates=tree["flip_rates"],
            judge_usd=Decimal(tree["judge_usd"]),
        )


def _trial(tree: dict[str, Any]) -> Trial:
    outcomes = {name: _outcome(one) for name, one in tree["outcomes"].items()}
    return Trial(**(tree | {"outcomes": outcomes}))


def _outcome(tree: dict[str, Any]) -> Outcome:
    named = {"status": EvalStatus(tree["status"]), "verdict": Verdict(tree["verdict"]), "flags": tuple(tree["flags"])}
    return Outcome(**(tree | named))


def read_baseline(path: Path) -> Record | None:
    """The approved baseline; None where there is none. Raises ConfigError for a file that is none."""
    return read_reviewed(path, _BASELINE, Record.from_json, "baseline approve")


def write_baseline(path: Path, record: Record) -> None:
    """Write it whole or not at all. Raises ConfigError."""
    write_reviewed(path, _BASELINE, record.to_json())


def flips(first: Record, second: Record) -> dict[str, float]:
    """Of each evaluator that judged the same trials twice, the share of its verdicts that turned."""
    found = {}
    for evaluator in first.evaluators:
        pairs = []
        for name, trials in first.cases.items():
            for before, after in zip(trials, second.cases.get(name, ()), strict=False):
                verdicts = (before.verdict(evaluator), after.verdict(evaluator))
                pairs.append([verdict for verdict in verdicts if verdict is not None])
        rate = flip_rate(pairs)
        if rate is not None:
            found[evaluator] = rate
    return found
