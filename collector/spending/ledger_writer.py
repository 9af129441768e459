"""The ledger's one writer: counts rows as they are stored, and loads from the store what memory lacks."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import structlog

from collector.budgets.attribution import Attribution
from collector.budgets.ledger import Changes, LeaseSpend, Ledger
from collector.budgets.rules import Rules
from collector.budgets.seen_values import SeenValues
from collector.budgets.span_facts import FactFields, SpanFact, span_facts
from collector.config import ATTRIBUTE
from collector.model.clock import Clock
from collector.model.keys import MAX_KEYS_IN_QUERY, TraceKey, trace_keys
from collector.model.leases import LEASE_ATTRIBUTE
from collector.query.spend_queries import Family, Spent, amount_of, families, family_spend
from collector.slices import slices
from collector.spending.feed import Feed, Keys
from collector.spending.reconciliation import Reconciliation, take_over, verify
from collector.store.client import Store
from collector.store.sql import named_query
from collector.telemetry import Sample, catalogue

log = structlog.get_logger("spanmeter.spending")

_DAY_NS = 86_400 * 1_000_000_000
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_REMEMBERED_TRACES = 200_000

# A lease's run began no longer ago than this.
_LEASES_NS = 7 * _DAY_NS

# What is read from the store becomes objects in pieces, as no other thread runs while a piece does.
_ROWS = 10_000

# So often what new rules have to count is asked for without a pause of writing.
_ATTEMPTS = 2


class Spending:
    """The ledger's only writer. Any thread may use it: one at a time has the right to write."""

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        clock: Clock,
        open_leases: Callable[[], Mapping[str, str]],
        notified: Callable[[Changes], None],
        seen: SeenValues | None = None,
    ) -> None:
        """`open_leases` are those whose spend is followed, with their projects.

        `notified` is called with what each write has changed. `seen` is kept with the values of calls.
        """
        self._rules = rules
        self._ledger = ledger
        self._clock = clock
        self._open_leases = open_leases
        self._on_change = notified
        self._lock = threading.RLock()
        self._leases: Mapping[str, str] = {}
        # What has changed and was not notified yet, and the traces whose earlier changes perhaps were not notified: a
        # write that fails half way is tried again, and then changes nothing any more.
        self._pending_changes = Changes()
        self._unsure: set[TraceKey] = set()
        # Traces of a write that failed: the store may have rows of them that were not counted here.
        self._doubtful: set[TraceKey] = set()
        self._seen = SeenValues() if seen is None else seen
        self._attribution = Attribution(rules, ledger, self._project_of_lease, seen=self._seen)
        self._met: Store | None = None
        self._corrections = 0
        self._writes = 0
        self._reconciliation = Reconciliation(ledger, clock, self._lock)

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
            feed = Feed(self._needed_fields(), self._attribution.known_spans(traces))
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

    def _needed_fields(self) -> FactFields:
        """What is read of spans now. A lease is open before its spans are sent: without one, none is looked for."""
        return replace(self._rules.fields, leases=bool(self._open_leases()))

    def _count(self, store: Store, facts: Iterable[SpanFact]) -> None:
        now = self._clock.time_ns()
        self._ledger.advance(now)
        self._leases = self._open_leases()
        # A daemon that died after it had stored these rows has notified nobody; they change nothing this time.
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
        missing = ((self._rules.find(name), sorted(starts)) for name, starts in self._pending_changes.missing.items())
        for family in families((rule, starts) for rule, starts in missing if rule):
            take_over(self._ledger, family, family_spend(store, family))
        self._attribution.shrink()

    def _load(self, store: Store, keys: Sequence[TraceKey]) -> None:
        if keys:
            self._attribution.load(keys, self._stored_facts(store, keys))

    def _stored_facts(self, store: Store, keys: Sequence[TraceKey]) -> list[SpanFact]:
        facts: list[SpanFact] = []
        for part in slices(keys, MAX_KEYS_IN_QUERY):
            attributes = [LEASE_ATTRIBUTE, *_ENVIRONMENT, *self._rules.attribute_keys]
            parameters = {
                "projects": [key[0] for key in part],
                "trace_ids": [key[1] for key in part],
                "attribute_keys": attributes,
            }
            table = store.query(named_query("budget_trace_facts"), parameters)
            for batch in table.to_batches(max_chunksize=_ROWS):
                facts += span_facts(batch, self._rules.fields)
        return facts

    # -- what the store has ---------------------------------------------------------------------------------------

    def _on_first_use(self, store: Store) -> None:
        """Build the ledger from a store met for the first time. Takes the lock's holder."""
        if self._met is store:
            return
        table = store.query(named_query("recent_traces"), {"limit": _REMEMBERED_TRACES})
        self._attribution.remember(trace_keys(table))
        leases = self._lease_spend(store)
        self._build(store)
        self._attribution.use_leases(leases)
        if leases:  # at once: what is counted now would be held by its lease too, until more spans of it come
            self._on_change(Changes(leases=dict(leases)))
        self._load_values(store)
        self._met = store

    def _load_values(self, store: Store) -> None:
        """Learn the values that spans of the store have had in the periods that are followed."""
        fields, now = self._rules.fields, self._clock.time_ns()
        names = [*(fields.dimensions - {"project"}), *(ATTRIBUTE + key for key in fields.attributes)]
        begun = [starts[0] for starts in (rule.schedule.tracked(now) for rule in self._rules) if starts]
        parameters = {"names": names, "since": min(begun, default=now), "limit": self._seen.max_values}
        for batch in store.query(named_query("budget_values"), parameters).to_batches(max_chunksize=_ROWS):
            for row in batch.to_pylist():
                self._seen.add_stored(row["Project"], row["Name"], row["Value"], self._rules.names)
        self._seen.ready = True

    def _build(self, store: Store) -> None:
        """Load the periods that are of interest whatever arrives: the current ones and those before."""
        now = self._clock.time_ns()
        self._ledger.keep(self._rules)
        self._ledger.advance(now)
        for family in families((rule, rule.schedule.tracked(now)) for rule in self._rules):
            take_over(self._ledger, family, _spend_from(store, family, now))
            verify(self._ledger, family, now)
        self._ledger.ready = True

    def start(self, store: Store) -> None:
        """Build the ledger. Raises Unavailable."""
        with self._lock:
            self._on_first_use(store)

    def use(self, rules: Rules) -> None:
        """Count by these rules from the next write on; what an unchanged rule has counted stays.

        Raises Unavailable when the store does not answer what a new rule has to count; then nothing has changed.
        """
        for _ in range(_ATTEMPTS):
            with self._lock:
                writes, store = self._writes, self._met
                new = self._new(rules)
            now = self._clock.time_ns()
            spent = [(family, _spend_from(store, family, now)) for family in new] if store else []
            with self._lock:
                if (writes, store) == (self._writes, self._met):
                    self._switch(rules, spent)
                    return
        with self._lock:  # rows are stored all the time: have them wait
            met, now = self._met, self._clock.time_ns()
            self._switch(rules, [(family, _spend_from(met, family, now)) for family in self._new(rules)] if met else [])

    def _new(self, rules: Rules) -> list[Family]:
        """The rules of which nothing is counted yet."""
        now = self._clock.time_ns()
        return families((rule, rule.schedule.tracked(now)) for rule in rules if not self._ledger.has(rule))

    def _switch(self, rules: Rules, spent: Iterable[tuple[Family, Spent]]) -> None:
        self._rules = rules
        self._attribution.use(rules)
        if self._met:
            self._ledger.keep(rules)
            self._ledger.advance(self._clock.time_ns())
        for family, exact in spent:
            take_over(self._ledger, family, exact)
        self._seen.clear()

    def refresh_values(self) -> None:
        """Learn what values spans have had, where that is not known by the rules in force. Raises Unavailable."""
        with self._lock:
            if self._met and not self._seen.ready:
                self._load_values(self._met)

    def reconcile(self) -> Iterator[str]:
        """Compare the rules with the store, and correct them; those that were wrong. Raises Unavailable."""
        for name in self._reconciliation.round(lambda: (self._rules, self._met)):
            self._corrections += 1
            yield name

    def _lease_spend(self, store: Store) -> dict[str, LeaseSpend]:
        self._leases = self._open_leases()
        if not self._leases:
            return {}
        since = self._clock.time_ns() - _LEASES_NS
        parameters = {"since": since, "leases": list(self._leases), "projects": list(self._leases.values())}
        table = store.query(named_query("budget_lease_spend"), parameters)
        return {row["Lease"]: LeaseSpend(amount_of(row), bool(row["Finished"])) for row in table.to_pylist()}

    def _project_of_lease(self, lease: str) -> str | None:
        return self._leases.get(lease)


def _spend_from(store: Store, family: Family, now: int) -> Spent:
    """What was spent in slots of a family of rules, and in the periods that follow, where calls dated ahead are."""
    return family_spend(store, [(rule, [*starts, *rule.schedule.following(now)]) for rule, starts in family])
