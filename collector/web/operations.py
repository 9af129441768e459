"""Everything the web port does, one row each. Routes, OpenAPI, its page and `docs/rest.md` are derived from this table.

A new question to the API is a row here, a handler, and the types of its input and answer. What is asked most often
stands first: routes are tried in this order.
"""

from functools import cache
from typing import Any, Final

from collector.exports.shapes import RunExport
from collector.model.principal import Scope
from collector.web import (
    arrivals,
    budgets,
    compare,
    daemon,
    documents,
    jobs,
    live,
    openapi,
    run_lists,
    run_parts,
    run_spans,
    runs,
)
from collector.web.answers import (
    BudgetsPage,
    DecisionAnswer,
    Health,
    JobAnswer,
    JobsPage,
    LeaseAnswer,
    LeaseDecision,
    NotReady,
    OneBudget,
    Ready,
    RunDocument,
    SpendAnswer,
    SpendTable,
    StoredTrace,
    UnpricedModels,
)
from collector.web.arrivals import ArrivalsAnswer, ArrivalsQuery
from collector.web.budget_inputs import (
    BudgetPath,
    BudgetQuery,
    BudgetsQuery,
    GatewayHeaders,
    GatewayQuery,
    LeaseInput,
    LeasePath,
    RestPath,
    RunInput,
    SettleInput,
)
from collector.web.compare import TwoRuns
from collector.web.compare_answers import ComparedRuns, ComparedWindows
from collector.web.csv_text import CSV_TYPE
from collector.web.evaluation_operations import EVALS
from collector.web.exports import handlers
from collector.web.exports.handlers import ExportQuery, OtlpTraces
from collector.web.inputs import Page
from collector.web.jobs import BackupInput, JobPath, RepriceInput
from collector.web.operation import Answer, AnyOperation, Call, Operation, Result, Services, answer
from collector.web.part_answers import ConversationOfRun, PromptsOfRun, RoundsPage, ToolsOfRun
from collector.web.run_answers import ConversationsPage, FacetsAnswer, KpisAnswer, OneConversation, RunsPage
from collector.web.run_inputs import (
    ConversationPath,
    ConversationRunsQuery,
    ConversationsQuery,
    KpisQuery,
    Matching,
    RunFilters,
    RunsQuery,
    SpendQuery,
    SpendTableQuery,
    WindowsQuery,
)
from collector.web.run_parts import RoundsQuery
from collector.web.run_spans import BYTES, AttributePath, RangeHeader, SpanIdPath, SpanPath
from collector.web.runs import TracePath
from collector.web.span_answers import ANY_BYTES, RunSpans, SpanAnswer, SpanPlace

_RETRY: Final = {"retry-after": "Seconds until it is worth asking again; only of a refusal."}
_DECISION_HEADERS: Final = {
    **_RETRY,
    "x-spanmeter-budget": "The budget that refuses, or else the tightest; percent-encoded, as are the others.",
    "x-spanmeter-reason": "Why it is refused.",
    "x-spanmeter-remaining": "What is left of that budget, in the unit of `x-spanmeter-unit`.",
    "x-spanmeter-reset": "When its period ends.",
}

_FILE_HEADERS: Final = {"content-disposition": "`attachment`, and a name for the file."}

BUDGETS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="check_budgets",
        tag="Budgets",
        method="POST",
        path="/api/v1/budgets/check",
        scope=Scope.BUDGETS_CHECK,
        summary="May a run begin?",
        description="Decided from memory, by every budget that matches. A refusal is an answer too: 200 and "
        "`allowed: false`. Nothing is set aside.",
        handler=budgets.check,
        body_input=RunInput,
        answers={200: Answer("The decision.", DecisionAnswer, _RETRY)},
    ),
    Operation(
        name="authorize",
        tag="Budgets",
        method="ANY",
        path="/api/v1/budgets/authorize",
        scope=Scope.BUDGETS_CHECK,
        summary="May a run begin? For gateways that read a status and headers.",
        description="Any method; no body is read. The run is stated by headers, or by query parameters where a header "
        "is absent. Answers 200 or 403.",
        handler=budgets.authorize,
        query_input=GatewayQuery,
        header_input=GatewayHeaders,
        answers={
            200: Answer("It may.", DecisionAnswer, _DECISION_HEADERS),
            403: Answer("It may not; or, with `error`, the token lacks the scope.", DecisionAnswer, _DECISION_HEADERS),
        },
    ),
    Operation(
        name="authorize_below",
        tag="Budgets",
        method="ANY",
        path="/api/v1/budgets/authorize/{rest}",
        scope=Scope.BUDGETS_CHECK,
        summary="As `authorize`, for gateways that append their client's own path, as Envoy's ext_authz does.",
        description="Path and query are the client's own and are not looked at: only headers state the run.",
        handler=budgets.authorize_below,
        path_input=RestPath,
        long_path=True,
        header_input=GatewayHeaders,
        answers={
            200: Answer("It may.", DecisionAnswer, _DECISION_HEADERS),
            403: Answer("It may not; or, with `error`, the token lacks the scope.", DecisionAnswer, _DECISION_HEADERS),
        },
    ),
    Operation(
        name="take_lease",
        tag="Budgets",
        method="POST",
        path="/api/v1/leases",
        scope=Scope.BUDGETS_CHECK,
        summary="Set an amount aside for a run.",
        description="The estimate is held in every hard budget that matches, durably, until the run's spans are "
        "counted, it is settled or released, or its time is over.",
        handler=budgets.take_lease,
        body_input=LeaseInput,
        answers={
            201: Answer("The lease.", LeaseDecision, {"location": "The lease's path."}),
            200: Answer("Refused: `allowed` is false and `lease` is null.", LeaseDecision, _RETRY),
        },
    ),
    Operation(
        name="get_lease",
        tag="Budgets",
        method="GET",
        path="/api/v1/leases/{lease_id}",
        scope=Scope.BUDGETS_CHECK,
        summary="How a lease stands.",
        description="Open or not, for as long as it is remembered.",
        handler=budgets.lease,
        path_input=LeasePath,
        answers={200: Answer("The lease.", LeaseAnswer)},
        errors=(404,),
    ),
    Operation(
        name="release_lease",
        tag="Budgets",
        method="DELETE",
        path="/api/v1/leases/{lease_id}",
        scope=Scope.BUDGETS_CHECK,
        summary="Give a lease back.",
        description="All that is left of it, at once. A lease that is not open is left as it is.",
        handler=budgets.release_lease,
        path_input=LeasePath,
        answers={200: Answer("The lease as it is now.", LeaseAnswer)},
        errors=(404,),
    ),
    Operation(
        name="settle_lease",
        tag="Budgets",
        method="POST",
        path="/api/v1/leases/{lease_id}/settle",
        scope=Scope.BUDGETS_CHECK,
        summary="A lease's run has ended.",
        description="What it did not need is given back at once; what it did stays set aside until its spans are "
        "counted, a minute at most. A lease that is not open is left as it is.",
        handler=budgets.settle_lease,
        path_input=LeasePath,
        body_input=SettleInput,
        answers={200: Answer("The lease as it is now.", LeaseAnswer)},
        errors=(404,),
    ),
    Operation(
        name="list_budgets",
        tag="Budgets",
        method="GET",
        path="/api/v1/budgets",
        scope=Scope.TRACES_READ,
        summary="Budgets and how they stand.",
        description="Those that may count calls of the token's project, in the order of the settings, each with its "
        "tightest scopes; all budgets for tokens with `admin`.",
        handler=budgets.budgets,
        query_input=BudgetsQuery,
        answers={200: Answer("A page of budgets.", BudgetsPage)},
    ),
    Operation(
        name="get_budget",
        tag="Budgets",
        method="GET",
        path="/api/v1/budgets/{name}",
        scope=Scope.TRACES_READ,
        summary="One budget with all its scopes.",
        description="Those first that have spent most of their limit; and what spent it, and the periods before.",
        handler=budgets.budget,
        path_input=BudgetPath,
        long_path=True,
        query_input=BudgetQuery,
        answers={200: Answer("The budget, with a page of its scopes.", OneBudget)},
        errors=(404,),
    ),
)

RUNS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="list_runs",
        tag="Runs",
        method="GET",
        path="/api/v1/runs",
        scope=Scope.TRACES_READ,
        summary="Runs: a list, or a search.",
        description="Those that began in a period and match all that is given; newest first, or by cost, duration or "
        "tokens.",
        handler=run_lists.runs,
        query_input=RunsQuery,
        answers={200: Answer("A page of runs.", RunsPage)},
    ),
    Operation(
        name="get_facets",
        tag="Runs",
        method="GET",
        path="/api/v1/facets",
        scope=Scope.TRACES_READ,
        summary="What runs can be narrowed down to, with counts.",
        description="Services, agents, models, features, statuses and problems. Of each those runs count that match "
        "all filters but its own.",
        handler=run_lists.facets,
        query_input=RunFilters,
        answers={200: Answer("The facets.", FacetsAnswer)},
    ),
    Operation(
        name="get_kpis",
        tag="Runs",
        method="GET",
        path="/api/v1/kpis",
        scope=Scope.TRACES_READ,
        summary="What the runs of a window add up to, beside another window.",
        description="By default the window of the same length before it: this week against last. Filters are for both.",
        handler=run_lists.kpis,
        query_input=KpisQuery,
        answers={200: Answer("The figures.", KpisAnswer)},
    ),
    Operation(
        name="list_conversations",
        tag="Runs",
        method="GET",
        path="/api/v1/conversations",
        scope=Scope.TRACES_READ,
        summary="Conversations: the runs of each session, added up.",
        description="Those with a run that began in the period and matches; the one with the latest run first. "
        "Sums are of these runs.",
        handler=run_lists.conversations,
        query_input=ConversationsQuery,
        answers={200: Answer("A page of conversations.", ConversationsPage)},
    ),
    Operation(
        name="get_conversation",
        tag="Runs",
        method="GET",
        path="/api/v1/conversations/{conversation_id}",
        scope=Scope.TRACES_READ,
        summary="One conversation with its runs in order.",
        description="All that are stored, the earliest first.",
        handler=run_lists.conversation,
        path_input=ConversationPath,
        long_path=True,
        query_input=ConversationRunsQuery,
        answers={200: Answer("The conversation, with a page of its runs.", OneConversation)},
        errors=(404,),
    ),
    Operation(
        name="get_run",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}",
        scope=Scope.TRACES_READ,
        summary="A run: rounds, actions, system prompt, tools, cost.",
        description="Built from all spans of a trace.",
        handler=runs.run,
        path_input=TracePath,
        answers={200: Answer("The run.", RunDocument)},
        errors=(404,),
    ),
    Operation(
        name="list_rounds",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/rounds",
        scope=Scope.TRACES_READ,
        summary="A run's rounds, page by page.",
        description="Each model call with its actions, how long it took, and what the run had cost by then.",
        handler=run_parts.rounds,
        path_input=TracePath,
        query_input=RoundsQuery,
        answers={200: Answer("A page of rounds.", RoundsPage)},
        errors=(404,),
    ),
    Operation(
        name="get_run_conversation",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/conversation",
        scope=Scope.TRACES_READ,
        summary="What was said in a run: every message once, in order of sending.",
        description="A turn a round: the messages that it sent for the first time, the answer, and what became of the "
        "calls of tools in it.",
        handler=run_parts.turns,
        path_input=TracePath,
        query_input=RoundsQuery,
        answers={200: Answer("A page of turns.", ConversationOfRun)},
        errors=(404,),
    ),
    Operation(
        name="list_system_prompts",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/system-prompts",
        scope=Scope.TRACES_READ,
        summary="The system prompts of a run, as they change.",
        description="Each with the round from which on its agent sends it.",
        handler=run_parts.prompts,
        path_input=TracePath,
        answers={200: Answer("The prompts.", PromptsOfRun)},
        errors=(404,),
    ),
    Operation(
        name="list_tools",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/tools",
        scope=Scope.TRACES_READ,
        summary="The tools of a run: offered, called, never called.",
        description="With their schemas, how often each failed, and how long it took.",
        handler=run_parts.tools,
        path_input=TracePath,
        answers={200: Answer("The tools.", ToolsOfRun)},
        errors=(404,),
    ),
    Operation(
        name="export_run",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/export",
        scope=Scope.TRACES_READ,
        summary="A run to take away.",
        description="As a file. `json` and `otlp` are all that is stored of it; `otlp` sent to any receiver of OTLP is "
        "the run again, and `POST /v1/traces` of this daemon stores the same rows. `html` is one page for people that "
        "needs nothing else, `md` is for an issue tracker.",
        handler=handlers.export,
        path_input=TracePath,
        query_input=ExportQuery,
        answers={
            200: Answer("The file.", RunExport | OtlpTraces, _FILE_HEADERS, others=handlers.OTHERS),
        },
        errors=(404, 413),
    ),
    Operation(
        name="watch_runs",
        tag="Runs",
        method="GET",
        path="/api/v1/live",
        scope=Scope.TRACES_READ,
        summary="Runs as they happen, as server-sent events.",
        description="Of the newest 50 runs of the last 30 minutes that match, those that are new or differ, every "
        "second: events `runs`, a JSON array of runs as in `GET /api/v1/runs`, without titles. `trouble` is a sentence "
        "while the store does not answer. At most 32 streams are open at once; one ends when the daemon does.",
        handler=live.live,
        query_input=Matching,
        answers={200: Answer("Events, for as long as the client listens.", str, media_type=live.EVENTS)},
    ),
    Operation(
        name="compare_runs",
        tag="Runs",
        method="GET",
        path="/api/v1/compare/runs",
        scope=Scope.TRACES_READ,
        summary="Two runs side by side.",
        description="What they cost, took and did, their spans aligned by name and order (10,000 pairs at most), and "
        "the lines in which their system prompts differ.",
        handler=compare.two_runs,
        query_input=TwoRuns,
        answers={200: Answer("Both runs.", ComparedRuns)},
        errors=(404,),
    ),
    Operation(
        name="compare_windows",
        tag="Runs",
        method="GET",
        path="/api/v1/compare/windows",
        scope=Scope.TRACES_READ,
        summary="The runs of two windows side by side: this week against the last.",
        description="`b` is the window asked for, `a` the one that it is compared with: by default as long, and just "
        "before. Filters are for both.",
        handler=compare.two_windows,
        query_input=WindowsQuery,
        answers={200: Answer("Both windows.", ComparedWindows)},
    ),
    Operation(
        name="get_trace",
        tag="Runs",
        method="GET",
        path="/api/v1/traces/{trace_id}",
        scope=Scope.TRACES_READ,
        summary="Every span of a trace as it is stored.",
        description="Rows of the table `otel_traces`, all columns, by the columns' names: what SQL and exports have.",
        handler=runs.trace,
        path_input=TracePath,
        answers={200: Answer("The spans, oldest first.", StoredTrace)},
        errors=(404,),
    ),
    Operation(
        name="get_spend",
        tag="Spend",
        method="GET",
        path="/api/v1/spend",
        scope=Scope.TRACES_READ,
        summary="What was spent, by one dimension.",
        description="Of the calls that started in a period, dearest first. Every call counts once.",
        handler=runs.spend,
        query_input=SpendQuery,
        answers={200: Answer("One row a value of the dimension.", SpendAnswer)},
    ),
    Operation(
        name="get_spend_table",
        tag="Spend",
        method="GET",
        path="/api/v1/spend/table",
        scope=Scope.TRACES_READ,
        summary="What was spent, by a dimension and by model, day, or both.",
        description="Of the calls that started in a period, dearest first: at most 20,000 cells.",
        handler=runs.spend_table,
        query_input=SpendTableQuery,
        answers={200: Answer("One row a cell.", SpendTable, others={CSV_TYPE: str})},
    ),
    Operation(
        name="list_unpriced_models",
        tag="Spend",
        method="GET",
        path="/api/v1/prices/unpriced",
        scope=Scope.TRACES_READ,
        summary="Models that were called and have no price.",
        description="Most calls first, at most a thousand. `spanmeter prices check` says what to configure.",
        handler=runs.unpriced,
        answers={200: Answer("The models.", UnpricedModels)},
    ),
)

_PART: Final = {
    "accept-ranges": "`bytes`: a `Range` is understood.",
    "content-disposition": "A file: what it holds is never shown as a page.",
}
_TEXT_ANSWERS: Final = {
    200: Answer("All of it.", ANY_BYTES, _PART, BYTES),
    206: Answer("The bytes of `Range`.", ANY_BYTES, {**_PART, "content-range": "Which bytes, of how many."}, BYTES),
    416: Answer("It has none of the bytes asked for.", ANY_BYTES, {"content-range": "How many it has."}, BYTES),
}

SPANS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="list_run_spans",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/spans",
        scope=Scope.TRACES_READ,
        summary="A run's spans in columns.",
        description="What a waterfall is drawn from, without content: about 17 bytes a span once compressed.",
        handler=run_spans.run_spans,
        path_input=TracePath,
        answers={200: Answer("The spans.", RunSpans)},
        errors=(404,),
    ),
    Operation(
        name="get_span",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/spans/{span_id}",
        scope=Scope.TRACES_READ,
        summary="One span with its receipt.",
        description="All but its long texts, of which it has the sizes.",
        handler=run_spans.span,
        path_input=SpanPath,
        answers={200: Answer("The span.", SpanAnswer)},
        errors=(404,),
    ),
    Operation(
        name="find_span",
        tag="Runs",
        method="GET",
        path="/api/v1/spans/{span_id}",
        scope=Scope.TRACES_READ,
        summary="The run of a span that is known by its id alone.",
        description="Of several spans with one id, that of the newest.",
        handler=run_spans.find_span,
        path_input=SpanIdPath,
        answers={200: Answer("Where it is.", SpanPlace)},
        errors=(404,),
    ),
    Operation(
        name="get_span_input",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/spans/{span_id}/input",
        scope=Scope.TRACES_READ,
        summary="What a span was given, byte for byte.",
        description="The bytes as they were stored; with `Range` a part of them.",
        handler=run_spans.span_input,
        path_input=SpanPath,
        header_input=RangeHeader,
        answers=_TEXT_ANSWERS,
        errors=(404,),
    ),
    Operation(
        name="get_span_output",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/spans/{span_id}/output",
        scope=Scope.TRACES_READ,
        summary="What a span answered, byte for byte.",
        description="The bytes as they were stored; with `Range` a part of them.",
        handler=run_spans.span_output,
        path_input=SpanPath,
        header_input=RangeHeader,
        answers=_TEXT_ANSWERS,
        errors=(404,),
    ),
    Operation(
        name="get_span_attribute",
        tag="Runs",
        method="GET",
        path="/api/v1/runs/{trace_id}/spans/{span_id}/attributes/{key}",
        scope=Scope.TRACES_READ,
        summary="One attribute of a span, byte for byte.",
        description="For values that are too long for the span's own answer; with `Range` a part of it.",
        handler=run_spans.span_attribute,
        path_input=AttributePath,
        long_path=True,
        header_input=RangeHeader,
        answers=_TEXT_ANSWERS,
        errors=(404,),
    ),
)

JOBS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="reprice",
        tag="Jobs",
        method="POST",
        path="/api/v1/reprice",
        scope=Scope.ADMIN,
        summary="Price stored calls again, or only compare.",
        description="A job: ask for it at the path in `Location`. Calls whose price differs get a new version; the "
        "rest are left alone, so that repeating it does nothing. Of all projects.",
        handler=jobs.reprice,
        body_input=RepriceInput,
        answers={202: Answer("The job that was queued.", JobAnswer, {"location": "The job's path."})},
    ),
    Operation(
        name="back_up",
        tag="Jobs",
        method="POST",
        path="/api/v1/backups",
        scope=Scope.ADMIN,
        summary="Back up the data directory with the embedded store.",
        description="A job: ask for it at the path in `Location`. Into a new directory in `store.backup_dir`, of one "
        "moment, while spans are accepted and stored. `spanmeter restore` makes a data directory of it.",
        handler=jobs.backup,
        body_input=BackupInput,
        answers={202: Answer("The job that was queued.", JobAnswer, {"location": "The job's path."})},
    ),
    Operation(
        name="list_jobs",
        tag="Jobs",
        method="GET",
        path="/api/v1/jobs",
        scope=Scope.TRACES_READ,
        summary="Jobs, newest first.",
        description="Those that the token could have started: of its own project, with `admin` of every one. "
        "The latest are kept in memory, "
        "until the daemon stops.",
        handler=jobs.jobs,
        query_input=Page,
        answers={200: Answer("A page of jobs.", JobsPage)},
    ),
    Operation(
        name="get_job",
        tag="Jobs",
        method="GET",
        path="/api/v1/jobs/{job_id}",
        scope=Scope.TRACES_READ,
        summary="How far a job is, and its result.",
        description="`done` of `total` steps; for `reprice`, steps are calls.",
        handler=jobs.job,
        path_input=JobPath,
        answers={200: Answer("The job.", JobAnswer)},
        errors=(404,),
    ),
    Operation(
        name="cancel_job",
        tag="Jobs",
        method="POST",
        path="/api/v1/jobs/{job_id}/cancel",
        scope=Scope.TRACES_READ,
        summary="Have a job end.",
        description="At once while it is queued, after its present step while it runs: ask for it to see when. What it "
        "has written stays. A job that has ended is left as it is.",
        handler=jobs.cancel_job,
        path_input=JobPath,
        answers={200: Answer("The job as it is now.", JobAnswer)},
        errors=(404,),
    ),
)


ARRIVALS: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="list_arrivals",
        tag="Runs",
        method="GET",
        path="/api/v1/arrivals",
        scope=Scope.TRACES_READ,
        summary="What has just arrived, by service, and what was refused.",
        description="For whoever has set a program up and waits for it: signals, calls, what they cost, and which "
        "have no price. What was refused is of every project, as a request without a known token has none.",
        handler=arrivals.arrivals,
        query_input=ArrivalsQuery,
        answers={200: Answer("What has arrived.", ArrivalsAnswer)},
    ),
)


async def _openapi(_: Services, __: Call[None, None, None]) -> Result:
    return _openapi_answer()


async def _docs(_: Services, __: Call[None, None, None]) -> Result:
    return Result(_docs_page(), media_type=documents.HTML_TYPE)


DAEMON: Final[tuple[AnyOperation, ...]] = (
    Operation(
        name="get_openapi",
        tag="Daemon",
        method="GET",
        path="/api/v1/openapi.json",
        scope=None,
        summary="This API as OpenAPI 3.1.",
        description="What clients are generated from.",
        handler=_openapi,
        answers={200: Answer("The document.", dict[str, Any])},
    ),
    Operation(
        name="get_docs",
        tag="Daemon",
        method="GET",
        path="/api/v1/docs",
        scope=None,
        summary="This API for people.",
        description="One page of HTML that needs nothing else.",
        handler=_docs,
        answers={200: Answer("The page.", str, media_type=documents.HTML_TYPE)},
    ),
    Operation(
        name="healthz",
        tag="Daemon",
        method="GET",
        path="/healthz",
        scope=None,
        summary="Does the daemon live?",
        description="It does if it answers.",
        handler=daemon.healthz,
        answers={200: Answer("It does.", Health)},
    ),
    Operation(
        name="readyz",
        tag="Daemon",
        method="GET",
        path="/readyz",
        scope=None,
        summary="Do spans reach the store?",
        description="While they do not, they are accepted and kept in the spool.",
        handler=daemon.readyz,
        answers={200: Answer("They do.", Ready), 503: Answer("They do not, and why.", NotReady)},
    ),
    Operation(
        name="metrics",
        tag="Daemon",
        method="GET",
        path="/metrics",
        scope=None,
        summary="What the daemon counts.",
        description="For Prometheus.",
        handler=daemon.metrics,
        answers={200: Answer("The metrics.", str, media_type=daemon.METRICS_TYPE)},
    ),
)

OPERATIONS: Final = (*BUDGETS, *RUNS, *ARRIVALS, *SPANS, *EVALS, *JOBS, *DAEMON)


@cache
def _openapi_answer() -> Result:
    return answer(openapi.document(OPERATIONS))


@cache
def _docs_page() -> bytes:
    return documents.html(OPERATIONS).encode()
