"""The lease book: nothing is promised twice, whatever the order of reservations, settlements, expiries, restarts."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from collector.budgets.leases import Claim, LeaseBook
from collector.errors import StartError
from collector.model.leases import Lease, LeaseState
from collector.spending.lease_store import LeaseStore

MONEY = Claim("month", (), 100, in_tokens=False)
TOKENS = Claim("day", ("checkout",), 1_000, in_tokens=True)


def lease(number: int, pico: int = 0, tokens: int = 0, expires_ns: int = 1_000) -> Lease:
    return Lease(f"lease_{number:032x}", "default", {"feature": "checkout"}, pico, tokens, 0, expires_ns)


def nothing(_: Claim) -> int:
    return 0


def test_a_lease_is_held_in_every_budget_or_in_none() -> None:
    book = LeaseBook()
    assert book.reserve(lease(1, 60, 600), [MONEY, TOKENS], nothing, 0) == ()
    assert book.reserve(lease(2, 40, 401), [MONEY, TOKENS], nothing, 0) == (TOKENS,)
    assert (book.reserved("month", (), 0), book.reserved("day", ("checkout",), 0)) == (60, 600)
    assert book.reserve(lease(3, 40, 400), [MONEY, TOKENS], nothing, 0) == ()
    assert book.reserve(lease(4, 0, 0), [MONEY], nothing, 0) == (MONEY,), "what is full has no room for nothing either"
    assert book.reserve(lease(5, 10), [], nothing, 0) == (), "what no hard budget counts is not limited"


def test_spend_counts_against_the_limit() -> None:
    book = LeaseBook()
    assert book.reserve(lease(1, 50), [MONEY], lambda _: 51, 0) == (MONEY,)
    assert book.reserve(lease(1, 49), [MONEY], lambda _: 51, 0) == ()


def test_settling_says_totals_so_saying_it_again_changes_nothing() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60, 600), [MONEY, TOKENS], nothing, 0)
    changed = book.settle(lease(1).id, 20, 100)
    assert changed
    assert (changed.pico_left, changed.tokens_left) == (40, 500)
    assert book.settle(lease(1).id, 20, 100) is None
    assert book.settle(lease(1).id, 15, 90) is None, "an earlier total that arrives late"
    assert book.reserved("month", (), 0) == 40
    assert book.settle(lease(1).id, 100, 0)
    assert (book.reserved("month", (), 0), book.reserved("day", ("checkout",), 0)) == (0, 500)


def test_a_root_that_arrives_before_its_calls_does_not_free_what_they_spend() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60), [MONEY], nothing, 0)
    root = book.settle(lease(1).id, 10, 0, finished_ns=500)
    assert root
    assert (root.state, root.expires_ns, root.pico_left) == (LeaseState.OPEN, 500, 50)
    assert book.reserve(lease(2, 50), [MONEY], lambda _: 10, 499) == (MONEY,)
    assert book.settle(lease(1).id, 10, 0, finished_ns=600) is None, "said again, it ends no later"
    late = book.settle(lease(1).id, 40, 0, finished_ns=600)
    assert late
    assert (late.pico_left, late.expires_ns) == (20, 500)
    assert book.get(lease(1).id, 500) is None
    assert book.reserved("month", (), 500) == 0


def test_a_root_ends_a_lease_that_has_nothing_left() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60, 600), [MONEY, TOKENS], nothing, 0)
    assert book.settle(lease(1).id, 60, 599, finished_ns=500)
    assert len(book) == 1, "a token is left"
    finished = book.settle(lease(1).id, 60, 600, finished_ns=500)
    assert finished
    assert finished.state is LeaseState.FINISHED
    assert (book.reserved("day", ("checkout",), 0), len(book)) == (0, 0)
    assert book.settle(lease(1).id, 200, 200, finished_ns=500) is None


def test_a_run_that_ended_keeps_what_it_cost_until_its_spans_are_counted() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60), [MONEY], nothing, 0)
    ended = book.ended(lease(1).id, 25, None, 500)
    assert ended
    assert (ended.pico, ended.expires_ns, book.reserved("month", (), 0)) == (25, 500, 25)
    book.settle(lease(1).id, 25, 0)
    assert book.reserved("month", (), 0) == 0
    assert book.get(lease(1).id, 499)
    assert book.get(lease(1).id, 500) is None
    assert book.ended(lease(1).id, 0, 0, 0) is None


def test_a_run_cannot_end_later_or_with_more_than_was_set_aside() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60), [MONEY], nothing, 0)
    ended = book.ended(lease(1).id, 90, 5, 10_000)
    assert ended
    assert (ended.pico, ended.tokens, ended.expires_ns) == (60, 0, 1_000)


def test_time_releases_what_nobody_settled() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60, expires_ns=10), [MONEY], nothing, 0)
    book.reserve(lease(2, 40, expires_ns=20), [MONEY], nothing, 0)
    assert book.reserve(lease(3, 50), [MONEY], nothing, 9) == (MONEY,)
    assert book.reserve(lease(3, 50), [MONEY], nothing, 10) == ()
    assert list(book.projects(10)) == [lease(2).id, lease(3).id]


def test_leases_that_expire_all_at_once_are_freed_some_at_a_time() -> None:
    """A check frees some and goes on; meanwhile too much is set aside, never too little."""
    book = LeaseBook()
    unlimited = MONEY._replace(limit=10**9)
    for number in range(250):
        book.reserve(lease(number, 2, expires_ns=10), [unlimited], nothing, 0)
    left = [book.reserved(MONEY.budget, MONEY.scope, 10) for _ in range(4)]
    assert left == [300, 100, 0, 0]
    book.reserve(lease(300, 2, expires_ns=20), [unlimited], nothing, 10)
    assert book.get(lease(300).id, 19)
    assert book.get(lease(300).id, 20) is None


def test_the_leases_of_a_project_are_those_that_are_open() -> None:
    book = LeaseBook()
    for number in range(1, 6):
        book.reserve(lease(number, 1, expires_ns=10 * number), [MONEY], nothing, 0)
    book.reserve(replace(lease(6, 1), project="other"), [MONEY], nothing, 0)
    assert (book.of_project("default", 0), book.of_project("other", 0), book.of_project("third", 0)) == (5, 1, 0)
    assert book.of_project("default", 10) == 4
    book.release(lease(5).id)
    book.settle(lease(4).id, 1, 0, finished_ns=500)
    assert book.of_project("default", 10) == 2
    book.rebind(lambda _: [])
    assert (book.of_project("default", 10), book.of_project("other", 10)) == (2, 1)


def test_new_rules_take_hold_of_open_leases() -> None:
    book = LeaseBook()
    book.reserve(lease(1, 60), [MONEY], nothing, 0)
    other = Claim("other", (), 10, in_tokens=False)
    book.rebind(lambda _: [other])
    assert (book.reserved("month", (), 0), book.reserved("other", (), 0)) == (0, 60)
    book.release(lease(1).id)
    assert book.reserved("other", (), 0) == 0


def test_a_thousand_threads_get_exactly_what_there_is() -> None:
    book = LeaseBook()
    limit = Claim("month", (), 100 * 7 + 3, in_tokens=False)
    roomy = Claim("year", (), 10**12, in_tokens=False)
    start = threading.Barrier(50)
    granted: list[Lease] = []

    def spend(claim: Claim) -> int:
        time.sleep(0)  # another thread may run now: after the first budget had room, before anything is set aside
        return 0

    def take(first: int) -> None:
        start.wait()
        for number in range(first, first + 20):
            wanted = lease(number, 7)
            if not book.reserve(wanted, [limit, roomy], spend, 0):
                granted.append(wanted)

    threads = [threading.Thread(target=take, args=(20 * at,)) for at in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 100
    assert book.reserved("month", (), 0) == 700


# -- on disk ----------------------------------------------------------------------------------------------------------


def test_states_written_in_any_order_are_the_last_one(tmp_path: Path) -> None:
    begun = lease(1, 60, 600)
    later = replace(begun, pico=50, spent_pico=30, spent_tokens=10, expires_ns=900)
    last = replace(later, state=LeaseState.FINISHED, spent_pico=31)
    with LeaseStore(tmp_path / "leases.db") as store:
        for states in ([begun, later, last], [last, begun, later], [later, last, begun]):
            for state in states:
                store.put([state]).result()
            assert store.find(begun.id) == last
            assert store.open_leases(0) == []


def test_open_leases_are_those_whose_time_has_not_passed(tmp_path: Path) -> None:
    with LeaseStore(tmp_path / "leases.db") as store:
        store.put([lease(1, 60, expires_ns=10), lease(2, 70, expires_ns=20)]).result()
        assert store.open_leases(10) == [lease(2, 70, expires_ns=20)]
        assert store.find(lease(1).id), "and can still be asked for"
        assert store.open_leases(10 + 8 * 86_400 * 10**9) == []
        assert store.find(lease(1).id) is None
        assert store.find("lease_unknown") is None


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with LeaseStore(tmp_path / "leases.db") as store:
            store.put([lease(1, 60)]).result()
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(modes, 0o600)
    assert "leases.db" in modes


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "leases.db"
    path.write_bytes(b"something else entirely " * 100)
    with pytest.raises(StartError, match=r"Cannot use the lease file .*leases.db: file is not a database"):
        LeaseStore(path)


# -- as a whole -------------------------------------------------------------------------------------------------------


class Leases(RuleBasedStateMachine):
    """Leases of one budget, its spend, time and restarts in any order.

    `spend` is what the ledger has counted; it is counted before the lease is told, as the drain does. A run spends no
    more than it set aside, which is what an estimate promises, unless its lease is over.
    """

    leases = Bundle("leases")
    limit = 100

    @initialize()
    def begin(self) -> None:
        self.directory = TemporaryDirectory()
        self.store = LeaseStore(Path(self.directory.name) / "leases.db")
        self.book = LeaseBook()
        self.now = 0
        self.spend = 0
        self.number = 0
        self.totals: dict[str, int] = {}
        self.granted: dict[str, Lease] = {}

    @property
    def claim(self) -> Claim:
        return Claim("month", (), self.limit, in_tokens=False)

    def claims(self, _: Lease) -> Sequence[Claim]:
        return [self.claim]

    @rule(target=leases, amount=st.integers(0, 60), ttl=st.integers(1, 50))
    def reserve(self, amount: int, ttl: int) -> str:
        self.number += 1
        wanted = lease(self.number, amount, expires_ns=self.now + ttl)
        before = self.spend + self.book.reserved("month", (), self.now)
        full = self.book.reserve(wanted, self.claims(wanted), lambda _: self.spend, self.now)
        assert bool(full) == (before >= self.limit or before + amount > self.limit)
        if not full:
            self.store.put([wanted]).result()
            self.granted[wanted.id] = wanted
            self.totals[wanted.id] = 0
        return wanted.id

    @rule(key=leases, share=st.integers(0, 100), finished=st.booleans())
    def spans_arrive(self, key: str, share: int, finished: bool) -> None:
        held = self.book.get(key, self.now)
        if held is None:
            return
        more = held.pico_left * share // 100
        self.spend += more
        self.totals[key] += more
        changed = self.book.settle(key, self.totals[key], 0, finished_ns=self.now + 5 if finished else None)
        if changed:
            self.store.put([changed]).result()

    @rule(key=leases)
    def spans_arrive_again(self, key: str) -> None:
        changed = self.book.settle(key, self.totals.get(key, 0), 0)
        assert changed is None

    @rule(key=leases, cost=st.none() | st.integers(0, 80))
    def end(self, key: str, cost: int | None) -> None:
        held = self.book.get(key, self.now)
        spent = self.totals.get(key, 0)
        changed = self.book.ended(key, None if cost is None else max(cost, spent), None, self.now + 5)
        assert (changed is None) == (held is None)
        if changed:
            self.store.put([changed]).result()

    @rule(key=consumes(leases))
    def release(self, key: str) -> None:
        changed = self.book.release(key)
        if changed:
            self.store.put([changed]).result()
        assert self.book.get(key, self.now) is None

    @rule(ticks=st.integers(1, 30))
    def time_passes(self, ticks: int) -> None:
        self.now += ticks

    @rule()
    def restart(self) -> None:
        held = self.open_leases()
        reserved = self.book.reserved("month", (), self.now)
        self.store.close()
        self.store = LeaseStore(Path(self.directory.name) / "leases.db")
        self.book = LeaseBook()
        self.book.load(self.store.open_leases(self.now), self.claims)
        assert self.open_leases() == held
        assert self.book.reserved("month", (), self.now) == reserved

    @rule()
    def next_period(self) -> None:
        """Spend starts anew; what is set aside stays set aside."""
        self.spend = 0

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        if not hasattr(self, "book"):
            return
        reserved = self.book.reserved("month", (), self.now)
        assert reserved == sum(one.pico_left for one in self.open_leases())
        assert self.spend + reserved <= self.limit

    def open_leases(self) -> list[Lease]:
        found = (self.book.get(key, self.now) for key in sorted(self.book.projects(self.now)))
        return [lease for lease in found if lease]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.directory.cleanup()


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=40)
