"""The shapes of answers. Names are snake_case, money is decimal strings, and absent values are null.

A time is RFC 3339, `..._at`; where nanoseconds matter, `..._at_unix_nano` beside it is the same in Unix nanoseconds.
Integers that JSON's readers would round are strings.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import TypedDict

Amount = Annotated[str, Field(description="USD with 12 decimals, or whole tokens, as a string.")]
Usd = Annotated[str, Field(description="USD as a decimal string.")]
Tokens = Annotated[str, Field(description="Whole tokens, as a string.")]
Fraction = Annotated[str, Field(description="A part of the whole with six decimals, rounded down.")]
Instant = Annotated[str, Field(description="RFC 3339.", json_schema_extra={"format": "date-time"})]
UnixNano = Annotated[str, Field(description="Unix nanoseconds, as a string.")]
Next = Annotated[str | None, Field(description="`after` of the next page; null when this is the last.")]
Degraded = Annotated[str | None, Field(description="Why spend is not wholly known, in a sentence; null when it is.")]
ScopeValues = Annotated[Mapping[str, str], Field(description="Values of the budget's `per`, by name.")]


class FailureText(TypedDict):
    reason: Annotated[str, Field(description="A word for programs, for example `malformed` or `not_found`.")]
    message: Annotated[str, Field(description="A sentence for people: what is wrong, and what to do.")]


class Failure(TypedDict):
    """Every failure has this shape."""

    error: FailureText


# -- runs, spend, prices --------------------------------------------------------------------------------------------


class PromptText(TypedDict):
    text: str
    characters: int
    span_id: str


class ToolAtHand(TypedDict):
    name: str
    description: str
    schema: Annotated[Any, Field(description="The tool's parameters, as the model was told of them.")]
    calls: Annotated[int, Field(description="Requests for it or runs of it, whichever are more.")]


class RunAction(TypedDict):
    span_id: str
    kind: str
    name: str
    arguments: Annotated[
        str, Field(description="As the action's span has them, else as its request in the answer has.")
    ]
    result: str
    error: Annotated[bool, Field(description="Whether it failed, by its span, the last inside it, or its answer.")]


class AskedTool(TypedDict):
    id: str
    name: str
    arguments: Annotated[str, Field(description="As they were sent.")]


class RunRound(TypedDict):
    number: int
    span_id: str | None
    requested_model: str
    answered_model: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cost: str | None
    requests: Annotated[Sequence[AskedTool], Field(description="The tools that the answer asks for, in order.")]
    answer: Annotated[str, Field(description="The text of the answer; empty where it is not known or has none.")]
    actions: Sequence[RunAction]


CapturePolicy = Annotated[
    Literal["full", "metadata", "off"],
    Field(description="The capture policy applied, of several spans the strictest: but for `full`, content is absent."),
]


class RunDocument(TypedDict):
    trace_id: str
    spans: int
    cost: Annotated[str | None, Field(description="USD; null when no call is priced.")]
    system_prompt: PromptText | None
    tools: Sequence[ToolAtHand]
    rounds: Sequence[RunRound]
    content_expired: Annotated[
        bool,
        Field(description="Whether `store.content_ttl` has emptied content of it: what is empty need not have been."),
    ]
    capture_policy: CapturePolicy
    evaluations: Annotated[
        Sequence[Mapping[str, Any]],
        Field(description="Of it and its spans those that count, as `list_evaluations` answers them."),
    ]


class StoredTrace(TypedDict):
    trace_id: str
    spans: Annotated[
        Sequence[Mapping[str, Any]],
        Field(description="Rows of the table `otel_traces`, by the names of its columns; oldest first."),
    ]


class SpendRow(TypedDict):
    value: Annotated[str, Field(description="A value of the dimension; empty where spans do not state it.")]
    cost: str | None
    priced_calls: int
    unpriced_calls: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None


class SpendAnswer(TypedDict):
    by: str
    spend: Sequence[SpendRow]


class SpendCell(TypedDict):
    value: Annotated[str, Field(description="A value of the dimension; empty where spans do not state it.")]
    model: Annotated[str | None, Field(description="Null where spend is not split by model.")]
    day: Annotated[str | None, Field(description="Null where spend is not split by day.")]
    cost: str | None
    priced_calls: int
    unpriced_calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int


class SpendTable(TypedDict):
    by: str
    split: str
    zone: str
    cells: Sequence[SpendCell]
    truncated: Annotated[bool, Field(description="Whether there are more cells than an answer has.")]


class UnpricedModel(TypedDict):
    provider: str
    model: str
    calls: int


class UnpricedModels(TypedDict):
    models: Sequence[UnpricedModel]


# -- budgets --------------------------------------------------------------------------------------------------------


class PeriodAnswer(TypedDict):
    """`end` is when all starts anew; of a rolling window it is the first time spend may leave."""

    start: Instant
    end: Instant
    timezone: str
    rolling: bool


class StateAnswer(TypedDict):
    """How a budget stands for one scope."""

    name: str
    scope: ScopeValues
    unit: Literal["usd", "tokens"]
    limit: Amount
    spend: Amount
    reserved: Amount
    remaining: Amount
    fraction: Fraction
    unpriced_calls: int
    hard: bool
    period: PeriodAnswer


class ForecastAnswer(TypedDict):
    total: Amount
    breach: Instant | None


class ScopeAnswer(StateAnswer):
    """As a state, and where it is heading; null of a rolling window, which has no end to head for."""

    forecast: ForecastAnswer | None


class DecisionAnswer(TypedDict):
    """May the run begin? `budget` is the one that refuses, or else the tightest."""

    allowed: bool
    reason: str | None
    message: str | None
    budget: StateAnswer | None
    retry_after_seconds: int | None
    degraded: Degraded
    unseen: Annotated[
        str | None,
        Field(
            description="Values given by which budgets match, and which no call of the project has had, in a sentence."
        ),
    ]
    budgets: Sequence[StateAnswer]


class LeaseText(TypedDict):
    """An amount set aside for one run."""

    id: str
    state: str
    said: Annotated[Mapping[str, str], Field(description="What the caller gave for the run.")]
    amount_usd: Amount
    amount_tokens: Tokens
    spent_usd: Amount
    spent_tokens: Tokens
    held_usd: Amount
    held_tokens: Tokens
    created: Instant
    expires: Instant


class LeaseAnswer(TypedDict):
    lease: LeaseText


class LeaseDecision(DecisionAnswer):
    """A decision, and the lease; null when it was refused."""

    lease: LeaseText | None


class ScopeLimit(TypedDict):
    scope: ScopeValues
    limit: Amount


class SpendAmount(TypedDict):
    spend: Amount
    calls: int
    unpriced_calls: int


class ShareAnswer(SpendAmount):
    feature: str
    model: str


class PastPeriod(SpendAmount):
    start: Instant
    end: Instant


class BudgetAnswer(TypedDict):
    """A budget: its settings, and how it stands. What is not known while the store does not answer is null."""

    name: str
    unit: Literal["usd", "tokens"]
    limit: Amount
    match: Mapping[str, Sequence[str]]
    per: Sequence[str]
    shared: bool
    warn_at: Sequence[str]
    hard: bool
    unpriced: str
    period: PeriodAnswer
    limits: Sequence[ScopeLimit] | None
    spend: Amount | None
    scopes: int | None
    states: Sequence[ScopeAnswer] | None
    next: Next
    breakdown: Sequence[ShareAnswer] | None
    history: Sequence[PastPeriod] | None


class UnavailableBudget(BudgetAnswer):
    unavailable: Annotated[str, Field(description="Why some of it is null, in a sentence.")]


class BudgetsPage(TypedDict):
    budgets: Sequence[UnavailableBudget | BudgetAnswer]
    next: Next
    degraded: Degraded


class OneBudget(TypedDict):
    budget: UnavailableBudget | BudgetAnswer
    degraded: Degraded


# -- jobs -----------------------------------------------------------------------------------------------------------


class PriceChange(TypedDict):
    calls: int
    changed: int
    before: Usd
    after: Usd
    difference: Usd
    unpriced_before: int
    unpriced_after: int


class RepriceResult(TypedDict):
    models: Annotated[Mapping[str, PriceChange], Field(description="Differences by the model stored.")]
    written: Annotated[int, Field(description="Calls that have a new version; 0 when only compared.")]


class BackupResult(TypedDict):
    name: Annotated[str, Field(description="Of its directory in `store.backup_dir`.")]
    base: Annotated[str, Field(description="The backup beside it that it adds to; empty when it is full.")]
    taken_at_unix_nano: int
    version: str
    schema: Annotated[int, Field(description="The newest migration of the database.")]
    database: str
    rows: Annotated[Mapping[str, int], Field(description="By table, replaced versions included.")]
    bytes: Annotated[int, Field(description="Of the store's files in all, those in its bases included.")]
    format: int


class EvaluatorOutcome(TypedDict):
    """selected + not_drawn + not_settled + known are the runs that it selects."""

    selected: Annotated[int, Field(description="Runs that were judged now.")]
    not_drawn: Annotated[int, Field(description="Runs outside the sample.")]
    not_settled: Annotated[int, Field(description="Runs that may still get spans.")]
    known: Annotated[int, Field(description="Runs judged before, as they are now.")]
    passed: int
    failed: int
    ok: Annotated[int, Field(description="Judged with a score alone.")]
    errors: int
    skipped: int
    calibrated: Annotated[bool | None, Field(description="Of a judge: whether people agree with it; null of others.")]


class EvalsResult(TypedDict):
    batch: str
    runs: int
    cost: Annotated[str, Field(description="USD that judging took.")]
    price: Annotated[str, Field(description="Of a dry run: USD that judging would take, about.")]
    max_price: Annotated[str, Field(description="Of a dry run: USD that it would take at most.")]
    unpriced: Annotated[Sequence[str], Field(description="Of a dry run: evaluators whose model has no known price.")]
    evaluators: Mapping[str, EvaluatorOutcome]


class JobText(TypedDict):
    id: str
    kind: str
    project: Annotated[str, Field(description="The project of the token that asked for it.")]
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    done: int
    total: Annotated[int, Field(description="0 until it is known.")]
    created_at: Instant
    created_at_unix_nano: UnixNano
    started_at: Instant | None
    started_at_unix_nano: UnixNano | None
    finished_at: Instant | None
    finished_at_unix_nano: UnixNano | None
    result: Annotated[
        RepriceResult | BackupResult | EvalsResult | None, Field(description="Of a job that has succeeded.")
    ]
    error: Annotated[FailureText | None, Field(description="Of a job that has failed.")]


class JobAnswer(TypedDict):
    job: JobText


class JobsPage(TypedDict):
    jobs: Sequence[JobText]
    next: Next


# -- the daemon -----------------------------------------------------------------------------------------------------


class Health(TypedDict):
    status: Literal["ok"]


class Ready(TypedDict):
    status: Literal["ready"]


class NotReady(TypedDict):
    status: Literal["not ready"]
    reason: str
