"""The amounts of one write, gathered before they are counted: calls matched alike in the same periods count at once."""

from collections.abc import Callable, Iterable, Sequence

from collector.budgets.facts import Amount, SpanFact
from collector.budgets.ledger import Changes, Ledger, Portion, Posted
from collector.budgets.rules import Rule
from collector.model.budgets import Dimensions, Scope

_SECOND_NS = 1_000_000_000

# Rules by their place among all, and the scope a call counts in.
Matching = Callable[[Dimensions], Iterable[tuple[int, Scope]]]


class Postings:
    """What is added (sign 1) and taken back (-1). Periods begin at whole seconds: calls of one second share theirs."""

    def __init__(self, rules: Sequence[Rule], ledger: Ledger, now: int) -> None:
        self._rules = rules
        self._ledger = ledger
        self._now = now
        self._portions: dict[tuple[Dimensions, int], Portion] = {}
        self._seconds: dict[int, int] = {}  # to a number of `_starts`
        self._numbers: dict[tuple[int | None, ...], int] = {}
        self._starts: list[tuple[int | None, ...]] = []

    def add(self, call: SpanFact, dimensions: Dimensions, sign: int) -> None:
        number = self._seconds.get(call.start // _SECOND_NS)
        if number is None:
            number = self._periods_at(call.start)
        key = dimensions, number
        portion = self._portions.get(key)
        if portion is None:
            portion = self._portions[key] = []
        portion.append((sign, call))

    def _periods_at(self, ns: int) -> int:
        """The number of the periods, one for each rule, that hold a moment."""
        starts = tuple(self._ledger.start_of(rule, ns, self._now) for rule in self._rules)
        number = self._numbers.setdefault(starts, len(self._starts))
        if number == len(self._starts):
            self._starts.append(starts)
        self._seconds[ns // _SECOND_NS] = number
        return number

    def count(self, matching: Matching, changes: Changes) -> None:
        """Post everything to the ledger, and say in `changes` what it came to."""
        sums: dict[tuple[int, Scope, int], tuple[list[Amount], list[Portion]]] = {}
        for (dimensions, number), portion in self._portions.items():
            amount, starts = _total(portion), self._starts[number]
            for place, scope in matching(dimensions):
                start = starts[place]
                if start is None:
                    continue
                found = sums.get((place, scope, start))
                if found is None:
                    sums[place, scope, start] = [amount], [portion]
                else:
                    found[0].append(amount)
                    found[1].append(portion)
        for (place, scope, start), (amounts, portions) in sums.items():
            self._post(self._rules[place], scope, start, _sum(amounts), portions, changes)

    def _post(
        self, rule: Rule, scope: Scope, start: int, amount: Amount, portions: list[Portion], changes: Changes
    ) -> None:
        before, after = self._ledger.add(rule, scope, start, amount)
        key = rule.name, scope, start
        earlier = changes.posted.get(key)
        if earlier:
            before, portions = earlier.before, [*earlier.portions, *portions]
        changes.posted[key] = Posted(before, after, portions)
        if not self._ledger.is_loaded(rule, start):
            changes.missing.setdefault(rule.name, set()).add(start)


def _total(portion: Portion) -> Amount:
    pico = tokens = calls = unpriced = 0
    for sign, call in portion:
        pico += sign * call.pico
        tokens += sign * call.tokens
        calls += sign
        unpriced += sign * call.unpriced
    return Amount(pico, tokens, calls, unpriced)


def _sum(amounts: Sequence[Amount]) -> Amount:
    return amounts[0] if len(amounts) == 1 else Amount(*map(sum, zip(*amounts, strict=True)))
