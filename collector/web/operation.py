"""What an operation of the API is: a row that routes, OpenAPI, its pages, and other faces are derived from."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict
from starlette.convertors import Convertor, register_url_convertor

from collector.billing.reprice import Outcome, Selection
from collector.evals.calibration import Calibration
from collector.evals.service import EvalService
from collector.jobs import Jobs
from collector.model.envelope import Receipt, Repeated, Signal
from collector.model.json_text import json_bytes
from collector.model.principal import Principal, Scope
from collector.model.progress import Progress
from collector.query.service import Query
from collector.spending.enforcement import Enforcement
from collector.spending.views import BudgetViews
from collector.web.streams import Streams
from collector.webhooks.overview import Summary

JSON = "application/json"


class Input(BaseModel):
    """Parameters or a body. Unknown names are refused, values are not converted but where a field says so."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Deliveries(Protocol):
    """Events on their way to webhooks. Every method blocks on the disk."""

    def latest(self, limit: int) -> Sequence[Summary]:
        """Those queued last, newest first."""

    def replay(self, event_id: str, endpoint: str) -> int:
        """Queue one again, with its whole schedule; how many that were."""


class Record(Protocol):
    """Takes traces as OTLP; they are durable when it is done."""

    async def __call__(self, principal: Principal, request: bytes, repeated: Repeated | None = None) -> Receipt: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """What a daemon listens on, and what it knows."""

    grpc: str
    http: str
    otlp_url: str  # where programs send OTLP/HTTP
    needs_token: bool
    store: str
    prices: str


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers ask."""

    query: Query
    enforcement: Enforcement
    budgets: BudgetViews
    jobs: Jobs
    reprice: Callable[[Selection, bool, Progress], Outcome]  # prices a selection again, or only compares (True)
    backup: Callable[[Progress, bool], dict[str, object]]  # of everything (True), or of what is new
    metrics_text: Callable[[], Awaitable[bytes]]
    unready_reason: Callable[[], str]  # why spans do not reach the store, in a sentence; empty when they do
    streams: Streams = field(default_factory=Streams)  # answers that go on
    evals: EvalService | None = None  # judges
    calibration: Calibration = field(default_factory=Calibration)  # which judges may be believed
    deliveries: Deliveries | None = None  # what webhooks were sent
    facts: "Callable[[], Facts] | None" = None  # about the daemon, for who visits it first
    record: "Record | None" = None
    misdirected: Callable[[Signal], None] = lambda _: None  # OTLP came to the web port


P = TypeVar("P", bound=Input | None)
Q = TypeVar("Q", bound=Input | None)
B = TypeVar("B", bound=Input | None)


@dataclass(frozen=True, slots=True)
class Call(Generic[P, Q, B]):
    """One use of an operation, by someone who has its scope. `headers` are lower-cased."""

    principal: Principal
    path: P
    query: Q
    body: B
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """An answer, whatever carries it. One with `events` goes on with them after its body, which is empty."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    events: AsyncIterator[bytes] | None = None


def answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Result:
    """`content` as JSON: dataclasses, dicts, lists and plain values."""
    return Result(json_bytes(content), status, headers or {})


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation may answer: in words, of which type, and with which headers of its own.

    `others` are types of what it answers in other media types, by these.
    """

    text: str
    shape: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON
    others: Mapping[str, object] = field(default_factory=dict)

    @property
    def shapes(self) -> Mapping[str, object]:
        """What it answers by media type."""
        return ({self.media_type: self.shape} if self.shape else {}) | dict(self.others)


class _AnyText(Convertor[str]):
    """The rest of a path; Starlette's own `path` ends at a line break."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any", _AnyText())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[P, Q, B]):
    """One thing the API does.

    `scope` is what a token needs, None where anyone may ask. ANY stands for whichever method. `path` is written as in
    OpenAPI; `long_path` says that its last parameter may contain slashes. `header_input` documents headers which the
    handler reads itself. Failures every operation can have (401, 403, 500, ...) are not listed among `answers`.
    """

    name: str
    tag: str
    method: Literal["GET", "POST", "DELETE", "ANY"]
    path: str
    scope: Scope | None
    summary: str
    description: str
    handler: Callable[[Services, Call[P, Q, B]], Awaitable[Result]]
    answers: Mapping[int, Answer]
    path_input: type[P] | None = None
    query_input: type[Q] | None = None
    body_input: type[B] | None = None
    header_input: type[Input] | None = None
    long_path: bool = False
    errors: tuple[int, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that documents list."""
        return ("GET", "POST") if self.method == "ANY" else (self.method,)

    @property
    def routed_path(self) -> str:
        """The path as Starlette's routes have it."""
        return self.path.removesuffix("}") + ":any}" if self.long_path else self.path


AnyOperation = Operation[Any, Any, Any]  # of whichever inputs
