"""May this run begin? Decided from the ledger and the lease book in memory; only what is set aside touches a disk.

While spend is not wholly known (the ledger is being built, the store does not answer), `enforcement.fail: closed`
refuses what hard budgets match, and `open` decides by what is known: a cap that was reached stays reached.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from collector.budgets.decisions import BudgetState, Decision, Estimate, decide, over_limit, period_at
from collector.budgets.leases import Claim, LeaseBook
from collector.budgets.periods import Period
from collector.budgets.rules import Rule, Rules, Unit
from collector.budgets.seen_values import SeenValues
from collector.budgets.span_facts import MAX_VALUE_LENGTH, NOTHING, Amount, model_of
from collector.config import ATTRIBUTE, DIMENSIONS, EnforcementConfig
from collector.errors import Reason, Rejected, Unavailable
from collector.model.budgets import Dimensions, Scope
from collector.model.clock import Clock, SteadyClock
from collector.model.leases import OF_CALL, OF_RUN, Lease, LeaseState
from collector.spending.lease_store import LeaseStore
from collector.telemetry import Sample, catalogue

log = structlog.get_logger("spanmeter.enforcement")

# What callers may state of a run; its project is their token's.
FIELDS = tuple(name for name in DIMENSIONS if name != "project")

_SECOND = 10**9

# The spans of a run that has ended, of all its services, are on their way for so long at most: exporters send every few
# seconds.
_SETTLE_NS = 60 * _SECOND

_MAX_LEASES = 100_000
_MAX_LEASES_PER_PROJECT = 20_000  # one project's token cannot use up what there is for all

NO_ESTIMATE = Estimate()


class Spend(Protocol):
    """What enforcement needs of the ledger."""

    @property
    def ready(self) -> bool: ...

    def spend_in(self, rule: Rule, scope: Scope, period: Period, /, *, ahead: bool) -> Amount: ...

    def scopes(self, rule: Rule, period: Period, /, *, ahead: bool) -> Mapping[Scope, Amount]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is about to begin. `stated` is by field of FIELDS, or `attribute.KEY`."""

    project: str
    stated: Mapping[str, str]
    estimate: Estimate = NO_ESTIMATE


@dataclass(frozen=True, slots=True)
class Granted:
    """A lease that is durable, and the decision that granted it."""

    lease: Lease
    decision: Decision


class Enforcement:
    """Belongs to the web's loop, except where any thread may ask.

    `health` is, in a sentence, why the ledger may lack spend, None when it does not; `seen`, the values of calls.
    """

    def __init__(
        self,
        rules: Rules,
        ledger: Spend,
        store: LeaseStore,
        config: EnforcementConfig,
        clock: Clock,
        health: Callable[[], str | None],
        seen: SeenValues | None = None,
    ) -> None:
        self._seen = SeenValues() if seen is None else seen
        self._rules = rules
        self._ledger = ledger
        self._store = store
        self._config = config
        self._clock = clock
        self._steady = SteadyClock(clock)  # by it leases expire: setting the wall clock neither ends nor prolongs one
        self._health = health
        self._book = LeaseBook(lambda lease: store.put([lease]))  # so that no later clock, set back, opens it again
        self._book.load(self._opened(), self._claims_of)
        self._allowed = self._refused = self._degraded = 0

    @property
    def rules(self) -> Rules:
        return self._rules

    def reload(self, rules: Rules, config: EnforcementConfig) -> None:
        """Decide by these from now on; open leases are held against the budgets they match now."""
        self._rules = rules
        self._config = config
        self._book.rebind(self._claims_of)

    # -- asking ---------------------------------------------------------------------------------------------------

    def check(self, run: Run) -> Decision:
        """Whether the run may begin. No I/O."""
        return self._counted(self._decide(run, self._clock.time_ns()))

    def state(self, rule: Rule, scope: Scope, now_ns: int, spent: Amount | None = None) -> BudgetState:
        """How a budget stands for a scope; with `spent`, the ledger is not asked. Any thread may ask."""
        period = period_at(rule, now_ns)
        amount = self._spent(rule, scope, period) if spent is None else spent
        return BudgetState(
            rule=rule,
            scope=scope,
            period=period,
            spend=amount.tokens if rule.unit is Unit.TOKENS else amount.pico,
            reserved=self._book.reserved(rule.name, scope, self._steady.time_ns()),
            limit=rule.limit_of(scope),
            unpriced=amount.unpriced,
        )

    def scopes(self, rule: Rule, now_ns: int) -> dict[Scope, Amount]:
        """What the current period spent, by scope, also those that only set aside. Any thread may ask."""
        period = period_at(rule, now_ns)
        spent = dict(self._ledger.scopes(rule, period, ahead=True)) if self._ledger.ready else {}
        reserved = self._book.scopes(rule.name, self._steady.time_ns())
        return dict.fromkeys([()] if not rule.per else reserved, NOTHING) | spent

    def degraded(self) -> str:
        """Why spend is not wholly known, in a sentence; empty when it is."""
        if not self._ledger.ready:
            return "The ledger is still being built from the store."
        return self._health() or ""

    def _decide(self, run: Run, now_ns: int) -> Decision:
        states = tuple(self.state(rule, scope, now_ns) for rule, scope in self._matching(run.project, run.stated))
        closed = self._config.fail == "closed"
        decision = decide(states, run.estimate, now_ns, self.degraded(), fail_closed=closed)
        unseen = self._seen.unseen(self._rules, self._dimensions(run.project, run.stated), run.stated)
        return replace(decision, unseen=unseen) if unseen else decision

    def _matching(self, project: str, stated: Mapping[str, str]) -> Iterable[tuple[Rule, Scope]]:
        return self._rules.matching(self._dimensions(project, stated))

    def _dimensions(self, project: str, stated: Mapping[str, str]) -> Dimensions:
        """As the ledger has them: cut at the same length, the model by its one name.

        A model whose name nobody knows is the one that has answered to it so far.
        """
        values = {name: stated.get(name, "")[:MAX_VALUE_LENGTH] for name in FIELDS}
        sent, provider = stated.get("model", ""), stated.get("provider", "")
        answering = "" if self._rules.names.model_name(provider, sent) else self._seen.model(project, values["model"])
        values["model"], names = model_of(self._rules.names, provider, answering, sent)
        attributes = (stated.get(ATTRIBUTE + key, "")[:MAX_VALUE_LENGTH] for key in self._rules.attribute_keys)
        return Dimensions(project=project, **values, attributes=tuple(attributes), model_names=names)

    def _spent(self, rule: Rule, scope: Scope, period: Period) -> Amount:
        """Calls dated ahead count now: a clock that is wrong, the sender's or an earlier one of ours, opens no cap."""
        return self._ledger.spend_in(rule, scope, period, ahead=True) if self._ledger.ready else NOTHING

    def _counted(self, decision: Decision) -> Decision:
        self._allowed += decision.allowed
        self._refused += not decision.allowed
        self._degraded += bool(decision.degraded)
        return decision

    # -- leases ---------------------------------------------------------------------------------------------------

    async def lease(self, run: Run, ttl_seconds: float | None = None) -> Granted | Decision:
        """Set the estimate aside in every hard budget that matches, durably; or the refusal.

        Raises Rejected(MALFORMED) when a matching hard budget is in a unit without an estimate, or the time is longer
        than allowed; Unavailable when the lease cannot be written, or there are too many.
        """
        ttl = self._ttl(ttl_seconds)
        now, begun = self._clock.time_ns(), self._steady.time_ns()
        decision = self._decide(run, now)
        _need_estimates(run, decision)
        if not decision.allowed:
            return self._counted(decision)
        lease = Lease(
            id=f"{OF_RUN}{secrets.token_hex(16)}",
            project=run.project,
            stated={name: value[:MAX_VALUE_LENGTH] for name, value in run.stated.items()},
            pico=run.estimate.pico or 0,
            tokens=run.estimate.tokens or 0,
            created_ns=now,
            expires_ns=begun + int(ttl * _SECOND),
        )
        full = self._reserve(lease, now)
        if full:
            return self._counted(self._outrun(run, decision, full, now))
        await self._keep(lease)
        return Granted(lease, self._counted(decision))

    async def hold(self, run: Run, calls: tuple[str, int] | None = None) -> Lease | None:
        """Set the estimate aside for one call, durably, in every hard budget that matches; None when one has no room.

        It is held until `spent` or `release`, and what was spent until that is counted: a call of which nothing more is
        heard counts until the periods of the budgets are over. `calls` is a budget and how many calls it may count. No
        budget that matches: the lease has no id, and nothing is held.
        Raises Unavailable while the ledger is being built, or when the lease cannot be written, or there are too many;
        Rejected(MALFORMED) when a hard budget is in a unit without an estimate.
        """
        now, begun = self._clock.time_ns(), self._steady.time_ns()
        decision = self._decide(run, now)
        hard = [state for state in decision.budgets if state.rule.hard]
        if hard and not self._ledger.ready:
            raise Unavailable(Reason.BUSY, self.degraded())
        _need_estimates(run, decision)
        if not decision.allowed or (calls and any(self._called(state, *calls, begun) for state in hard)):
            return None
        lease = Lease(
            id=f"{OF_CALL}{secrets.token_hex(16)}" if hard else "",
            project=run.project,
            stated={name: value[:MAX_VALUE_LENGTH] for name, value in run.stated.items()},
            pico=run.estimate.pico or 0,
            tokens=run.estimate.tokens or 0,
            created_ns=now,
            expires_ns=begun + max((_over(state.rule, now) - now for state in hard), default=0),
        )
        if hard:
            if self._reserve(lease, now):
                return None
            await self._keep(lease)
        return lease

    def _called(self, state: BudgetState, budget: str, max_calls: int, begun: int) -> bool:
        """Whether a budget counts as many calls as it may, those under way and those not counted yet included."""
        if state.rule.name != budget:
            return False
        counted = self._spent(state.rule, state.scope, state.period).calls
        return counted + self._book.open_in(budget, state.scope, begun) >= max_calls

    async def spent(self, project: str, lease_id: str, estimate: Estimate) -> Lease:
        """The call of a lease has cost so much, and its span is on its way: that is held until it is counted.

        Raises Rejected(NOT_FOUND), or Unavailable.
        """
        lease = await self.find(project, lease_id)
        return await self._kept(self._book.spent(lease_id, estimate.pico or 0, estimate.tokens or 0), lease)

    async def find(self, project: str, lease_id: str) -> Lease:
        """A lease of the project, open or not. Raises Rejected(NOT_FOUND), or Unavailable."""
        lease = self._book.get(lease_id, self._steady.time_ns())
        if lease is None:
            lease = await asyncio.to_thread(self._store.find, lease_id)
            if lease and lease.state is LeaseState.OPEN:  # and not in the book: its time has passed
                lease = replace(lease, state=LeaseState.EXPIRED)
        if lease is None or lease.project != project:
            raise Rejected(Reason.NOT_FOUND, f"There is no lease {lease_id[:60]!r} in project {project}.")
        return lease

    async def end(self, project: str, lease_id: str, estimate: Estimate) -> Lease:
        """The run has ended, having cost `estimate` in all where that is known.

        What it did not need is given back at once. What it did stays set aside until its spans are counted, a minute
        at most. A lease that is not open is left as it is. Raises Rejected(NOT_FOUND), or Unavailable.
        """
        lease = await self.find(project, lease_id)
        latest = self._steady.time_ns() + _SETTLE_NS
        return await self._kept(self._book.ended(lease_id, estimate.pico, estimate.tokens, latest), lease)

    async def release(self, project: str, lease_id: str) -> Lease:
        """Give back all that is left, at once. Raises Rejected(NOT_FOUND), or Unavailable."""
        lease = await self.find(project, lease_id)
        return await self._kept(self._book.release(lease_id), lease)

    def open_leases(self) -> dict[str, str]:
        """The ids that spans may carry to settle something, and of which project these are. Any thread may ask."""
        return self._book.projects(self._steady.time_ns())

    def settle_leases(self, totals: Iterable[tuple[str, int, int, bool]]) -> None:
        """What the spans of leases have cost in all: (lease id, picodollars, tokens, the run's root has arrived).

        Call it once the ledger has counted them. A root ends a run as `end` does: what other services of the run have
        spent may arrive after it, and stays set aside for a minute. State, not a difference: it may be repeated;
        leases that are not open are passed over. For any thread; blocking, one commit. A disk that fails only leaves
        more set aside after a restart, until the leases expire.
        """
        latest = self._steady.time_ns() + _SETTLE_NS
        settled = (
            self._book.settle(key, pico, tokens, finished_ns=latest if done and not key.startswith(OF_CALL) else None)
            for key, pico, tokens, done in totals
        )
        changed = [lease for lease in settled if lease]
        if not changed:
            return
        try:
            self._store.put(changed).result()
        except Unavailable as error:
            log.warning("What leases have spent is not durable.", why=str(error), leases=len(changed))

    def _opened(self) -> list[Lease]:
        """The open leases of an earlier process. Its clock may have been another: none is held anew for longer."""
        now = self._steady.time_ns()
        return [
            replace(lease, expires_ns=min(lease.expires_ns, now + lease.expires_ns - lease.created_ns))
            for lease in self._store.open_leases(now)
        ]

    def readings(self) -> Iterable[Sample]:
        """For /metrics."""
        yield Sample(catalogue.LEASES_OPEN, len(self._book))
        yield Sample(catalogue.BUDGET_CHECKS_ALLOWED, self._allowed)
        yield Sample(catalogue.BUDGET_CHECKS_REFUSED, self._refused)
        yield Sample(catalogue.BUDGET_CHECKS_DEGRADED, self._degraded)

    def _ttl(self, seconds: float | None) -> float:
        if seconds is None:
            return self._config.lease_ttl
        if not 0 < seconds <= self._config.max_lease_ttl:
            longest = f"{self._config.max_lease_ttl:g}"
            text = f"ttl_seconds is above 0 and at most {longest} (enforcement.max_lease_ttl), not {seconds:g}."
            raise Rejected(Reason.MALFORMED, text)
        return seconds

    def _reserve(self, lease: Lease, now_ns: int) -> tuple[Claim, ...]:
        begun = self._steady.time_ns()
        if self._book.of_project(lease.project, begun) >= _MAX_LEASES_PER_PROJECT:
            text = f"The project {lease.project} has {_MAX_LEASES_PER_PROJECT} open leases, the most one can have."
            raise Unavailable(Reason.BUSY, f"{text} Settle or release those whose runs have ended.")
        if len(self._book) >= _MAX_LEASES:
            raise Unavailable(Reason.BUSY, f"There are {_MAX_LEASES} open leases, the most there can be.")

        def spend(claim: Claim) -> int:
            rule = self._rules.by_name(claim.budget)
            amount = self._spent(rule, claim.scope, period_at(rule, now_ns))
            return amount.tokens if claim.in_tokens else amount.pico

        return self._book.reserve(lease, self._claims_of(lease), spend, begun)

    def _claims_of(self, lease: Lease) -> Sequence[Claim]:
        return [
            Claim(rule.name, scope, rule.limit_of(scope), rule.unit is Unit.TOKENS)
            for rule, scope in self._matching(lease.project, lease.stated)
            if rule.hard
        ]

    def _outrun(self, run: Run, decision: Decision, full: Sequence[Claim], now_ns: int) -> Decision:
        """Others took the room between the decision and the reservation."""
        keys = {(claim.budget, claim.scope) for claim in full}
        states = tuple(self.state(old.rule, old.scope, now_ns) for old in decision.budgets)
        over = [state for state in states if (state.rule.name, state.scope) in keys]
        return replace(over_limit(states, over, run.estimate, now_ns, decision.degraded), unseen=decision.unseen)

    async def _keep(self, lease: Lease) -> None:
        """Wait until a reservation is durable; if it never is, give it back."""
        try:
            await asyncio.wrap_future(self._store.put([lease]))
        except BaseException:
            released = self._book.release(lease.id)
            if released:
                self._store.put([released])
            raise

    async def _kept(self, changed: Lease | None, lease: Lease) -> Lease:
        if changed is None:
            return lease
        await asyncio.wrap_future(self._store.put([changed]))
        return changed


def _over(rule: Rule, now_ns: int) -> int:
    """When nothing that is spent now counts any more, Unix nanoseconds."""
    return rule.schedule.dispatch(lambda calendar: calendar.at(now_ns).end, lambda rolling: now_ns + rolling.length_ns)


def _need_estimates(run: Run, decision: Decision) -> None:
    for state in decision.budgets:
        unit = state.rule.unit
        if state.rule.hard and run.estimate.stated(unit) is None:
            name = "estimate_tokens" if unit is Unit.TOKENS else "estimate_usd"
            text = f"The budget {state.rule.name!r} is in {unit.value}: say {name}, the most this run may need."
            raise Rejected(Reason.MALFORMED, text)
