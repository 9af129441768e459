"""Handlers of the parts of one run: its rounds, conversation, system prompts and tools."""

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import accumulate
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from collector.errors import Reason, Rejected
from collector.model.money import decimal_text
from collector.runs import Message, Round, Run, ToolCall, prompts_of, read_spans, run_of
from collector.runs.conversation import Turn, conversation
from collector.runs.costs import added
from collector.runs.tool_use import ToolUse, tool_uses
from collector.web.inputs import Page
from collector.web.operation import Call, Result, Services, answer
from collector.web.part_answers import (
    ConversationOfRun,
    MessageCall,
    MessagePart,
    MessageResult,
    MessageText,
    OpenCall,
    PromptFromRound,
    PromptsOfRun,
    RoundOfRun,
    RoundsPage,
    ToolOfRun,
    ToolsOfRun,
    TurnOfRun,
)
from collector.web.run import action_json, round_json
from collector.web.runs import TracePath, found


def _place(value: object) -> int:
    written = str(value or "0")
    if not written.isascii() or not written.isdecimal() or len(written) > 9:
        raise Rejected(Reason.MALFORMED, f"after={written[:60]!r} is not the `next` of a page of rounds.")
    return int(written)


class RoundsQuery(Page):
    after: Annotated[int, BeforeValidator(_place), WithJsonSchema({"type": "string"})] = Field(  # type: ignore[assignment]
        0, description="The `next` of the page before."
    )

    def next(self, number: int) -> str | None:
        """The `next` of this page of so many."""
        following = self.after + self.limit
        return str(following) if following < number else None


async def rounds(services: Services, call: Call[TracePath, RoundsQuery, None]) -> Result:
    return await _answer(services, call, lambda run: _rounds(run, call.query))


async def turns(services: Services, call: Call[TracePath, RoundsQuery, None]) -> Result:
    return await _answer(services, call, lambda run: _turns(run, call.query))


async def prompts(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await _answer(services, call, _prompts)


async def tools(services: Services, call: Call[TracePath, None, None]) -> Result:
    return await _answer(services, call, lambda run: ToolsOfRun(tools=[_tool(use) for use in tool_uses(run)]))


async def _answer(
    services: Services, call: Call[TracePath, Any, None], part: Callable[[Run], Mapping[str, object]]
) -> Result:
    def read() -> Result:
        trace_id = call.path.trace_id
        stored = services.query.run_spans(call.principal, trace_id)
        run = run_of(found(read_spans(stored), call.principal, trace_id))
        return answer(part(run))

    return await asyncio.to_thread(read)


def _rounds(run: Run, page: RoundsQuery) -> RoundsPage:
    spent = list(accumulate((each.cost for each in run.rounds), added))
    shown = range(page.after, min(page.after + page.limit, len(run.rounds)))
    return RoundsPage(rounds=[_round(run.rounds[at], spent[at]) for at in shown], next=page.next(len(run.rounds)))


def _round(each: Round, spent: Decimal | None) -> RoundOfRun:
    span = each.call.span if each.call else None
    return RoundOfRun(
        **round_json(each),
        owner_span_id=each.owner,
        duration_nanoseconds=span.end - span.start if span else None,
        cost_so_far=None if spent is None else decimal_text(spent),
    )


def _turns(run: Run, page: RoundsQuery) -> ConversationOfRun:
    every = conversation(run.rounds)
    shown = every[page.after : page.after + page.limit]
    return ConversationOfRun(turns=[_turn(turn) for turn in shown], next=page.next(len(every)))


def _turn(turn: Turn) -> TurnOfRun:
    each = turn.round
    return TurnOfRun(
        round=each.number,
        span_id=each.call.span.span_id if each.call else None,
        owner_span_id=each.owner,
        repeated=turn.repeated,
        input=[_message(message) for message in turn.fresh],
        output=[_message(message) for message in turn.answer],
        actions=[action_json(action) for action in turn.actions],
        open_calls=[
            OpenCall(call=_call(call), result=result.text if result else None) for call, result in turn.unanswered
        ],
    )


def _message(message: Message) -> MessageText:
    return MessageText(
        role=message.role,
        parts=[MessagePart(kind=part.kind, text=part.text) for part in message.parts],
        calls=[_call(call) for call in message.calls],
        results=[MessageResult(id=result.id, name=result.name, text=result.text) for result in message.results],
    )


def _call(call: ToolCall) -> MessageCall:
    return MessageCall(id=call.id, name=call.name, arguments=call.arguments)


def _prompts(run: Run) -> PromptsOfRun:
    changes = prompts_of(run.rounds)
    if not changes and run.system_prompt:
        changes = [(0, run.system_prompt)]
    owners = {each.number: each.owner for each in run.rounds}
    return PromptsOfRun(
        prompts=[
            PromptFromRound(
                round=number,
                owner_span_id=owners.get(number, ""),
                text=prompt.text,
                characters=prompt.characters,
                span_id=prompt.span_id,
            )
            for number, prompt in changes
        ]
    )


def _tool(use: ToolUse) -> ToolOfRun:
    return ToolOfRun(
        name=use.tool.name,
        description=use.tool.description,
        schema=use.tool.schema,
        calls=use.tool.count,
        errors=use.errors,
        p50_nanoseconds=use.p50,
        longest_nanoseconds=use.longest,
        span_id=use.span_id or None,
    )
