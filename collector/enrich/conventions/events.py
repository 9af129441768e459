"""What the log events of a coding agent tell of its sessions, as convention files say it."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict


class Role(StrEnum):
    """What an event tells of: a turn that begins, a call that was answered, one that was given up, one that the model
    refused to answer, an attempt at a call, what a call asks, more about an answered call, whether a tool may run, and
    what became of it.
    """

    PROMPT = "prompt"
    CALL = "call"
    ERROR = "error"
    REFUSAL = "refusal"
    ATTEMPT = "attempt"
    REQUEST = "request"
    ANSWER = "answer"
    DECISION = "decision"
    RESULT = "result"


def _compiled(patterns: dict[str, str]) -> dict[str, str]:
    for pattern in patterns.values():
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return patterns


# Regular expressions by attribute; one holds when the attribute is there and the expression is found in its text.
Patterns = Annotated[dict[str, str], AfterValidator(_compiled)]


class EventRules(BaseModel):
    """The events of one family. Of lists of keys the first that an event has counts.

    - `prefix` begins the name of every event; records of `scopes` may leave it out.
    - `prompt_ids`: every event names its prompt, and a run is all of one; else it lasts from a prompt to the next.
    - `own_traces`: the trace that records name is that of the run.
    - `required`: what an event of role `call` has to have.
    - `sub_agent` tells events of sub-agents, `agent` which one; `starts_agents` are the tools that start them.
    - `failed` tells failed attempts and tools, and refusals after which another model was asked; `denied` the tools
      that were not allowed to run.
    - `sole_source`: spans tell of the same calls and nothing says which are which; within a session, or a trace, logs
      alone are billed.
    - `asked_by`: an event of role `request` is of the call which ended next of those that say the same here.
    - `names_of`: attributes that events of a name have under another name in rows, as the same one means other things
      elsewhere. Events that have any may be large: of a turn that has too much to be read they are left out.
    - `token_metric` is a sum of tokens by `type`, of which `token_types` add up to input and output.
    - `redacted` are texts that stand for content which is not recorded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefix: str
    scopes: tuple[str, ...] = ()
    roles: dict[str, Role]
    prompt_ids: bool = False
    own_traces: bool = False
    required: tuple[str, ...] = ()
    call_id: tuple[str, ...] = ()
    tool_id: tuple[str, ...] = ()
    tool_name: tuple[str, ...]
    duration_ms: tuple[str, ...] = ("duration_ms",)
    model: tuple[str, ...] = ("model",)
    error: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    sub_agent: Patterns = {}
    starts_agents: tuple[str, ...] = ()
    failed: Patterns = {}
    denied: Patterns = {}
    asked_by: tuple[str, ...] = ()
    names_of: dict[str, dict[str, str]] = {}
    sole_source: Literal["", "session", "trace"] = ""
    token_metric: str = ""
    token_types: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ("<REDACTED>", "[REDACTED]")

    def role(self, event: str, scope: str) -> Role | None:
        """The role of an event of this name; None when it is of another family or tells nothing of a session."""
        if event.startswith(self.prefix):
            return self.roles.get(event.removeprefix(self.prefix))
        return self.roles.get(event) if scope.startswith(self.scopes or "\0") else None

    def renamed(self, event: str) -> Mapping[str, str]:
        """Other names of the attributes of an event of this name."""
        return self.names_of.get(event.removeprefix(self.prefix), {})

    def names(self, *roles: Role, large: bool = True) -> tuple[str, ...]:
        """Every name that an event of these roles may have; without those of `names_of` unless `large`."""
        named = [name for name, role in self.roles.items() if role in roles and (large or name not in self.names_of)]
        return (*(f"{self.prefix}{name}" for name in named), *(named if self.scopes else ()))


def matches(patterns: Mapping[str, str], attributes: Mapping[str, str]) -> bool:
    """Whether one of the patterns holds."""
    return any(re.search(pattern, attributes.get(key, "")) for key, pattern in patterns.items() if key in attributes)
