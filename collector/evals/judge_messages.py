"""What the daemon and the process that asks models say to each other."""

from collections.abc import Mapping
from typing import NamedTuple

from collector.config.evals import JudgeConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.evals.asking import Judged, Price
from collector.evals.workshop import Task


class Begin(NamedTuple):
    """To the process: what is asked with from now on."""

    judges: Mapping[str, JudgeConfig]
    catalogue: Catalogue


class Work(NamedTuple):
    """To the process: runs to judge, or only to price."""

    task: Task
    only_price: bool
    capped: frozenset[str] = frozenset()  # evaluators whose cap is a budget of the daemon; those of others count here


class Reserve(NamedTuple):
    """From the process: may a call of the evaluator be made that costs so much at most? `Held` answers it."""

    number: int
    evaluator: str
    stated: Mapping[str, str]
    pico: int
    tokens: int


class Held(NamedTuple):
    """To the process: the call may be made, under the lease; None when it may not."""

    number: int
    lease: str | None


class Spent(NamedTuple):
    """From the process: the call of a lease has cost so much."""

    lease: str
    pico: int
    tokens: int


class Unused(NamedTuple):
    """From the process: there was no call."""

    lease: str


class Found(NamedTuple):
    """From the process: a judgement is made."""

    judged: Judged


class Priced(NamedTuple):
    """From the process: what a judgement of an evaluator would cost."""

    evaluator: str
    price: Price


class Ended(NamedTuple):
    """From the process: all of a `Work` is done; `mistake` is a sentence when it could not be."""

    mistake: str = ""
