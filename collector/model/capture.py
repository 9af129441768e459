"""What of a request may be stored: the policies, and what they keep of attributes."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Final, Literal, Protocol

PolicyWord = Literal["full", "metadata", "off"]


class Policy(IntEnum):
    """How much of an item is stored; the stricter, the higher."""

    FULL = 0
    METADATA = 1
    OFF = 2

    @property
    def word(self) -> PolicyWord:
        """The policy as settings and rows have it."""
        return _WORDS[self]


_WORDS: Final[dict[Policy, PolicyWord]] = {Policy.FULL: "full", Policy.METADATA: "metadata", Policy.OFF: "off"}
POLICIES: Final[dict[str, Policy]] = {policy.word: policy for policy in Policy}


def strictest_word(words: Iterable[str]) -> PolicyWord:
    """The strictest of the policies with these words; that of nothing is `full`."""
    return max((POLICIES[word] for word in words), default=Policy.FULL).word


# The attribute by which a span or log record says which policy was applied to it.
POLICY_ATTRIBUTE: Final = "spanmeter.capture.policy"

# What stands for a text that was not captured where its being there is itself a fact.
NOT_CAPTURED: Final = "content not captured (policy)"


# A path within JSON: names and numbers, `*` for any, `**` for any number of any.
Steps = tuple[str, ...]
ANY, DEEP = "*", "**"


def steps_of(path: str) -> Steps:
    """`$.a.b[*].c`, `a.**.c`, `a."b.c"`: names, numbers, `*` (any) and `**` (any number of any). Raises ValueError."""
    steps: list[str] = []
    rest = path.removeprefix("$").replace("..", f".{DEEP}.")
    while rest:
        rest = rest.removeprefix(".")
        if rest.startswith("["):
            inner, closing, rest = rest[1:].partition("]")
            step = inner.strip("'\"")
        elif rest.startswith('"'):
            step, closing, rest = rest[1:].partition('"')
        else:
            end = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
            step, rest, closing = rest[:end], rest[end:], "."
        if not step or not closing or any(sign in step for sign in "?()@") or (step not in {ANY, DEEP} and "*" in step):
            raise ValueError(f"{path!r} is no path; write for example $.customer.email, items[*].name or $..password")
        steps.append(step)
    if not steps or steps[-1] == DEEP:
        raise ValueError(f"{path!r} leads to nothing; write for example $.customer.email, items[*].name or $..password")
    return tuple(steps)


class Kept(StrEnum):
    """What stays of an attribute whose content is not captured."""

    NOTHING = "nothing"
    NAME = "name"
    SHORT = "short"
    PARTS = "parts"


class Keeper(Protocol):
    """What the policies beside `full` keep: the names, counts and ids that pricing, budgets and pages read."""

    @property
    def longest(self) -> int:
        """How many characters a text has at most that is short. Short texts that are no JSON stay as they are."""

    def kept(self, policy: Policy, key: str) -> Kept:
        """What stays of the attribute `key` of a span, event, log record, point, scope or resource."""

    def short(self, text: str) -> str:
        """What stays of a text of which short ones stay; empty when nothing does."""

    def parts(self, key: str, text: str) -> str:
        """What stays of a text of which only some parts are facts; empty when there are none."""

    def name(self, policy: Policy, name: str) -> str:
        """What stays of a span's name."""

    def event(self, policy: Policy, name: str) -> str:
        """What stays of the name of an event."""

    def tells_of_session(self, event: str, scope: str) -> bool:
        """Whether a log record of this event is read for the calls of a session."""

    def counts_tokens(self, metric: str) -> bool:
        """Whether the points of a metric are compared with what was billed."""
