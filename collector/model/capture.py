"""What of a request may be stored: the policies, and what they keep of attributes."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Final, Protocol


class Policy(IntEnum):
    """How much of an item is stored; the stricter, the higher."""

    FULL = 0
    METADATA = 1
    OFF = 2

    @property
    def word(self) -> str:
        """The policy as settings and rows have it."""
        return self.name.lower()


POLICIES: Final = {policy.word: policy for policy in Policy}


def strictest_word(words: Iterable[str]) -> str:
    """The strictest of the policies with these words; that of nothing is `full`."""
    return max((POLICIES[word] for word in words), default=Policy.FULL).word


# The attribute by which a span or log record says which policy was applied to it.
POLICY_ATTRIBUTE: Final = "spanmeter.capture.policy"

# What stands for a text that was not captured where its being there is itself a fact.
NOT_CAPTURED: Final = "content not captured (policy)"


class Kept(StrEnum):
    """What stays of an attribute whose content is not captured."""

    NOTHING = "nothing"
    NAME = "name"
    SHORT = "short"
    PARTS = "parts"


class Keeper(Protocol):
    """What the policies beside `full` keep: the names, counts and ids that pricing, budgets and pages read."""

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
