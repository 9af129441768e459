"""Handlers of questions about many runs: lists, facets, figures, conversations."""

import asyncio
from collections.abc import Sequence

from collector.errors import Reason, Rejected
from collector.model.columns import LATEST_NS
from collector.model.principal import Principal
from collector.query.listing import RunSort
from collector.query.run_filter import RunFilter
from collector.query.run_rows import RunPage
from collector.query.service import Query
from collector.query.titles import title_of
from collector.web.operation import Call, Result, Services, answer
from collector.web.run_answers import (
    ConversationsPage,
    Facets,
    FacetsAnswer,
    FacetValue,
    OneConversation,
    RunsPage,
    RunSummary,
    conversation_json,
    kpis_json,
    summary,
)
from collector.web.run_inputs import (
    ConversationPath,
    ConversationRunsQuery,
    ConversationsQuery,
    KpisQuery,
    RunFilters,
    RunsQuery,
    wanted_of,
)


async def runs(services: Services, call: Call[None, RunsQuery, None]) -> Result:
    return await asyncio.to_thread(_runs, services.query, call.principal, call.query)


async def facets(services: Services, call: Call[None, RunFilters, None]) -> Result:
    counts = await asyncio.to_thread(services.query.facets, call.principal, call.query.asked())
    values = {name: [FacetValue(value=each.value, runs=each.runs) for each in facet] for name, facet in counts.items()}
    return answer(FacetsAnswer(facets=Facets(**values)))  # type: ignore[typeddict-item]  # the names are those of FACETS


async def kpis(services: Services, call: Call[None, KpisQuery, None]) -> Result:
    asked = call.query.asked()
    other = call.query.other(asked)
    found = await asyncio.to_thread(services.query.kpis, call.principal, asked, other, call.query.steps)
    return answer(kpis_json(found, (asked.since, asked.until), other))


async def conversations(services: Services, call: Call[None, ConversationsQuery, None]) -> Result:
    asked, limit, after = call.query.asked(), call.query.limit, call.query.key()
    page = await asyncio.to_thread(services.query.conversations, call.principal, asked, limit, after)
    found = [conversation_json(each) for each in page.conversations]
    return answer(ConversationsPage(conversations=found, next=call.query.next_text(page.next)))


async def conversation(services: Services, call: Call[ConversationPath, ConversationRunsQuery, None]) -> Result:
    name, page = call.path.conversation_id, call.query
    return await asyncio.to_thread(_conversation, services.query, call.principal, name, page)


def _runs(query: Query, principal: Principal, asked: RunsQuery) -> Result:
    page = query.search(principal, asked.wanted())
    found = _summaries(query, principal, page, titles=asked.titles)
    return answer(RunsPage(runs=found, next=asked.next_text(page.next)))


def _conversation(query: Query, principal: Principal, name: str, page: ConversationRunsQuery) -> Result:
    asked = RunFilter(0, LATEST_NS, conversation=name, folded=False)
    found = query.conversations(principal, asked, 1).conversations if name else ()
    if not found:
        raise Rejected(Reason.NOT_FOUND, f"No run of conversation {name[:100]!r} is in project {principal.project}.")
    runs = query.search(principal, wanted_of(asked, page.limit, page.key(name), RunSort.START, ascending=True))
    return answer(
        OneConversation(
            conversation=conversation_json(found[0]),
            runs=_summaries(query, principal, runs, titles=page.titles),
            next=page.next_text(runs.next, name),
        )
    )


def _summaries(query: Query, principal: Principal, page: RunPage, *, titles: bool) -> Sequence[RunSummary]:
    inputs = query.inputs(principal, page.runs) if titles else {}
    return [summary(run, title_of(inputs.get(run.trace_id, "")) or None) for run in page.runs]
