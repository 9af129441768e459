"""From spans to postings: which amounts a span adds to the ledger, and which it takes back.

A span that is delivered or priced again takes back what its earlier row posted. The values a span has for its run
(agent, feature, user, conversation, lease, attributes) count for the calls of the run that have none themselves; of
several spans the earliest decides, as in the view `runs`.

Knows recent traces. Of one that was forgotten the stored facts are loaded before a new row of it is absorbed.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from collector.budgets.ledger import Changes, LeaseSpend, Ledger
from collector.budgets.posting import Postings
from collector.budgets.rules import Rules
from collector.budgets.seen_values import SeenValues
from collector.budgets.span_facts import NO_VALUES, RunValues, SpanFact
from collector.model.budgets import Dimensions, Scope
from collector.model.keys import RowInTrace, TraceKey
from collector.model.recent_keys import RecentKeys

_MATCHES_KEPT = 50_000


class _Claimed(NamedTuple):
    """A value a span gives its run, and which span: the earliest decides."""

    start: int
    span_id: str
    value: str


@dataclass(slots=True)
class _Trace:
    """`values` are those of `claimed`, which are by their place in `RunValues.texts`."""

    calls: dict[RowInTrace, SpanFact] = field(default_factory=dict)
    claimed: dict[int, _Claimed] = field(default_factory=dict)
    values: RunValues = NO_VALUES
    versions: dict[RowInTrace, int] = field(default_factory=dict)  # of the spans in `claimed`

    def observe(self, fact: SpanFact) -> None:
        """Take the values a span has for its run."""
        texts = fact.run.texts()
        changed = False
        for place, value in enumerate(texts):
            if not value:
                continue
            claimed = self.claimed.get(place)
            if claimed is None or (fact.start, fact.span_id) <= (claimed.start, claimed.span_id):
                self.claimed[place] = _Claimed(fact.start, fact.span_id, value)
                changed = True
        if changed:
            self.versions[fact.key] = fact.version
            values = {place: claimed.value for place, claimed in self.claimed.items()}
            self.values = RunValues.of(*(values.get(place, "") for place in range(len(texts))))


class Attribution:
    """Belongs to whoever holds the right to write the ledger.

    `lease_project` names the project of a lease whose spend is followed, and None for other texts. Only spans of that
    project spend from it. `seen` is given the values of calls.
    """

    def __init__(
        self,
        rules: Rules,
        ledger: Ledger,
        lease_project: Callable[[str], str | None],
        max_calls: int = 200_000,
        max_known: int = 1_000_000,
        seen: SeenValues | None = None,
    ) -> None:
        self._seen = seen
        self._ledger = ledger
        self._lease_project = lease_project
        self._leases: dict[str, LeaseSpend] = {}
        self._max_calls = max_calls
        self._calls = 0
        self._traces: OrderedDict[TraceKey, _Trace] = OrderedDict()
        # Every trace seen. A false positive costs a look into the store, nothing else.
        self._known = RecentKeys(max_known)
        self._rules = rules
        self.use(rules)

    def use(self, rules: Rules) -> None:
        """Post by these rules from now on. Traces are forgotten when rules ask for other things than before."""
        if self._traces and rules.fields != self._rules.fields:
            self._traces.clear()
            self._calls = 0
        self._rules = rules
        self._matches: dict[Dimensions, tuple[tuple[int, Scope], ...]] = {}

    def use_leases(self, spent: Mapping[str, LeaseSpend]) -> None:
        """Take over what the store has of the open leases."""
        self._leases = dict(spent)

    def remember(self, keys: Iterable[TraceKey]) -> None:
        """Traces that are stored, though not in memory."""
        for key in keys:
            self._known.add(key)

    def forgotten(self, keys: Iterable[TraceKey]) -> list[TraceKey]:
        """Those traces that may have stored spans and are not in memory: `load` these before `absorb`."""
        return sorted(key for key in set(keys) if key not in self._traces and key in self._known)

    def load(self, keys: Iterable[TraceKey], facts: Iterable[SpanFact]) -> None:
        """Take in what is stored of forgotten traces, which the ledger has counted already."""
        for key in keys:
            self._traces[key] = _Trace()
            self._known.add(key)
        for fact in facts:
            self._learn(self._traces[fact.trace], fact)

    def forget(self, keys: Iterable[TraceKey]) -> None:
        """Drop what memory has of these traces."""
        for key in keys:
            if trace := self._traces.pop(key, None):
                self._calls -= len(trace.calls)

    def known_spans(self, keys: Iterable[TraceKey]) -> set[str]:
        """The spans of these traces that count or gave their run a value: whatever comes of them next is to be read."""
        traces = [trace for trace in map(self._traces.get, keys) if trace]
        sources = {claimed.span_id for trace in traces for claimed in trace.claimed.values()}
        return sources.union(span_id for trace in traces for _, span_id in trace.calls)

    def touch(self, keys: Iterable[TraceKey], changes: Changes, now: int) -> None:
        """Name in `changes` everything the calls of these traces count in, though nothing of it changes."""
        postings = Postings(self._rules, self._ledger, now)
        for key in keys:
            if trace := self._traces.get(key):
                self._post_all(trace, 0, changes, postings)
        postings.count(self._matching, changes)

    def absorb(self, facts: Iterable[SpanFact], changes: Changes, now: int) -> list[TraceKey]:
        """Post what rows now stored change.

        The traces that memory cannot tell the run's values of any more: `replace` them by what is stored.
        """
        unclear: set[TraceKey] = set()
        postings = Postings(self._rules, self._ledger, now)
        by_trace: dict[TraceKey, list[SpanFact]] = {}
        for fact in facts:
            by_trace.setdefault(fact.trace, []).append(fact)
        for key, several in by_trace.items():
            self._known.add(key)
            trace = self._traces.get(key)
            if trace is None:
                trace = self._traces[key] = _Trace()
                if self._begin(trace, several, changes, postings):
                    continue
            self._traces.move_to_end(key)
            for fact in several:
                if self._contradicts(trace, fact):
                    unclear.add(key)
                else:
                    self._absorb(trace, fact, changes, postings)
        postings.count(self._matching, changes)
        return sorted(unclear)

    def replace(self, keys: Iterable[TraceKey], facts: Iterable[SpanFact], changes: Changes, now: int) -> None:
        """Post the difference between what was known of these traces and what is stored of them."""
        postings = Postings(self._rules, self._ledger, now)
        old = {key: self._traces[key] for key in keys}
        for key in old:
            self._calls -= len(self._traces[key].calls)
            self._traces[key] = _Trace()
        for fact in facts:
            self._learn(self._traces[fact.trace], fact)
        for key, trace in old.items():
            self._post_all(trace, -1, changes, postings)
            self._post_all(self._traces[key], 1, changes, postings)
        postings.count(self._matching, changes)

    def shrink(self) -> None:
        """Forget the traces not touched for longest, down to the bound, and leases that are closed."""
        if any(self._lease_project(lease) is None for lease in self._leases):
            self._leases = {lease: spent for lease, spent in self._leases.items() if self._lease_project(lease)}
        while self._calls > self._max_calls and len(self._traces) > 1:
            _, trace = self._traces.popitem(last=False)
            self._calls -= len(trace.calls)
        while len(self._traces) > self._max_calls:
            _, trace = self._traces.popitem(last=False)
            self._calls -= len(trace.calls)

    # -- one trace ------------------------------------------------------------------------------------------------

    @staticmethod
    def _contradicts(trace: _Trace, fact: SpanFact) -> bool:
        """Whether a span that gave its run a value has another one, or starts at another time, than before."""
        if trace.versions.get(fact.key, fact.version + 1) > fact.version:
            return False
        texts = dict(enumerate(fact.run.texts()))
        return any(
            claimed.span_id == fact.span_id and (claimed.value != texts.get(place, "") or claimed.start != fact.start)
            for place, claimed in trace.claimed.items()
        )

    def _begin(self, trace: _Trace, facts: list[SpanFact], changes: Changes, postings: Postings) -> bool:
        """Absorb the first spans of a trace all at once; False, and nothing done, when one is there twice."""
        spans = {fact.key: fact for fact in facts}
        if len(spans) < len(facts):
            return False
        for fact in _earliest_of_each(facts):
            trace.observe(fact)
        trace.calls = {key: fact for key, fact in spans.items() if fact.calls}
        self._calls += len(trace.calls)
        self._post_all(trace, 1, changes, postings)
        if trace.values.lease and (root := next((fact for fact in facts if fact.root), None)):
            self._finish(root, trace.values.lease, changes)
        return True

    def _absorb(self, trace: _Trace, fact: SpanFact, changes: Changes, postings: Postings) -> None:
        before = trace.values
        known = trace.calls.get(fact.key)
        if known and known.version > fact.version:
            return
        trace.observe(fact)
        after = trace.values
        if after != before:
            # Perhaps no call of the run has the changed values itself: take all back and post them anew.
            for call in trace.calls.values():
                self._move(call, before, after, changes, postings)
        if known and known.calls:
            self._post(known, after, -1, changes, postings)
        self._keep(trace, fact, known)
        if fact.calls:
            self._post(fact, after, 1, changes, postings)
        if fact.root:
            self._finish(fact, after.lease, changes)

    def _spends(self, fact: SpanFact, lease: str) -> bool:
        project, _ = fact.trace
        return bool(lease) and self._lease_project(lease) == project

    def _finish(self, root: SpanFact, lease: str, changes: Changes) -> None:
        if self._spends(root, lease):
            spent = self._leases.get(lease, LeaseSpend())
            changes.leases[lease] = self._leases[lease] = LeaseSpend(spent.amount, finished=True)

    def _learn(self, trace: _Trace, fact: SpanFact) -> None:
        trace.observe(fact)
        self._keep(trace, fact, trace.calls.get(fact.key))

    def _keep(self, trace: _Trace, fact: SpanFact, known: SpanFact | None) -> None:
        if fact.calls:
            trace.calls[fact.key] = fact
            self._calls += known is None
        elif known:
            # It counts no longer; its version still tells a row delivered late from a newer one.
            trace.calls[fact.key] = fact

    # -- postings -------------------------------------------------------------------------------------------------

    def _move(self, call: SpanFact, before: RunValues, after: RunValues, changes: Changes, postings: Postings) -> None:
        if call.calls and (_filled(call, before) != _filled(call, after) or before.lease != after.lease):
            self._post(call, before, -1, changes, postings)
            self._post(call, after, 1, changes, postings)

    def _post_all(self, trace: _Trace, sign: int, changes: Changes, postings: Postings) -> None:
        values = trace.values
        # Calls with the same values share their dimensions.
        filled: dict[int, Dimensions] = {}
        for call in trace.calls.values():
            if not call.calls:
                continue
            place = id(call.dimensions)
            dimensions = filled.get(place)
            if dimensions is None:
                dimensions = filled[place] = _filled(call, values)
            postings.add(call, dimensions, sign)
            if values.lease or call.run.lease:
                self._post_lease(call, values, sign, changes)

    def _post(self, call: SpanFact, values: RunValues, sign: int, changes: Changes, postings: Postings) -> None:
        postings.add(call, _filled(call, values), sign)
        if values.lease or call.run.lease:
            self._post_lease(call, values, sign, changes)

    def _post_lease(self, call: SpanFact, values: RunValues, sign: int, changes: Changes) -> None:
        lease = call.run.lease or values.lease
        if self._spends(call, lease):
            spent = self._leases.get(lease, LeaseSpend())
            amount = spent.amount.plus(call.amount, sign)
            changes.leases[lease] = self._leases[lease] = LeaseSpend(amount, spent.finished)

    def _matching(self, dimensions: Dimensions) -> tuple[tuple[int, Scope], ...]:
        """The families of rules that count a call, by their place, and in whose budget."""
        families = self._matches.get(dimensions)
        if families is None:
            if len(self._matches) >= _MATCHES_KEPT:
                self._matches.clear()
            families = self._matches[dimensions] = tuple(self._rules.families_of(dimensions))
            if self._seen:
                self._seen.add_call(dimensions, self._rules.attribute_keys)
        return families


def _earliest_of_each(facts: Iterable[SpanFact]) -> Iterable[SpanFact]:
    """Of the spans with the same values for their run, the earliest; spans of a batch share one object for them."""
    first: dict[int, SpanFact] = {}
    for fact in facts:
        values = fact.run
        if values is NO_VALUES:
            continue
        earliest = first.get(id(values))
        if earliest is None or (fact.start, fact.key) < (earliest.start, earliest.key):
            first[id(values)] = fact
    return first.values()


def _filled(call: SpanFact, values: RunValues) -> Dimensions:
    """What a call is matched by: its own values, else its run's."""
    if values is NO_VALUES:
        return call.dimensions
    project, service, environment, provider, model, *rest = call.dimensions[:-2]
    agent, feature, user, conversation, purpose = rest
    attributes, names = call.dimensions[-2:]
    return Dimensions(
        project,
        service,
        environment,
        provider,
        model,
        agent or values.agent,
        feature or values.feature,
        user or values.user,
        conversation or values.conversation,
        purpose,
        _filled_attributes(attributes, values.attributes) if values.attributes else attributes,
        names,
    )


def _filled_attributes(own: tuple[str, ...], of_run: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value or named for value, named in zip(own, of_run, strict=True))
