"""What an evaluation says: a verdict with a status before it, its evidence, and a receipt of what it took."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

ONLINE = "online"  # the batch of what the daemon judges by itself
_ID_DIGITS = 24


class EvalStatus(StrEnum):
    """Whether there is a verdict at all. An evaluator that failed, or had nothing to look at, never gives one."""

    OK = "ok"
    ERROR = "error"
    SKIPPED = "skipped"


class Verdict(StrEnum):
    """What an evaluation found; NONE unless its status is ok, and where a score alone was given."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NONE = ""


class EvalKind(StrEnum):
    """Who found it."""

    CHECK = "check"
    JUDGE = "judge"
    HUMAN = "human"
    EXTERNAL = "external"


class Target(StrEnum):
    """What it is about."""

    SPAN = "span"
    RUN = "run"
    CONVERSATION = "conversation"
    CASE = "case"


class Skip(StrEnum):
    """`error_type` of what was skipped."""

    NO_DATA = "no_data"  # no telemetry of it, which is not bad behaviour
    UNPRICED = "unpriced"
    BUDGET = "budget"
    TOO_LARGE = "too_large"


class Evidence(NamedTuple):
    """Bytes [start, end) of one field of a span, and their digest (`digest_of`).

    `field` is a column (`Input`, `Output`, `Duration`, ...) or `attribute.KEY`.
    """

    span_id: str
    field: str
    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an evaluation took. `cost` is USD; None when nothing was asked, or the price is not known."""

    model: str = ""
    provider: str = ""
    trace_id: str = ""
    span_id: str = ""
    cost: Decimal | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    duration_ns: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row of `evaluations`. Rows are added, never changed: `id` is that of its key, so a retry adds none.

    `span_id` is empty for a run. `at` is Unix nanoseconds. Evaluations with different `revision` are not comparable.
    `batch` is `online`, or the id of a back-fill, gate or label; `vote` 0 is the whole of the votes 1 to n.
    `probability` is that of having been sampled: estimates weight by its inverse.
    """

    project: str
    trace_id: str
    evaluator: str
    span_id: str = ""
    conversation_id: str = ""
    target: Target = Target.RUN
    kind: EvalKind = EvalKind.CHECK
    revision: str = ""
    input_hash: str = ""
    batch: str = ONLINE
    vote: int = 0
    at: int = 0
    status: EvalStatus = EvalStatus.OK
    error_type: str = ""
    verdict: Verdict = Verdict.NONE
    score: float | None = None
    score_min: float | None = None
    score_max: float | None = None
    label: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    flags: tuple[str, ...] = ()
    agreement: float | None = None
    receipt: Receipt = field(default_factory=Receipt)
    labeler: str = ""
    case: str = ""
    trial: int = 0
    release: str = ""
    probability: float = 1.0
    agent: str = ""
    feature: str = ""
    model: str = ""

    @property
    def id(self) -> str:
        """Of what is judged, by what, in which batch and vote."""
        key = (self.project, self.trace_id, self.span_id, self.evaluator, self.revision, self.input_hash, self.batch)
        written = "\n".join((*key, str(self.vote)))
        return f"ev_{digest_of(written.encode('utf-8', 'surrogatepass'))[:_ID_DIGITS]}"


def digest_of(content: bytes) -> str:
    """The digest of evidence and of inputs: SHA-256, which the store has too, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def cite(span_id: str, name: str, content: str, start: int = 0, end: int | None = None) -> Evidence:
    """Evidence for the characters [start, end) of the field `name` of a span, whose whole text is `content`."""
    first = len(content[:start].encode())
    cited = content[start:end].encode()
    return Evidence(span_id, name, first, first + len(cited), digest_of(cited))
