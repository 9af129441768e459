"""The lease book: what is set aside for runs that have begun and whose spans have not all been counted.

For every claim, spend + reserved <= limit holds at the moment of each reservation, however many threads reserve at
once. Spend is counted first and settled second: in between, an amount counts twice and never not at all.
"""

import heapq
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from collector.model.budgets import Scope
from collector.model.leases import Lease, LeaseState

# Leases that were granted at once expire at once.
_EXPIRIES = 100


class Claim(NamedTuple):
    """One hard budget that a run counts in. `limit` is in tokens or else in picodollars."""

    budget: str
    scope: Scope
    limit: int
    in_tokens: bool

    def left_of(self, lease: Lease) -> int:
        """What `lease` still sets aside, in this budget's unit."""
        return lease.tokens_left if self.in_tokens else lease.pico_left


@dataclass(slots=True)
class _Entry:
    lease: Lease
    claims: tuple[Claim, ...]
    counted: bool = False  # some of its spend


class LeaseBook:
    """Every open lease. Safe for threads; nothing here waits for I/O."""

    def __init__(self, expired: Callable[[Lease], object] = lambda _: None) -> None:
        """`expired` gets each lease whose time has passed, under the book's lock: it must not wait."""
        self._lock = threading.Lock()
        self._expired = expired
        self._entries: dict[str, _Entry] = {}
        self._reserved: defaultdict[tuple[str, Scope], int] = defaultdict(int)
        self._expiries: list[tuple[int, str]] = []
        self._of_project: Counter[str] = Counter()
        self._open_in: Counter[tuple[str, Scope]] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def of_project(self, project: str, now_ns: int) -> int:
        """How many open leases a project has."""
        with self._lock:
            self._expire(now_ns)
            return self._of_project[project]

    def projects(self, now_ns: int) -> dict[str, str]:
        """The project of every open lease, by its id."""
        with self._lock:
            self._expire(now_ns)
            return {key: entry.lease.project for key, entry in self._entries.items()}

    def reserve(
        self, lease: Lease, claims: Sequence[Claim], spend: Callable[[Claim], int], now_ns: int
    ) -> tuple[Claim, ...]:
        """Set the lease's amounts aside in every claim, or in none: the claims that have no room, () when it is done.

        A budget that is used up has no room for a lease of nothing either. `spend` is asked under the book's lock.
        """
        with self._lock:
            self._expire(now_ns)
            full = tuple(claim for claim in claims if not self._fits(lease, claim, spend(claim)))
            if not full:
                self._enter(lease, claims)
            return full

    def reserved(self, budget: str, scope: Scope, now_ns: int) -> int:
        """What open leases set aside in a budget, in its unit."""
        if not self._entries:
            return 0
        with self._lock:
            self._expire(now_ns)
            return self._reserved.get((budget, scope), 0)

    def scopes(self, budget: str, now_ns: int) -> list[Scope]:
        """The scopes of a budget in which something is set aside."""
        with self._lock:
            self._expire(now_ns)
            reserved = list(self._reserved)
        return [scope for name, scope in reserved if name == budget]

    def get(self, lease_id: str, now_ns: int) -> Lease | None:
        """An open lease."""
        with self._lock:
            self._expire(now_ns)
            entry = self._entries.get(lease_id)
            return entry.lease if entry and entry.lease.expires_ns > now_ns else None

    def settle(
        self, lease_id: str, spent_pico: int, spent_tokens: int, *, finished_ns: int | None = None
    ) -> Lease | None:
        """Spans carrying the lease have cost this much in all so far, and are counted.

        `finished_ns` is given once the run's root has arrived: what is left is held until then at the latest, as other
        services of the run may still have spans on their way; a lease with nothing left ends at once. May be repeated,
        also out of order: the highest totals and the earliest end stand. The lease as it is now; None when nothing
        changed.
        """

        def settlement(before: Lease) -> Lease | None:
            self._count(self._entries[lease_id])
            after = replace(
                before,
                spent_pico=max(before.spent_pico, spent_pico),
                spent_tokens=max(before.spent_tokens, spent_tokens),
                expires_ns=before.expires_ns if finished_ns is None else min(before.expires_ns, finished_ns),
            )
            over = finished_ns is not None or before.of_call
            if over and not after.pico_left and not after.tokens_left:
                after = replace(after, state=LeaseState.FINISHED)
            return after if after != before else None

        return self._altered(lease_id, settlement)

    def ended(self, lease_id: str, pico: int | None, tokens: int | None, expires_ns: int) -> Lease | None:
        """The run has ended: hold no more than it cost, where that is known, and until `expires_ns` at the latest.

        The lease as it is now; None when there is no such open lease.
        """

        def end(before: Lease) -> Lease:
            return replace(
                before,
                pico=before.pico if pico is None else min(before.pico, pico),
                tokens=before.tokens if tokens is None else min(before.tokens, tokens),
                expires_ns=min(before.expires_ns, expires_ns),
            )

        return self._altered(lease_id, end)

    def spent(self, lease_id: str, pico: int, tokens: int) -> Lease | None:
        """The call of a lease has cost this much: hold that until it is counted, however long that takes.

        The lease as it is now; None when there is no such open lease.
        """

        def spend(before: Lease) -> Lease:
            after = replace(before, pico=min(before.pico, pico), tokens=min(before.tokens, tokens))
            done = not after.pico_left and not after.tokens_left
            return replace(after, state=LeaseState.FINISHED) if done else after

        return self._altered(lease_id, spend)

    def open_in(self, budget: str, scope: Scope, now_ns: int) -> int:
        """How many open leases a budget has of which nothing is counted yet."""
        with self._lock:
            self._expire(now_ns)
            return self._open_in[(budget, scope)]

    def release(self, lease_id: str) -> Lease | None:
        """Give back what is left. The lease as it is now; None when there is no such open lease."""
        return self._altered(lease_id, lambda lease: replace(lease, state=LeaseState.RELEASED))

    def load(self, leases: Iterable[Lease], claims: Callable[[Lease], Sequence[Claim]]) -> None:
        """Enter leases that were granted before, whether there is room or not."""
        with self._lock:
            for lease in leases:
                self._enter(lease, claims(lease))

    def rebind(self, claims: Callable[[Lease], Sequence[Claim]]) -> None:
        """The budgets have changed: hold every open lease against those it counts in now."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
            self._reserved.clear()
            self._expiries.clear()
            self._of_project.clear()
            self._open_in.clear()
            for entry in entries:
                self._enter(entry.lease, claims(entry.lease), counted=entry.counted)

    def _fits(self, lease: Lease, claim: Claim, spend: int) -> bool:
        used = spend + self._reserved.get((claim.budget, claim.scope), 0)
        return used < claim.limit and used + claim.left_of(lease) <= claim.limit

    def _enter(self, lease: Lease, claims: Sequence[Claim], *, counted: bool = False) -> None:
        entry = _Entry(lease, tuple(claims), counted)
        self._entries[lease.id] = entry
        self._of_project[lease.project] += 1
        if not entry.counted:
            self._open_in.update((claim.budget, claim.scope) for claim in entry.claims)
        self._hold(entry, 1)
        heapq.heappush(self._expiries, (lease.expires_ns, lease.id))

    def _altered(self, lease_id: str, alter: Callable[[Lease], Lease | None]) -> Lease | None:
        """What `alter` makes of an open lease; None when there is no such, or nothing is made of it."""
        with self._lock:
            entry = self._entries.get(lease_id)
            after = alter(entry.lease) if entry else None
            return self._change(entry, after) if entry and after else None

    def _change(self, entry: _Entry, after: Lease) -> Lease:
        self._hold(entry, -1)
        if after.state is not LeaseState.OPEN:
            del self._entries[after.id]
            self._of_project[after.project] -= 1
            if not self._of_project[after.project]:
                del self._of_project[after.project]
            self._count(entry)
            return after
        if after.expires_ns != entry.lease.expires_ns:
            heapq.heappush(self._expiries, (after.expires_ns, after.id))
        entry.lease = after
        self._hold(entry, 1)
        return after

    def _count(self, entry: _Entry) -> None:
        if not entry.counted:
            entry.counted = True
            self._open_in.subtract((claim.budget, claim.scope) for claim in entry.claims)

    def _hold(self, entry: _Entry, sign: int) -> None:
        for claim in entry.claims:
            key = (claim.budget, claim.scope)
            held = self._reserved[key] + sign * claim.left_of(entry.lease)
            if held:
                self._reserved[key] = held
            else:
                del self._reserved[key]

    def _expire(self, now_ns: int) -> None:
        """Free what leases hold whose time has passed: of a few, as others wait; the next call frees those left."""
        for _ in range(_EXPIRIES):
            if not self._expiries or self._expiries[0][0] > now_ns:
                return
            _, lease_id = heapq.heappop(self._expiries)
            entry = self._entries.get(lease_id)
            if entry and entry.lease.expires_ns <= now_ns:
                self._expired(self._change(entry, replace(entry.lease, state=LeaseState.EXPIRED)))
