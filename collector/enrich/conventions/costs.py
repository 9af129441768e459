"""What a span says that its call costs: libraries' own sums, and the bills of gateways."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from collector.enrich.conventions import usage
from collector.enrich.conventions.usage import MAX_COST

_TRUE = frozenset({"true", "1"})
_NOTHING = Decimal(0)

# The facts that `Reported` is made of; those that are used where the first, the whole cost, is not more than nothing.
PARTS = ("input_cost", "output_cost", "cost_parts")
FIELDS = frozenset({"reported_cost", *PARTS, "upstream_cost", "own_key"})


@dataclass(frozen=True, slots=True)
class Reported:
    """`cost` is what the instrumentation or the gateway says, `upstream` what the gateway says the provider charges.

    With a key of the caller's own the provider's bill comes beside the gateway's (OpenRouter's usage accounting:
    `cost` is charged to the account, `cost_details.upstream_inference_cost` to the key). Else it is part of it.
    """

    cost: Decimal | None
    upstream: Decimal | None = None
    own_key: str = ""

    @property
    def states_own_key(self) -> bool:
        return self.own_key.lower() in _TRUE

    @property
    def states_free(self) -> bool:
        """Whether a total of 0 is a price: not the gateway's 0 for an own key, but the provider's beside it."""
        return self.states_own_key and self.upstream is not None

    @property
    def total(self) -> Decimal | None:
        if not self.upstream or not self._is_beside:
            return self.cost
        total = self.upstream + (self.cost or _NOTHING)
        return total if total < MAX_COST else self.cost

    @property
    def _is_beside(self) -> bool:
        """Whether the key was the caller's own. Where nothing states it: fees are small beside what they are for, and
        a gateway that pays itself charges about what it pays."""
        return self.states_own_key or (not self.own_key and (self.upstream or _NOTHING) > 2 * (self.cost or _NOTHING))


NOTHING = Reported(None)


def believed(costs: Iterable[Decimal | None]) -> Decimal | None:
    """Of costs at several places the first that is more than nothing; 0 when all that were sent are 0."""
    first = None
    for cost in costs:
        if cost:
            return cost
        first = cost if first is None else first
    return first


def summed(costs: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of all costs; None when one of them was not sent, because a part is no bill."""
    known = list(costs)
    if not known or None in known:
        return None
    return usage.cost(str(sum((part for part in known if part is not None), _NOTHING)))


def members(value: object) -> list[Decimal | None]:
    """The costs that a JSON object lists by part, such as `{"input": 0.01, "output": 0.002}`."""
    if not isinstance(value, Mapping):
        return []
    return [usage.cost(part) for name, part in value.items() if name != "total" and part is not None]


def free_model(*names: str) -> bool:
    """Whether a model's name says that it is free, as gateways have it (`vendor/model:free`)."""
    return any(name[-5:].lower() == ":free" for name in names)
