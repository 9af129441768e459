"""Which runs a question is about."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from collector.model.money import usd
from collector.model.purposes import PRODUCT

_SECOND = 1_000_000_000
HOUR_NS: Final = 3600 * _SECOND
_MAX = 2**63 - 1


class RunStatus(StrEnum):
    """How a run stands. It fails with its root; `errors` are those of spans inside; without a root it is incomplete."""

    OK = "ok"
    ERRORS = "errors"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


class Problem(StrEnum):
    """What a run may need a look for: a span that failed, a call without a price, a verdict that it failed."""

    ERRORS = "errors"
    FAILED_EVALS = "failed_evals"
    UNPRICED = "unpriced"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a span or its resource, and the value it has."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Runs that began in [since, until), Unix nanoseconds; what is empty or None does not narrow them further.

    With `model`, runs that called this model; with `feature`, runs of this feature and those with a call of it; with
    `service` or `agent`, runs with a span of it. `text` is looked for in the input and output of all spans, whatever
    the case of its letters. With `verdict` (pass or fail, else the status error or skipped) or `evaluator`, runs of
    which it was found, or of a span of theirs. Without `folded`, traces with neither model call, tool nor agent are
    left out. `purpose` is what runs were made for: the product's by default, ALL for any. Costs are picodollars,
    durations nanoseconds, tokens input and output.
    """

    since: int
    until: int
    service: str = ""
    agent: str = ""
    model: str = ""
    feature: str = ""
    user: str = ""
    conversation: str = ""
    status: RunStatus | None = None
    min_cost: int | None = None
    max_cost: int | None = None
    min_duration: int | None = None
    max_duration: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    text: str = ""
    attribute: Attribute | None = None
    folded: bool = True
    verdict: str = ""
    evaluator: str = ""
    problem: Problem | None = None
    purpose: str = PRODUCT

    @property
    def before(self) -> tuple[int, int]:
        """The period of the same length before it."""
        return 2 * self.since - self.until, self.since

    @property
    def by_failures(self) -> bool:
        """Whether runs are ranked by the verdicts that they failed."""
        return False

    def parameters(self) -> dict[str, Any]:
        """As `run_filters` has them."""
        return {
            "since": self.since,
            "until": self.until,
            "service": self.service,
            "agent": self.agent,
            "model": self.model,
            "feature": self.feature,
            "user": self.user,
            "conversation": self.conversation,
            "status": self.status.value if self.status else "",
            "min_cost": str(usd(self.min_cost or 0)),
            "max_cost": str(usd(-1 if self.max_cost is None else self.max_cost)),
            "min_duration": self.min_duration or 0,
            "max_duration": _MAX if self.max_duration is None else self.max_duration,
            "min_tokens": self.min_tokens or 0,
            "max_tokens": _MAX if self.max_tokens is None else self.max_tokens,
            "folded": int(self.folded),
            "text": self.text,
            "verdict": self.verdict,
            "evaluator": self.evaluator,
            "problem": self.problem.value if self.problem else "",
            "purpose": self.purpose,
            "attribute": self.attribute.name if self.attribute else "",
            "attribute_value": self.attribute.value if self.attribute else "",
        }


def hours_of(since: int, until: int) -> tuple[datetime, datetime]:
    """When the whole hours begin and end that [since, until) lies in, with one more: the store's may not be UTC's."""
    return moment(since // HOUR_NS * HOUR_NS), moment(-(-until // HOUR_NS) * HOUR_NS + HOUR_NS)


def moment(nanos: int) -> datetime:
    """As ClickHouse's DateTime, within its years."""
    return datetime.fromtimestamp(min(max(nanos // _SECOND, 0), 2**32 - 1), UTC)
