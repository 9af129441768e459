"""The shapes of answers about the parts of a run: rounds, conversation, system prompts, tools."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from collector.web.answers import Next, PromptText, RunAction, RunRound, ToolAtHand, Usd

Owner = Annotated[
    str, Field(description="The span of the agent or tool that the call was made in; empty at the top of the run.")
]


class RoundOfRun(RunRound):
    owner_span_id: Owner
    duration_nanoseconds: int | None
    cost_so_far: Annotated[Usd | None, Field(description="Of the rounds up to this one; null when none is priced.")]


class RoundsPage(TypedDict):
    rounds: Sequence[RoundOfRun]
    next: Next


class MessagePart(TypedDict):
    kind: Annotated[str, Field(description="`text`, `reasoning`, or what the message calls the part.")]
    text: str


class MessageCall(TypedDict):
    id: str
    name: str
    arguments: Annotated[str, Field(description="As they were sent, byte for byte.")]


class MessageResult(TypedDict):
    id: str
    name: str
    text: str


class MessageText(TypedDict):
    role: str
    parts: Sequence[MessagePart]
    calls: Annotated[Sequence[MessageCall], Field(description="The tools it asks for.")]
    results: Annotated[Sequence[MessageResult], Field(description="What tools answered.")]


class OpenCall(TypedDict):
    call: MessageCall
    result: Annotated[str | None, Field(description="What a later round sent as its result.")]


class TurnOfRun(TypedDict):
    round: Annotated[int, Field(description="Its number; 0 has actions that no call preceded.")]
    span_id: str | None
    owner_span_id: Owner
    repeated: Annotated[int, Field(description="Messages that were sent again, which are not repeated here.")]
    input: Annotated[Sequence[MessageText], Field(description="The messages that were sent for the first time.")]
    output: Sequence[MessageText]
    actions: Sequence[RunAction]
    open_calls: Annotated[Sequence[OpenCall], Field(description="Calls of tools that no span tells of.")]


class ConversationOfRun(TypedDict):
    turns: Sequence[TurnOfRun]
    next: Next


class PromptFromRound(PromptText):
    round: Annotated[int, Field(description="The round from which on it is sent.")]
    owner_span_id: Owner


class PromptsOfRun(TypedDict):
    prompts: Annotated[Sequence[PromptFromRound], Field(description="Each once, where its sender begins to send it.")]


class ToolOfRun(ToolAtHand):
    errors: Annotated[int, Field(description="Runs of it that failed.")]
    p50_nanoseconds: Annotated[int | None, Field(description="Null where no span tells of a run of it.")]
    longest_nanoseconds: int | None
    span_id: Annotated[str | None, Field(description="Of its first run.")]


class ToolsOfRun(TypedDict):
    tools: Annotated[Sequence[ToolOfRun], Field(description="Offered or run, those called most first.")]
