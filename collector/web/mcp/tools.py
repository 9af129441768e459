"""Every tool, one row each, in the order they are listed. What they answer comes from the table of operations."""

from typing import Final

from collector.model.principal import Scope
from collector.web.mcp.comparing import Compare, Compared, compare
from collector.web.mcp.find_runs import FindRuns, RunsFound, find_runs
from collector.web.mcp.money import (
    BudgetChecked,
    BudgetsFound,
    CheckBudget,
    GetBudgets,
    GetSpend,
    SpendFound,
    check_budget,
    get_budgets,
    get_spend,
)
from collector.web.mcp.one_run import GetRun, ListSpans, RunOpened, SpansListed, get_run, list_spans
from collector.web.mcp.one_span import GetSpan, ReadText, SpanOpened, TextRead, get_span, read_text
from collector.web.mcp.recording import RecordRun, RunRecorded, record_run
from collector.web.mcp.tool import AnyTool, Tool

TOOLS: Final[tuple[AnyTool, ...]] = (
    Tool(
        name="find_runs",
        title="Find runs",
        scope=Scope.TRACES_READ,
        description="Runs of agents that began in a period and match all that is given, with cost, tokens and status. "
        "The dearest of a week: sort=cost, limit=1. Each has the trace_id that get_run takes.",
        takes=FindRuns,
        answers=RunsFound,
        handler=find_runs,
        operations=("list_runs",),
    ),
    Tool(
        name="get_run",
        title="Open a run",
        scope=Scope.TRACES_READ,
        description="One run: its cost by model, its tools, and a page of its rounds (model calls with the actions "
        "they caused). sort=cost puts the dearest rounds first, which tells why a run was dear. Without content.",
        takes=GetRun,
        answers=RunOpened,
        handler=get_run,
        operations=("get_run", "list_run_spans"),
    ),
    Tool(
        name="list_spans",
        title="List the spans of a run",
        scope=Scope.TRACES_READ,
        description="Spans of one run: by time, or the dearest or longest first; of one kind, or only those that "
        "failed.",
        takes=ListSpans,
        answers=SpansListed,
        handler=list_spans,
        operations=("list_run_spans",),
    ),
    Tool(
        name="get_span",
        title="Open a span",
        scope=Scope.TRACES_READ,
        description="One span: tokens, the receipt of its cost line by line, attributes, and how long its input and "
        "output are, which read_text reads.",
        takes=GetSpan,
        answers=SpanOpened,
        handler=get_span,
        operations=("get_span",),
    ),
    Tool(
        name="read_text",
        title="Read a text of a span",
        scope=Scope.TRACES_READ,
        description="A byte range of what a span was given (part=input), what it answered (output), or of one of its "
        "attributes. It may be long: read on from next_byte only for as long as it helps.",
        takes=ReadText,
        answers=TextRead,
        handler=read_text,
        operations=("get_span_input", "get_span_output", "get_span_attribute"),
    ),
    Tool(
        name="get_spend",
        title="What was spent",
        scope=Scope.TRACES_READ,
        description="What calls of a period cost, by one dimension, dearest first, with the total.",
        takes=GetSpend,
        answers=SpendFound,
        handler=get_spend,
        operations=("get_spend",),
    ),
    Tool(
        name="get_budgets",
        title="How budgets stand",
        scope=Scope.TRACES_READ,
        description="Limits, spend and what is left, with the scopes that have least left and what spent most.",
        takes=GetBudgets,
        answers=BudgetsFound,
        handler=get_budgets,
        operations=("list_budgets", "get_budget"),
    ),
    Tool(
        name="compare",
        title="Compare runs or windows",
        scope=Scope.TRACES_READ,
        description="Two runs side by side (a and b), or all runs of two windows of time: by default the last seven "
        "days and the seven before.",
        takes=Compare,
        answers=Compared,
        handler=compare,
        operations=("compare_runs", "compare_windows"),
    ),
    Tool(
        name="check_budget",
        title="May a run begin?",
        scope=Scope.BUDGETS_CHECK,
        description="Whether budgets allow a run like this to begin now. Nothing is set aside.",
        takes=CheckBudget,
        answers=BudgetChecked,
        handler=check_budget,
        operations=("check_budgets",),
        recorded=False,
    ),
    Tool(
        name="record_run",
        title="Record a run",
        scope=Scope.TRACES_WRITE,
        description="Store a run that no exporter tells of, with its model calls and tools, or add a span to one. It "
        "is priced as any other, and on disk when this answers. State tokens as the provider counted them; do not "
        "guess.",
        takes=RecordRun,
        answers=RunRecorded,
        handler=record_run,
        recorded=False,
        writes=True,
    ),
)
