"""Keeps the ledger of budgets equal to what the store would answer: feeds it rows, loads what it lacks, and checks it.

Whoever writes rows of `otel_traces` does it through `writing`: what memory has forgotten of their traces is loaded
before the rows change it, and the rows are counted once the store has them. Rows are state, not sums: counting one
twice changes nothing.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import structlog

from collector.budgets.attribution import Attribution
from collector.budgets.facts import LEASE_ATTRIBUTE, Amount, SpanFact, TraceKey, Wanted, span_facts
from collector.budgets.ledger import Changes, LeaseSpend, Ledger
from collector.budgets.periods import Calendar, Period
from collector.budgets.rules import Rule, Rules
from collector.config import ATTRIBUTE
from collector.model.budgets import Scope
from collector.model.clock import Clock
from collector.model.money import picodollars_of_sum
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.writer import Rows, insert_spans
from collector.telemetry import Reading

log = structlog.get_logger("spanmeter.spending")

_DAY_NS = 86_400 * 1_000_000_000
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_OF_RUNS = frozenset({"agent", "feature", "user", "conversation"})
_REMEMBERED_TRACES = 200_000

# A lease's run began no longer ago than this.
_LEASES_NS = 7 * _DAY_NS

# Keys go to a server as URL parameters, which it bounds to a megabyte.
_KEYS_AT_ONCE = 1_000


class Feed:
    """Inserts rows and keeps what budgets need of those that the store has confirmed."""

    def __init__(self, wanted: Wanted | None, known: Collection[str] = ()) -> None:
        self._wanted = wanted
        self._known = known
        self.facts: list[SpanFact] = []

    def insert(self, store: Store, rows: Rows, token: str) -> None:
        """Insert rows of one day exactly once. Raises like `Store.insert`; then none of them is counted."""
        if self._wanted is None:
            insert_spans(store, rows, token)
            return
        tapped = _Tapped(rows, self._wanted, self._known)
        insert_spans(store, tapped, token)
        self.facts += tapped.facts


class _Tapped:
    """Rows that are read for facts while they pass."""

    def __init__(self, rows: Rows, wanted: Wanted, known: Collection[str]) -> None:
        self._rows = rows
        self._wanted = wanted
        self._known = known
        self.facts: list[SpanFact] = []

    @property
    def num_rows(self) -> int:
        return self._rows.num_rows

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        self.facts.clear()
        for batch in self._rows.to_batches():
            self.facts += span_facts(batch, self._wanted, self._known)
            yield batch


Keys = Callable[[], Iterable[TraceKey]]
# How rows of `otel_traces` are written: within the context, through the feed, having named their traces, and said
# whether the store may have some of the rows already.
Writing = Callable[[Store, Keys, bool], AbstractContextManager[Feed]]


@contextmanager
def uncounted(_: Store, __: Keys, ___: bool) -> Iterator[Feed]:
    """Write rows that no budget counts."""
    yield Feed(None)


class Spending:
    """The ledger's only writer. Any thread may use it: one at a time has the right to write."""

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        clock: Clock,
        open_leases: Callable[[], Iterable[str]],
        told: Callable[[Changes], None],
    ) -> None:
        """`open_leases` are those whose spend is followed; `told` hears what each write has changed."""
        self._rules = rules
        self._ledger = ledger
        self._clock = clock
        self._open_leases = open_leases
        self._told = told
        self._lock = threading.RLock()
        self._leases: frozenset[str] = frozenset()
        # What has changed and was not told yet, and the traces whose earlier changes nobody may have been told of: a
        # write that fails half way is tried again, and then changes nothing any more.
        self._untold = Changes()
        self._unsure: set[TraceKey] = set()
        # Traces of a write that failed: the store may have rows of them that were not counted here.
        self._doubtful: set[TraceKey] = set()
        self._attribution = Attribution(rules, ledger, lambda lease: lease in self._leases)
        self._met: Store | None = None
        self._corrections = 0

    def readings(self) -> Iterator[Reading]:
        """For /metrics."""
        yield "gauge", "spanmeter_ledger_ready", "1 once spend is known from the store.", int(self._ledger.ready)
        yield "gauge", "spanmeter_ledger_sums", "Sums of spend in memory.", self._ledger.size()
        text = "Times a budget's spend was not what the store said."
        yield "counter", "spanmeter_ledger_corrections", text, self._corrections

    # -- writing --------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, store: Store, keys: Keys, again: bool = False) -> Iterator[Feed]:
        """Write rows of the traces `keys` through the feed. Raises Unavailable when the store does not answer.

        `again`: some of the rows may be in the store, and so in the ledger, without having been counted here.
        """
        if not len(self._rules):
            yield Feed(None)
            return
        with self._lock:
            self._meet(store)
            traces = set(keys())
            forgotten = self._attribution.forgotten(traces)
            self._load(store, forgotten)
            self._unsure.update(forgotten)
            again, self._doubtful = again or bool(self._doubtful), traces | self._doubtful
            feed = Feed(self._wanted(), self._attribution.known_spans(traces))
            try:
                yield feed
            finally:
                if again:
                    self._count_anew(store, sorted(self._doubtful))
                else:
                    self._count(store, feed.facts)
            self._doubtful = set()
            self._told(self._untold)
            self._untold, self._unsure = Changes(), set()

    def _wanted(self) -> Wanted:
        """What is asked of spans now. A lease is open before its spans are sent: without one, none is looked for."""
        return replace(self._rules.wanted, leases=any(True for _ in self._open_leases()))

    def _count(self, store: Store, facts: Iterable[SpanFact]) -> None:
        now = self._clock.time_ns()
        self._leases = frozenset(self._open_leases())
        # A daemon that died after it had stored these rows has told nobody; they change nothing this time.
        self._attribution.mention(self._unsure, self._untold, now)
        unclear = self._attribution.absorb(facts, self._untold, now)
        if unclear:
            self._attribution.replace(unclear, self._stored_facts(store, unclear), self._untold, now)
        self._load_missing(store)

    def _count_anew(self, store: Store, keys: Sequence[TraceKey]) -> None:
        """Take from the store what it has of these traces, and the sums of every period they count in.

        Not before the rows are written: where a process died while the store took them, the table of traces may lack
        those that the table of spans has, until they are written again.
        """
        now = self._clock.time_ns()
        self._attribution.mention(keys, self._untold, now)
        self._attribution.forget(keys)
        self._attribution.load(keys, self._stored_facts(store, keys))
        self._attribution.mention(keys, self._untold, now)
        for name, _, start in self._untold.posted:
            self._untold.missing.setdefault(name, set()).add(start)
        self._untold.leases |= self._lease_spend(store)
        self._attribution.use_leases(self._untold.leases)
        self._load_missing(store)

    def _load_missing(self, store: Store) -> None:
        for name, starts in self._untold.missing.items():
            if rule := self._rules.find(name):
                self._take_over(rule, starts, exact_spend(store, rule, sorted(starts)))
        self._attribution.shrink()

    def _load(self, store: Store, keys: Sequence[TraceKey]) -> None:
        if keys:
            self._attribution.load(keys, self._stored_facts(store, keys))

    def _stored_facts(self, store: Store, keys: Sequence[TraceKey]) -> list[SpanFact]:
        facts: list[SpanFact] = []
        for begin in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[begin : begin + _KEYS_AT_ONCE]
            attributes = [LEASE_ATTRIBUTE, *_ENVIRONMENT, *self._rules.attribute_keys]
            parameters = {
                "projects": [key[0] for key in part],
                "trace_ids": [key[1] for key in part],
                "attribute_keys": attributes,
            }
            table = store.query(named_query("budget_trace_facts"), parameters)
            for batch in table.to_batches():
                facts += span_facts(batch, self._rules.wanted)
        return facts

    # -- what the store says --------------------------------------------------------------------------------------

    def _meet(self, store: Store) -> None:
        """Build the ledger from a store met for the first time. Takes the lock's holder."""
        if self._met is store:
            return
        table = store.query(named_query("recent_traces"), {"limit": _REMEMBERED_TRACES})
        keys = zip(table.column("Project").to_pylist(), table.column("TraceId").to_pylist(), strict=True)
        self._attribution.remember(keys)
        self._build(store)
        self._attribution.use_leases(self._lease_spend(store))
        self._met = store

    def _build(self, store: Store) -> None:
        """Load the periods that are of interest whatever arrives: the current ones and those before."""
        now = self._clock.time_ns()
        self._ledger.keep(self._rules)
        for rule in self._rules:
            starts = _starts_at(rule, now)
            self._take_over(rule, starts, exact_spend(store, rule, starts))
        self._ledger.ready = True

    def start(self, store: Store) -> None:
        """Build the ledger, and have everything decided that it says. Raises Unavailable."""
        with self._lock:
            self._meet(store)

    def use(self, rules: Rules) -> None:
        """Count by these rules from the next write on; what an unchanged rule has counted stays.

        Raises Unavailable when the store does not say what a new rule has to count; then nothing has changed.
        """
        with self._lock:
            now = self._clock.time_ns()
            exact = {}
            if self._met:
                for rule in rules:
                    if not self._ledger.has(rule):
                        exact[rule.name] = exact_spend(self._met, rule, _starts_at(rule, now))
            self._rules = rules
            self._attribution.use(rules)
            if self._met:
                self._ledger.keep(rules)
            for name, sums in exact.items():
                rule = rules.by_name(name)
                self._take_over(rule, _starts_at(rule, now), sums)

    def reconcile(self) -> Iterator[str]:
        """Compare each rule with the store, and correct it; the rules that were wrong. Raises Unavailable."""
        for rule in self._rules:
            with self._lock:  # for one rule at a time, so that the drain goes on between
                known = self._met and self._rules.find(rule.name) is rule
                wrong = known and self._met and self._correct(self._met, rule)
            if wrong:
                yield rule.name

    def _correct(self, store: Store, rule: Rule) -> bool:
        self._ledger.forget([rule], self._clock.time_ns())
        starts = sorted({*self._ledger.kept(rule), *_starts_at(rule, self._clock.time_ns())})
        differing = self._take_over(rule, starts, exact_spend(store, rule, starts))
        if differing:
            self._corrections += 1
            hint = "Where several replicas write one store, this is what the others have stored."
            log.warning(
                "A budget's spend was not what the store says; corrected.", budget=rule.name, hint=hint, **differing
            )
        return bool(differing)

    def _take_over(
        self, rule: Rule, starts: Iterable[int], exact: Mapping[int, Mapping[Scope, Amount]]
    ) -> dict[str, Any]:
        """Make what the store says the ledger's; what differed: how many scopes, and one of them."""
        latest_first = sorted(starts, reverse=True)  # where there is room for some sums only
        loaded = ((start, self._ledger.load(rule, start, exact.get(start, {}))) for start in latest_first)
        differing = [(start, scope) for start, scopes in loaded for scope in scopes]
        return {"scopes": len(differing), "first": differing[0]} if differing else {}

    def _lease_spend(self, store: Store) -> dict[str, LeaseSpend]:
        self._leases = frozenset(self._open_leases())
        if not self._leases:
            return {}
        since = self._clock.time_ns() - _LEASES_NS
        table = store.query(named_query("budget_lease_spend"), {"since": since, "leases": sorted(self._leases)})
        return {row["Lease"]: LeaseSpend(_amount(row), bool(row["Finished"])) for row in table.to_pylist()}


def exact_spend(
    store: Store,
    rule: Rule,
    starts: Sequence[int],
    where: Mapping[str, str] | None = None,
    per: Sequence[str] | None = None,
) -> dict[int, dict[Scope, Amount]]:
    """What the store says was spent, by start and scope, in all periods or steps from the first start to the last.

    `where` fixes values of dimensions; `per` divides by others than the rule does. Raises Unavailable.
    """
    return _asked(store, _parameters(rule, where or {}, per) | _span_of(rule, starts))


def spend_by(
    store: Store, rule: Rule, where: Mapping[str, str], per: Sequence[str], period: Period
) -> dict[Scope, Amount]:
    """What the calls of a rule add up to in one period, divided by other dimensions. Raises Unavailable."""
    span = {"starts": [period.start], "step": 0, "since": period.start, "until": period.end}
    return _asked(store, _parameters(rule, where, per) | span).get(period.start, {})


def _asked(store: Store, parameters: Mapping[str, Any]) -> dict[int, dict[Scope, Amount]]:
    found: dict[int, dict[Scope, Amount]] = {}
    for row in store.query(named_query("budget_spend"), parameters).to_pylist():
        found.setdefault(row["PeriodStart"], {})[tuple(row["Scope"])] = _amount(row)
    return found


def _parameters(rule: Rule, where: Mapping[str, str], per: Sequence[str] | None) -> dict[str, Any]:
    """A rule as parameters of `budget_spend`."""
    parameters = rule.sql_parameters(where) | {"value_keys": list(rule.attribute_keys)}
    if per is not None:
        parameters["per"] = list(per)
    names = {*rule.match, *where, *parameters["per"]}
    return parameters | {
        "by_run": int(not names.isdisjoint(_OF_RUNS)),
        "by_attributes": int(any(name == "environment" or name.startswith(ATTRIBUTE) for name in names)),
    }


def _amount(row: Mapping[str, Any]) -> Amount:
    return Amount(picodollars_of_sum(row["Cost"]), int(row["Tokens"]), row["Calls"], row["Unpriced"])


def _starts_at(rule: Rule, now: int) -> list[int]:
    """The periods to know at any time: the current one and the one before; of windows, every step that is kept."""
    schedule = rule.schedule
    if isinstance(schedule, Calendar):
        current = schedule.at(now)
        return [schedule.before(current).start, current.start]
    kept = schedule.kept(now)
    return list(range(kept.start, kept.end + _DAY_NS, schedule.step_ns))


def _span_of(rule: Rule, starts: Sequence[int]) -> dict[str, Any]:
    """The time that `starts` cover, as parameters of `budget_spend`."""
    schedule = rule.schedule
    if isinstance(schedule, Calendar):
        periods = _adjoining(schedule, starts[0], starts[-1])
        until = schedule.after(schedule.at(starts[-1])).start
        return {"starts": periods, "step": 0, "since": starts[0], "until": until}
    return {"starts": [0], "step": schedule.step_ns, "since": starts[0], "until": starts[-1] + schedule.step_ns}


def _adjoining(schedule: Calendar, first: int, last: int) -> list[int]:
    """The starts of every period from that of `first` to that of `last`."""
    starts = [first]
    while starts[-1] < last:
        starts.append(schedule.after(schedule.at(starts[-1])).start)
    return starts
