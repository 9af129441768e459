"""The vocabulary of budgets: what a call is matched by, and the events of spend that crosses a line."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

# Values of a budget's `per`, in its order; empty when the budget is one for all.
Scope = tuple[str, ...]


class Dimensions(NamedTuple):
    """What a call is matched by; "" where nothing was sent. `model` is the one name of its model."""

    project: str = ""
    service: str = ""
    environment: str = ""
    provider: str = ""
    model: str = ""
    agent: str = ""
    feature: str = ""
    user: str = ""
    conversation: str = ""
    purpose: str = ""
    attributes: tuple[str, ...] = ()  # values of the attribute keys that the rules name, in the rules' order
    model_names: tuple[str, ...] = ()  # all names by which its model is matched; () when it has one alone


class EventType(StrEnum):
    """What happened to a budget."""

    THRESHOLD_REACHED = "budget.threshold_reached"
    BREACHED = "budget.breached"
    RESET = "budget.reset"
    FORECAST = "budget.forecast"
    UNPRICED = "budget.unpriced"
    TEST = "webhook.test"


@dataclass(frozen=True, slots=True)
class BudgetEvent:
    """One thing to tell, once. `data` is JSON with money as decimal strings; `webhooks` are endpoints by name.

    `scope`, `period_start`, `period_end` (Unix ns) and `threshold` are what its id was made of: by them a later
    decision asks what has fired. 0 is "no period", as for a test. `has_contributors` is False while `data` lacks what
    only the store knows. `project` is the only one whose calls counted, "" where several may have.
    """

    id: str
    type: EventType
    budget: str
    created_ns: int
    data: Mapping[str, Any]
    webhooks: tuple[str, ...]
    scope: Scope = ()
    period_start: int = 0
    period_end: int = 0
    threshold: str = ""
    has_contributors: bool = True
    project: str = ""


class Line(NamedTuple):
    """What a rolling window's spend is over or under: a threshold, the limit, or the first call without a price.

    `threshold` is a fraction and its limit, "0.5 of 1000"; "" for calls without a price.
    """

    budget: str
    scope: Scope
    type: EventType
    threshold: str


def event_id(kind: EventType, budget: str, scope: Scope, period_start: int, threshold: str = "") -> str:
    """The id of an event: the same wherever and however often it is decided."""
    parts: Sequence[Any] = [kind.value, budget, list(scope), period_start, threshold]
    return "evt_" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
