"""What a lease is: an amount set aside for one run, under an id that the run's spans carry."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LEASE_ATTRIBUTE: Final = "spanmeter.lease"
OF_RUN: Final = "lease_"
OF_CALL: Final = "call_"


class LeaseState(StrEnum):
    """Where a lease is in its life; all but OPEN are final and hold nothing."""

    OPEN = "open"
    FINISHED = "finished"  # the root span of its run has arrived
    RELEASED = "released"  # given back by its holder
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Lease:
    """`pico` and `tokens` are set aside in all, `spent_*` is what spans carrying the id have cost so far.

    `stated` is what the caller gave for the run, by field or `attribute.KEY`: which budgets it counts in follows from
    the rules in force. In time, `spent_*` only grow, the amounts and `expires_ns` only shrink, and a final state stays.
    """

    id: str
    project: str
    stated: Mapping[str, str]
    pico: int
    tokens: int
    created_ns: int
    expires_ns: int
    spent_pico: int = 0
    spent_tokens: int = 0
    state: LeaseState = LeaseState.OPEN

    @property
    def of_call(self) -> bool:
        """Whether it is of a single call, which no root ends: what is not counted stays set aside until it expires."""
        return self.id.startswith(OF_CALL)

    @property
    def pico_left(self) -> int:
        """Picodollars still set aside."""
        return max(0, self.pico - self.spent_pico) if self.state is LeaseState.OPEN else 0

    @property
    def tokens_left(self) -> int:
        """Tokens still set aside."""
        return max(0, self.tokens - self.spent_tokens) if self.state is LeaseState.OPEN else 0
