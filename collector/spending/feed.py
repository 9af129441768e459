"""Keeps the ledger of budgets equal to what the store would answer: feeds it rows, loads what it lacks, and checks it.

Whoever writes rows of `otel_traces` does it through `writing`: what memory has forgotten of their traces is loaded
before the rows change it, and the rows are counted once the store has them. Rows are state, not sums: counting one
twice changes nothing.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import structlog

from collector.budgets.attribution import Attribution
from collector.budgets.ledger import Changes, LeaseSpend, Ledger
from collector.budgets.periods import Calendar
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import LEASE_ATTRIBUTE, SpanFact, TraceKey, Wanted, span_facts
from collector.model.clock import Clock
from collector.model.keys import trace_keys
from collector.query.spend_queries import Family, Spent, amount_of, families, family_spend
from collector.slices import clear_in_slices
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.writer import SpanRows, insert_spans
from collector.telemetry import Sample, catalogue

log = structlog.get_logger("spanmeter.spending")

_DAY_NS = 86_400 * 1_000_000_000
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_REMEMBERED_TRACES = 200_000

# A lease's run began no longer ago than this.
_LEASES_NS = 7 * _DAY_NS

# Keys go to a server as URL parameters, which it bounds to a megabyte.
_KEYS_AT_ONCE = 1_000

# What is read from the store becomes objects in pieces, as no other thread runs while a piece does.
_ROWS_AT_ONCE = 10_000

# So often what new rules have to count is asked for without a pause of writing.
_ATTEMPTS = 2

# Periods that were over for so long when they were found right are compared again when something was counted in them,
# and each so-many-th time: another replica may have stored late spans.
_LATE_NS = 3_600 * 1_000_000_000
_ALL_EVERY = 6


class Feed:
    """Inserts rows and keeps what budgets need of those that the store has confirmed."""

    def __init__(self, wanted: Wanted | None, known: Collection[str] = ()) -> None:
        self._wanted = wanted
        self._known = known
        self.facts: list[SpanFact] = []

    def insert(self, store: Store, rows: SpanRows, token: str) -> None:
        """Insert rows of one day exactly once. Raises like `Store.insert`; then none of them is counted."""
        if self._wanted is None:
            insert_spans(store, rows, token)
            return
        tapped = _Tapped(rows, self._wanted, self._known)
        insert_spans(store, tapped, token)
        self.facts += tapped.facts


class _Tapped:
    """Rows that are read for facts while they pass."""

    def __init__(self, rows: SpanRows, wanted: Wanted, known: Collection[str]) -> None:
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
        notified: Callable[[Changes], None],
    ) -> None:
        """`open_leases` are those whose spend is followed; `notified` hears what each write has changed."""
        self._rules = rules
        self._ledger = ledger
        self._clock = clock
        self._open_leases = open_leases
        self._on_change = notified
        self._lock = threading.RLock()
        self._leases: frozenset[str] = frozenset()
        # What has changed and was not told yet, and the traces whose earlier changes nobody may have been told of: a
        # write that fails half way is tried again, and then changes nothing any more.
        self._pending_changes = Changes()
        self._unsure: set[TraceKey] = set()
        # Traces of a write that failed: the store may have rows of them that were not counted here.
        self._doubtful: set[TraceKey] = set()
        self._attribution = Attribution(rules, ledger, lambda lease: lease in self._leases)
        self._met: Store | None = None
        self._corrections = 0
        self._writes = self._rounds = 0

    def readings(self) -> Iterator[Sample]:
        """For /metrics."""
        yield Sample(catalogue.LEDGER_READY, int(self._ledger.ready))
        yield Sample(catalogue.LEDGER_SUMS, self._ledger.size())
        yield Sample(catalogue.LEDGER_CORRECTIONS, self._corrections)

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
            self._on_first_use(store)
            self._writes += 1
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
            self._on_change(self._pending_changes)
            self._pending_changes, self._unsure = Changes(), set()

    def _wanted(self) -> Wanted:
        """What is asked of spans now. A lease is open before its spans are sent: without one, none is looked for."""
        return replace(self._rules.wanted, leases=any(True for _ in self._open_leases()))

    def _count(self, store: Store, facts: Iterable[SpanFact]) -> None:
        now = self._clock.time_ns()
        self._ledger.advance(now)
        self._leases = frozenset(self._open_leases())
        # A daemon that died after it had stored these rows has told nobody; they change nothing this time.
        self._attribution.touch(self._unsure, self._pending_changes, now)
        unclear = self._attribution.absorb(facts, self._pending_changes, now)
        if unclear:
            self._attribution.replace(unclear, self._stored_facts(store, unclear), self._pending_changes, now)
        self._load_missing(store)

    def _count_anew(self, store: Store, keys: Sequence[TraceKey]) -> None:
        """Take from the store what it has of these traces, and the sums of every period they count in.

        Not before the rows are written: where a process died while the store took them, the table of traces may lack
        those that the table of spans has, until they are written again.
        """
        now = self._clock.time_ns()
        self._attribution.touch(keys, self._pending_changes, now)
        self._attribution.forget(keys)
        self._attribution.load(keys, self._stored_facts(store, keys))
        self._attribution.touch(keys, self._pending_changes, now)
        for name, _, start in self._pending_changes.posted:
            self._pending_changes.missing.setdefault(name, set()).add(start)
        self._pending_changes.leases |= self._lease_spend(store)
        self._attribution.use_leases(self._pending_changes.leases)
        self._load_missing(store)

    def _load_missing(self, store: Store) -> None:
        wanted = ((self._rules.find(name), sorted(starts)) for name, starts in self._pending_changes.missing.items())
        for several in families((rule, starts) for rule, starts in wanted if rule):
            self._take_over(several, family_spend(store, several))
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
            for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
                facts += span_facts(batch, self._rules.wanted)
        return facts

    # -- what the store says --------------------------------------------------------------------------------------

    def _on_first_use(self, store: Store) -> None:
        """Build the ledger from a store met for the first time. Takes the lock's holder."""
        if self._met is store:
            return
        table = store.query(named_query("recent_traces"), {"limit": _REMEMBERED_TRACES})
        self._attribution.remember(trace_keys(table))
        self._build(store)
        self._attribution.use_leases(self._lease_spend(store))
        self._met = store

    def _build(self, store: Store) -> None:
        """Load the periods that are of interest whatever arrives: the current ones and those before."""
        now = self._clock.time_ns()
        self._ledger.keep(self._rules)
        self._ledger.advance(now)
        for several in families((rule, _starts_at(rule, now)) for rule in self._rules):
            self._take_over(several, family_spend(store, several))
            self._trust(several, now)
        self._ledger.ready = True

    def start(self, store: Store) -> None:
        """Build the ledger, and have everything decided that it says. Raises Unavailable."""
        with self._lock:
            self._on_first_use(store)

    def use(self, rules: Rules) -> None:
        """Count by these rules from the next write on; what an unchanged rule has counted stays.

        Raises Unavailable when the store does not say what a new rule has to count; then nothing has changed.
        """
        for _ in range(_ATTEMPTS):
            with self._lock:
                writes, store = self._writes, self._met
                new = self._new(rules)
            found = [(several, family_spend(store, several)) for several in new] if store else []
            with self._lock:
                if (writes, store) == (self._writes, self._met):
                    self._switch(rules, found)
                    return
        with self._lock:  # rows are stored all the time: have them wait
            met = self._met
            self._switch(rules, [(several, family_spend(met, several)) for several in self._new(rules)] if met else [])

    def _new(self, rules: Rules) -> list[Family]:
        """The rules of which nothing is counted yet."""
        now = self._clock.time_ns()
        return families((rule, _starts_at(rule, now)) for rule in rules if not self._ledger.has(rule))

    def _switch(self, rules: Rules, found: Iterable[tuple[Family, Spent]]) -> None:
        self._rules = rules
        self._attribution.use(rules)
        if self._met:
            self._ledger.keep(rules)
            self._ledger.advance(self._clock.time_ns())
        for several, exact in found:
            self._take_over(several, exact)

    def reconcile(self) -> Iterator[str]:
        """Compare the rules with the store, and correct them; those that were wrong. Raises Unavailable.

        Nobody waits while the store answers: a sum is right if it was, at some time since the question, what the
        answer says. Only a family of rules in which one seems wrong, or scopes that shared a sum can be parted, is
        looked at again with all writers waiting.
        """
        self._rounds += 1
        if self._rounds % _ALL_EVERY == 0:
            self._ledger.trust_none()
        rules = self._rules
        for family in rules.families:
            several = [rules.rules[place] for place in family]
            if not self._seems_right(several):
                yield from self._corrected(several)

    def _seems_right(self, rules: Sequence[Rule]) -> bool:
        with self._lock:  # no write is under way: all that is stored is counted
            store, now = self._met, self._clock.time_ns()
            wanted = self._to_compare(rules, now) if store else []
            if store is None or not wanted:
                return True
            self._ledger.watch(rules)
        try:
            exact = family_spend(store, wanted)
            with self._lock:  # every write that the answer may know of is counted
                pass
            right = all(
                self._ledger.is_or_was(rule, start, exact[rule.name].get(start, {}))
                for rule, starts in wanted
                for start in {*starts, *exact[rule.name]}
            )
            _let_go(exact)
            with self._lock:
                still = [(rule, starts) for rule, starts in wanted if self._rules.find(rule.name) is rule]
                if right:
                    self._trust(still, now)
                return right and not any(self._ledger.may_part(rule, starts) for rule, starts in still)
        finally:
            self._ledger.unwatch(rules)

    def _corrected(self, rules: Sequence[Rule]) -> Iterator[str]:
        with self._lock:
            now = self._clock.time_ns()
            wanted = self._to_compare(rules, now) if self._met else []
            exact = family_spend(self._met, wanted) if self._met and wanted else {}
            wrong = {rule.name: self._take_over([(rule, starts)], exact) for rule, starts in wanted}
            self._trust(wanted, now)
        for name, differing in wrong.items():
            if differing:
                self._corrections += 1
                hint = "Where several replicas write one store, this is what the others have stored."
                log.warning(
                    "A budget's spend was not what the store says; corrected.", budget=name, hint=hint, **differing
                )
                yield name

    def _to_compare(self, rules: Iterable[Rule], now: int) -> Family:
        """What is to be compared of those rules that are still in force."""
        current = [rule for rule in rules if self._rules.find(rule.name) is rule]
        self._ledger.forget(current, now)
        every = self._rounds % _ALL_EVERY == 0
        return [(rule, sorted({*self._ledger.unsure(rule), *_lately(rule, now, every=every)})) for rule in current]

    def _trust(self, wanted: Family, now: int) -> None:
        for rule, starts in wanted:
            self._ledger.trust(rule, (start for start in starts if _end_of(rule, start) < now - _LATE_NS))

    def _take_over(self, wanted: Family, exact: Spent) -> dict[str, Any]:
        """Make what the store says the ledger's, which uses it up; what differed: how many scopes, and one of them."""
        differing = [
            (start, scope)
            for rule, starts in wanted
            # The latest first, where there is not room for all.
            for start in sorted({*starts, *exact[rule.name]}, reverse=True)
            for scope in self._ledger.load(rule, start, exact[rule.name].get(start, {}))
        ]
        _let_go({rule.name: exact[rule.name] for rule, _ in wanted})
        return {"scopes": len(differing), "first": differing[0]} if differing else {}

    def _lease_spend(self, store: Store) -> dict[str, LeaseSpend]:
        self._leases = frozenset(self._open_leases())
        if not self._leases:
            return {}
        since = self._clock.time_ns() - _LEASES_NS
        table = store.query(named_query("budget_lease_spend"), {"since": since, "leases": sorted(self._leases)})
        return {row["Lease"]: LeaseSpend(amount_of(row), bool(row["Finished"])) for row in table.to_pylist()}


def _starts_at(rule: Rule, now: int) -> Sequence[int]:
    """The periods to know at any time: the current one and the one before; of windows, every step that is kept."""
    schedule = rule.schedule
    if isinstance(schedule, Calendar):
        current = schedule.at(now)
        return [schedule.before(current).start, current.start]
    kept = schedule.kept(now)
    return range(kept.start, kept.end + _DAY_NS, schedule.step_ns)


def _lately(rule: Rule, now: int, *, every: bool) -> Sequence[int]:
    """The periods that others may have written to, with `every` also late; of a window the first and the last step."""
    schedule = rule.schedule
    starts = _starts_at(rule, now)
    if isinstance(schedule, Calendar):
        return starts if every else starts[-1:]
    first = starts[0] if every else max(starts[0], schedule.bucket(now - _LATE_NS))
    return first, starts[-1]


def _end_of(rule: Rule, start: int) -> int:
    """The end of the period or step that begins at `start`."""
    schedule = rule.schedule
    return schedule.at(start).end if isinstance(schedule, Calendar) else start + schedule.step_ns


def _let_go(exact: Spent) -> None:
    for periods in exact.values():
        for sums in periods.values():
            clear_in_slices(sums)
