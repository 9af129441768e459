"""The amounts of one write, gathered before they are counted: calls matched alike in the same periods count at once."""

from collections.abc import Callable, Iterable, Sequence

from collector.budgets.ledger import Changes, Ledger, Portion, Posted
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import Amount, SpanFact
from collector.model.budgets import Dimensions, Scope

_SECOND_NS = 1_000_000_000

# Families of rules by their place among `Rules.families`, and the scope a call counts in.
Matching = Callable[[Dimensions], Iterable[tuple[int, Scope]]]


class _Sum:
    """What the calls of one scope add up to; smaller and quicker than a sum of `Amount`s."""

    __slots__ = ("calls", "pico", "portions", "tokens", "unpriced")

    def __init__(self) -> None:
        self.pico = self.tokens = self.calls = self.unpriced = 0
        self.portions: list[Portion] = []

    def add(self, portion: Portion, amount: Amount) -> None:
        pico, tokens, calls, unpriced = amount
        self.pico += pico
        self.tokens += tokens
        self.calls += calls
        self.unpriced += unpriced
        self.portions.append(portion)


class Postings:
    """What is added (sign 1) and taken back (-1). Periods begin at whole seconds: calls of one second share theirs."""

    def __init__(self, rules: Rules, ledger: Ledger, now: int) -> None:
        self._rules = rules
        self._ledger = ledger
        self._now = now
        self._portions: dict[tuple[Dimensions, int, int], Portion] = {}
        self._seconds: dict[int, int] = {}  # to a number of `_starts`
        self._numbers: dict[tuple[int | None, ...], int] = {}
        self._starts: list[tuple[int | None, ...]] = []

    def add(self, call: SpanFact, dimensions: Dimensions, sign: int) -> None:
        number = self._seconds.get(call.start // _SECOND_NS)
        if number is None:
            number = self._periods_at(call.start)
        key = dimensions, number, sign
        portion = self._portions.get(key)
        if portion is None:
            portion = self._portions[key] = Portion(sign, [])
        portion.calls.append(call)

    def _periods_at(self, ns: int) -> int:
        """The number of the periods, one for each rule, that hold a moment."""
        starts = tuple(rule.schedule.countable(ns, self._now) for rule in self._rules)
        number = self._numbers.setdefault(starts, len(self._starts))
        if number == len(self._starts):
            self._starts.append(starts)
        self._seconds[ns // _SECOND_NS] = number
        return number

    def count(self, matching: Matching, changes: Changes) -> None:
        """Post everything to the ledger, and enter in `changes` what it came to."""
        sums: dict[tuple[int, Scope, int], _Sum] = {}
        for (dimensions, number, _), portion in self._portions.items():
            amount = _total(portion)
            for family, scope in matching(dimensions):
                key = family, scope, number
                total = sums.get(key)
                if total is None:
                    total = sums[key] = _Sum()
                total.add(portion, amount)
        for (family, scope, number), total in sums.items():
            amount = Amount(total.pico, total.tokens, total.calls, total.unpriced)
            starts = self._starts[number]
            for place in self._rules.families[family]:
                start = starts[place]
                if start is not None:
                    self._post(self._rules.rules[place], scope, start, amount, total.portions, changes)

    def _post(
        self, rule: Rule, scope: Scope, start: int, amount: Amount, portions: Sequence[Portion], changes: Changes
    ) -> None:
        before, after = self._ledger.add(rule, scope, start, amount)
        key = rule.name, scope, start
        earlier = changes.posted.get(key)
        if earlier is None:
            changes.posted[key] = Posted(before, after, list(portions))
        else:
            earlier.after = after
            earlier.portions.extend(portions)
        if not self._ledger.is_loaded(rule, start):
            changes.missing.setdefault(rule.name, set()).add(start)


def _total(portion: Portion) -> Amount:
    pico = tokens = unpriced = 0
    for call in portion.calls:
        pico += call.pico
        tokens += call.tokens
        unpriced += call.unpriced
    sign = portion.sign
    return Amount(sign * pico, sign * tokens, sign * len(portion.calls), sign * unpriced)
