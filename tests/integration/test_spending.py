"""The ledger equals the exact query, and both equal what adding up by hand gives, whatever happens to the spans."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.billing.price_refresh import enricher
from collector.budgets.decisions import period_at
from collector.budgets.ledger import OTHER, LeaseSpend, Ledger
from collector.budgets.rules import Rule
from collector.budgets.span_facts import NOTHING, Amount
from collector.config import PricingConfig
from collector.errors import Reason, Rejected, Unavailable
from collector.model.budgets import Dimensions, Scope
from collector.spending.ledger_writer import Spending
from collector.store import Store
from collector.store.client import Limits
from collector.store.sql import named_query
from tests.support.calls import PRICES, Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of, without_nothing

HOUR = 3_600 * 1_000_000_000
MICRO = 1_000_000  # picodollars

BUDGETS: list[dict[str, Any]] = [
    {"name": "all", "limit_usd": 1, "period": "month"},
    {"name": "berlin-day", "limit_usd": 1, "period": "day", "timezone": "Europe/Berlin", "per": ["feature"]},
    {"name": "hour", "limit_tokens": 1000, "period": "hour", "timezone": "Asia/Kolkata", "per": ["user", "model"]},
    {"name": "rolling", "limit_usd": 1, "period": "24h", "per": ["service"], "match": {"model": "small-*"}},
    {"name": "york-week", "limit_usd": 1, "period": "week", "timezone": "America/New_York", "match": {"feature": "a"}},
    {
        "name": "tenant",
        "limit_usd": 1,
        "period": "day",
        "match": {"attribute.tenant": ["x", "y"], "environment": "prod"},
        "per": ["attribute.tenant", "agent", "conversation"],
    },
]


def by_hand(rule: Rule, rows: Sequence[Call], starts: Sequence[int]) -> dict[int, dict[Scope, Amount]]:
    """The sums of what is stored, by the words of the contract and nothing else."""
    sums: dict[int, dict[Scope, Amount]] = {start: {} for start in starts}
    for row in rows:
        if not row.tokens:
            continue
        said = {
            name: getattr(row, name) or _of_run(name, row, rows)
            for name in ("agent", "feature", "user", "conversation")
        }
        tenant = tuple(row.attributes.get(key, "") or _of_run(key, row, rows) for key in rule.attribute_keys)
        dimensions = Dimensions(
            row.project, row.service, row.environment, "", row.model, **said, attributes=tenant, model_names=()
        )
        scope = rule.scope_of(dimensions)
        start = _start(rule, row.start_ns)
        if scope is None or start not in sums:
            continue
        pico = row.tokens * PRICES.get(row.model, 0) * MICRO
        amount = Amount(pico, row.tokens, 1, int(row.model not in PRICES))
        sums[start][scope] = sums[start].get(scope, NOTHING).plus(amount)
    return without_nothing(sums)


def _of_run(name: str, row: Call, rows: Sequence[Call]) -> str:
    said = sorted(
        (other.start_ns, other.span_id, value)
        for other in rows
        if (other.project, other.trace) == (row.project, row.trace)
        and (value := getattr(other, name, "") or other.attributes.get(name, ""))
    )
    return str(said[0][2]) if said else ""


def _start(rule: Rule, ns: int) -> int:
    schedule = rule.schedule
    return schedule.slot(ns).start


def _deliver(rows: dict[tuple[Any, ...], Call], call: Call) -> None:
    """The last row of a span counts, but one without usage does not count instead of one with it."""
    key = call.project, call.trace, call.span
    if call.tokens or not (key in rows and rows[key].tokens):
        rows[key] = call


few = st.sampled_from
calls = st.builds(
    lambda trace, span, minutes, calls, **rest: Call(
        trace=trace,
        span=span,
        # A span keeps its hour however often it is sent, as spans do; its number is in its tokens, which keeps calls
        # from being taken for doubles of each other.
        start_ns=NOW + (span % 7 - 4) * 11 * HOUR + minutes * 60_000_000_000,
        tokens=1000 * trace + 10 * span + 7 if calls else 0,
        parent=1 if span > 1 else 0,
        **rest,
    ),
    trace=st.integers(1, 4),
    span=st.integers(1, 6),
    minutes=st.just(0),
    calls=few([True, True, False]),
    model=few([*PRICES, "unknown-model"]),
    service=few(["shop", "bank"]),
    environment=few(["", "prod"]),
    feature=few(["", "", "a", "b"]),
    user=few(["", "u1", "u2"]),
    agent=few(["", "planner"]),
    conversation=few(["", "c1"]),
    project=few(["default", "other"]),
    attributes=few([{}, {"tenant": "x"}, {"tenant": "z"}]),
)
segments = st.lists(calls, min_size=1, max_size=6).map(lambda several: ("deliver", several))
steps = st.lists(
    segments
    | segments
    | few([("again", None), ("restart", None), ("reload", None), ("reprice", None), ("reconcile", None)]),
    min_size=1,
    max_size=8,
)

WRONG = enricher(PricingConfig.model_validate({"overrides": [{"model": "small-model", "input": 3, "output": 3}]}))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, wrong_first=st.booleans())
def test_the_ledger_is_what_the_store_says(store: Store, steps: list[Any], wrong_first: bool) -> None:
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        store.command(f"TRUNCATE TABLE {table}")
    bench = Bench(store, rules_of(*BUDGETS), WRONG if wrong_first else RIGHT)
    rows: dict[tuple[Any, ...], Call] = {}
    last: list[Call] = []
    for number, (what, several) in enumerate(steps):
        match what:
            case "deliver" | "again":
                last = several or last
                if last:
                    bench.deliver(last)
                    for call in last:
                        _deliver(rows, call)
            case "restart":
                bench.restart()
            case "reload":
                bench.use(rules_of(*(BUDGETS if number % 2 else BUDGETS[:3])))
            case "reprice":
                bench.reprice(RIGHT)
            case "reconcile":
                assert list(bench.spending.reconcile()) == []
        bench.assert_equal()
    bench.reprice(RIGHT)
    bench.assert_equal()
    for rule in bench.rules:
        assert bench.kept(rule) == by_hand(rule, list(rows.values()), sorted(bench.ledger.starts(rule))), rule.name


def test_what_another_replica_has_stored_is_found_by_reconciling(store: Store) -> None:
    one, other = (Bench(store, rules_of(*BUDGETS), RIGHT) for _ in range(2))
    one.deliver([Call(trace=1, span=1, start_ns=NOW, tokens=500)])
    other.deliver([Call(trace=2, span=1, start_ns=NOW, tokens=700)])
    assert list(one.spending.reconcile())
    one.assert_equal()
    assert one.kept(one.rules.by_name("all")) == by_hand(
        one.rules.by_name("all"),
        [Call(1, 1, NOW, 500), Call(2, 1, NOW, 700)],
        sorted(one.ledger.starts(one.rules.by_name("all"))),
    )
    assert list(one.spending.reconcile()) == []


def test_values_beyond_the_bound_share_one_sum(store: Store) -> None:
    rules = rules_of({"name": "users", "limit_usd": 1, "period": "month", "per": ["user"]})
    bench = Bench(store, rules, RIGHT, max_values=3)
    rule = rules.by_name("users")
    bench.deliver([Call(n, 1, NOW + n, 1000 + n, user=f"u{n}") for n in range(1, 8)])
    (cells,) = bench.kept(rule).values()
    assert len(cells) == 4
    assert cells[OTHER,].calls == 4
    assert sum(amount.tokens for amount in cells.values()) == sum(1000 + n for n in range(1, 8))
    bench.restart()
    (cells,) = bench.kept(rule).values()
    assert set(cells) == {("u7",), ("u6",), ("u5",), (OTHER,)}, "from the store, those that spent most are kept"
    assert bench.ledger.spend_in(rule, ("u1",), period_at(rule, NOW)) == cells[OTHER,]
    assert list(bench.spending.reconcile()) == []
    bench.deliver([Call(3, 1, NOW + 3, 9, user="u3"), Call(7, 1, NOW + 7, 8, user="u7")])
    assert list(bench.spending.reconcile()) == [], "what shares a sum is compared as one"
    bench.ledger._room.max_values = 1_000
    assert list(bench.spending.reconcile()) == [], "and parted where there is room, which corrects nothing"
    bench.assert_equal()


def test_a_failed_insert_counts_nothing_and_a_repeated_one_once(store: Store) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    calls = [Call(1, n, NOW + n, 1000 + n, parent=0) for n in range(1, 4)]
    store.command("ALTER TABLE otel_traces ADD CONSTRAINT none CHECK SpanName != 'call'")
    with pytest.raises(Rejected):
        bench.deliver(calls, "once")
    bench.assert_equal()
    assert bench.kept(bench.rules.by_name("all")) == {}
    store.command("ALTER TABLE otel_traces DROP CONSTRAINT none")
    for _ in range(2):
        bench.deliver(calls, "once")
        bench.assert_equal()
    (cells,) = bench.kept(bench.rules.by_name("all")).values()
    assert cells == {(): Amount(3006 * MICRO, 3006, 3, 0)}


def test_an_insert_whose_answer_was_lost_is_counted_once(store: Store) -> None:
    for again in ("deliver", "reconcile", "forget"):
        store.command("TRUNCATE TABLE otel_traces")
        bench = Bench(store, rules_of(*BUDGETS), RIGHT)
        insert = store.insert

        def lost(*arguments: Any, insert: Any = insert) -> None:
            insert(*arguments)
            raise Unavailable(Reason.STORE, "The answer was lost.")

        store.insert = lost  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            bench.deliver([Call(1, 1, NOW, 1000)], f"lost-{again}")
        store.insert = insert  # type: ignore[method-assign]
        if again == "reconcile":
            list(bench.spending.reconcile())
        if again == "forget":
            bench.spending._attribution.forget([("default", f"{1:032x}")])
        bench.deliver([Call(1, 1, NOW, 1000)], f"lost-{again}")
        bench.assert_equal()


def test_hours_that_are_over_are_not_kept(store: Store) -> None:
    bench = Bench(store, rules_of(BUDGETS[2]), RIGHT)
    for hour in range(6):
        bench.deliver([Call(1, hour + 1, bench.clock.now_ns, 1000 + hour)])
        bench.clock.advance(3600)
    list(bench.spending.reconcile())
    assert len(list(bench.ledger.starts(bench.rules.by_name("hour")))) <= 2
    bench.deliver([Call(1, 1, NOW, 7000)])
    bench.assert_equal()


def test_a_wrong_sum_is_corrected(store: Store) -> None:
    bench = Bench(store, rules_of(BUDGETS[0]), RIGHT)
    bench.deliver([Call(1, 1, NOW, 1000)])
    rule = bench.rules.by_name("all")
    bench.ledger.add(rule, (), _start(rule, NOW), Amount(5, 5, 1, 0))
    assert bench.kept(rule) != bench.exact(rule)
    assert list(bench.spending.reconcile()) == ["all"]
    bench.assert_equal()


class _Meanwhile:
    """Has something done while the store answers what budgets have spent: before it looks, or before it is heard."""

    def __init__(self, store: Store, work: Callable[[], None], *, before: bool) -> None:
        self.questions = 0
        self._query, self._work, self._before = store.query, work, before
        store.query = self  # type: ignore[method-assign]
        self._store = store

    def __call__(self, statement: str, parameters: Mapping[str, Any], limits: Limits = ()) -> Any:
        if statement != named_query("budget_spend"):
            return self._query(statement, parameters, limits)
        self.questions += 1
        answer = None if self._before else self._query(statement, parameters, limits)
        # In a thread of its own: whoever asks holds nothing that a writer needs.
        with ThreadPoolExecutor(1) as writer:
            writer.submit(self._work).result(timeout=30)
        return self._query(statement, parameters, limits) if self._before else answer

    def end(self) -> None:
        self._store.query = self._query  # type: ignore[method-assign]


@pytest.mark.parametrize("before", [True, False])
def test_the_ledger_is_compared_while_rows_are_written(store: Store, before: bool) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.deliver([Call(trace=1, span=1, start_ns=NOW, tokens=500, feature="a", user="u1")])
    numbers = itertools.count(2)

    def write() -> None:
        number = next(numbers)
        bench.deliver([Call(number, number, NOW + number, 100 * number, feature="a", user=f"u{number % 3}")])

    meanwhile = _Meanwhile(store, write, before=before)
    assert list(bench.spending.reconcile()) == []
    meanwhile.end()
    assert meanwhile.questions == len(bench.rules.families), "nothing seemed wrong, and was looked at again"
    bench.assert_equal()


def test_before_the_ledger_is_built_nothing_is_compared(store: Store) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    waiting = Spending(bench.rules, Ledger(1_000), bench.clock, dict, bench.hear)
    assert list(waiting.reconcile()) == []
    waiting.use(rules_of(*BUDGETS[:2]))
    waiting.start(store)
    assert list(waiting.reconcile()) == []


def test_a_wrong_sum_is_corrected_while_rows_are_written(store: Store) -> None:
    bench = Bench(store, rules_of(BUDGETS[0]), RIGHT)
    bench.deliver([Call(1, 1, NOW, 1000)])
    rule = bench.rules.by_name("all")
    bench.ledger.add(rule, (), _start(rule, NOW), Amount(5, 5, 1, 0))
    work = [lambda: bench.deliver([Call(2, 1, NOW, 70)])]
    meanwhile = _Meanwhile(store, lambda: work.pop()() if work else None, before=True)
    assert list(bench.spending.reconcile()) == ["all"]
    meanwhile.end()
    bench.assert_equal()


@pytest.mark.parametrize("busy", [1, 2, 3])
def test_new_rules_count_what_is_written_while_the_store_is_asked(store: Store, busy: int) -> None:
    """Writers wait for the answer only where something was written each time before."""
    bench = Bench(store, rules_of(BUDGETS[0]), RIGHT)
    bench.deliver([Call(1, 1, NOW, 1000, user="u1")])
    numbers = itertools.count(2)

    def write() -> None:
        number = next(numbers)
        if number <= 1 + busy and number <= 3:
            bench.deliver([Call(number, 1, NOW, 10 * number, user="u1")])

    meanwhile = _Meanwhile(store, write, before=False)
    bench.use(rules_of(BUDGETS[0], BUDGETS[2]))
    meanwhile.end()
    assert meanwhile.questions == min(busy, 2) + 1
    bench.assert_equal()
    assert bench.kept(bench.rules.by_name("hour"))


def test_periods_that_are_long_over_are_compared_once(store: Store) -> None:
    bench = Bench(store, rules_of(BUDGETS[2], BUDGETS[3]), RIGHT)
    other = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.deliver([Call(1, 1, NOW, 1000)])
    bench.clock.advance(3 * 3600)
    asked: list[int] = []
    query = store.query

    def noted(statement: str, parameters: Mapping[str, Any], limits: Limits = ()) -> Any:
        if statement == named_query("budget_spend"):
            asked.append(int(parameters["since"]))
        return query(statement, parameters, limits)

    store.query = noted  # type: ignore[method-assign]
    rounds = []
    for _ in range(6):
        asked.clear()
        assert list(bench.spending.reconcile()) == []
        rounds.append(list(asked))
    assert min(rounds[0]) <= NOW, "it is over since the start"
    assert all(since > NOW for later in rounds[1:5] for since in later)
    assert min(rounds[5]) <= NOW, "now and then all is compared again"
    other.deliver([Call(2, 1, NOW, 500)])
    bench.deliver([Call(3, 1, NOW, 7)])
    assert list(bench.spending.reconcile()), "what has changed is compared again"
    bench.assert_equal()


def test_spans_of_a_period_long_ago_are_added_to_what_the_store_has(store: Store) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    old = NOW - 20 * 24 * HOUR
    bench.deliver([Call(1, 1, old, 1000, feature="a", user="u1")])
    bench.restart()
    bench.deliver([Call(2, 1, old, 500, feature="a", user="u1")])
    bench.assert_equal()
    rule = bench.rules.by_name("berlin-day")
    assert bench.ledger.spend_in(rule, ("a",), rule.schedule.current(old)).tokens == 1500


def test_clocks_that_are_wrong_by_years_make_no_periods(store: Store) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.deliver([Call(n, 1, n * 400 * 24 * HOUR, 1000 + n) for n in range(1, 60)])
    for rule in bench.rules:
        assert len(list(bench.ledger.starts(rule))) <= 2 or rule.name == "rolling"
    bench.assert_equal()


def test_what_a_lease_has_paid_is_handed_out_as_a_total(store: Store) -> None:
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.leases = {"lease_1": "default"}
    first = [Call(1, 2, NOW, 1000, parent=1, lease="lease_1")]
    bench.deliver(first)
    bench.deliver(first)
    assert bench.changes[-1].leases["lease_1"] == LeaseSpend(Amount(1000 * MICRO, 1000, 1, 0))
    bench.restart()
    bench.deliver([Call(1, 3, NOW + 1, 500, parent=1)])
    assert bench.changes[-1].leases["lease_1"].amount.tokens == 1500, "the run's lease pays for all of its calls"
    bench.deliver([Call(1, 1, NOW - 1, lease="lease_1")])
    assert bench.changes[-1].leases["lease_1"] == LeaseSpend(Amount(1500 * MICRO, 1500, 2, 0), finished=True)
    bench.deliver([Call(2, 1, NOW, 800, lease="lease_unknown")])
    assert "lease_unknown" not in bench.changes[-1].leases


@pytest.mark.parametrize("restarts", [True, False])
def test_a_lease_is_spent_by_spans_of_its_own_project_only(store: Store, restarts: bool) -> None:
    """Whoever knows its id: other projects' spans neither use it up nor end it, also where the store is asked."""
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    bench.leases = {"lease_1": "default"}
    own = [Call(1, 2, NOW, 1000, parent=1, lease="lease_1")]
    bench.deliver(own)
    bench.deliver([Call(2, 2, NOW + 2, 500, parent=1, lease="lease_1", project="other")])
    bench.deliver([Call(2, 1, NOW + 1, lease="lease_1", project="other")])
    bench.deliver([Call(3, 1, NOW, 700, lease="lease_1", project="other")])
    assert all("lease_1" not in changes.leases for changes in bench.changes[1:])
    if restarts:
        bench.restart()
    bench.deliver([Call(1, 3, NOW + 1, 50, parent=1)], again=restarts)
    assert bench.changes[-1].leases == {"lease_1": LeaseSpend(Amount(1050 * MICRO, 1050, 2, 0))}


def test_an_attribute_that_only_the_root_has_counts_for_the_calls_of_the_run(store: Store) -> None:
    """A call's own comes first, of its span and then of its resource; what a resource has is not of the run."""
    tenants = {"name": "tenants", "limit_usd": 1, "period": "month", "per": ["attribute.tenant"]}
    only_x = {"name": "x", "limit_usd": 1, "period": "month", "match": {"attribute.tenant": "x"}}
    places = {"name": "places", "limit_usd": 1, "period": "month", "per": ["attribute.service.name"]}
    bench = Bench(store, rules_of(tenants, only_x, places), RIGHT)
    bench.deliver([Call(1, 3, NOW + 3, 100, parent=1), Call(1, 4, NOW + 4, 20, parent=1, attributes={"tenant": "y"})])
    bench.deliver([Call(2, 3, NOW, 3, service="bank")])
    bench.restart()
    bench.deliver([Call(1, 1, NOW, attributes={"tenant": "x", "service.name": "of the run"})])
    bench.assert_equal()
    sums = {rule.name: next(iter(bench.kept(rule).values())) for rule in bench.rules}
    tokens = {name: {scope: amount.tokens for scope, amount in cells.items()} for name, cells in sums.items()}
    assert tokens == {
        "tenants": {("x",): 100, ("y",): 20, ("",): 3},
        "x": {(): 100},
        "places": {("shop",): 120, ("bank",): 3},
    }
    bench.deliver([Call(1, 1, NOW, attributes={"tenant": "z"})])
    bench.assert_equal()
    assert bench.kept(bench.rules.by_name("x")) == {}


@pytest.mark.parametrize("dies", [True, False])
def test_what_a_failed_write_has_changed_is_told_by_the_next(store: Store, dies: bool) -> None:
    """The root names the feature of a call of a week ago, is stored, and nobody hears of it before it comes again."""
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    week_ago = NOW - 7 * 24 * HOUR
    bench.deliver([Call(trace=1, span=2, start_ns=week_ago + 1, tokens=1000, parent=1)])
    root = [Call(trace=1, span=1, start_ns=week_ago, feature="a")]
    bench.deaf = 1
    with pytest.raises(Unavailable):
        bench.deliver(root, "segment-of-the-root")
    if dies:
        bench.restart()
    bench.deliver(root, "segment-of-the-root")
    posted = {key[:2] for key in bench.changes[-1].posted}
    assert {("berlin-day", ("a",)), ("york-week", ())} <= posted
    bench.assert_equal()
    bench.deliver([Call(trace=2, span=3, start_ns=NOW, tokens=10)])
    assert ("a",) not in {key[1] for key in bench.changes[-1].posted}


def test_rows_that_a_process_stored_as_it_died_count_once(store: Store) -> None:
    """The store has the rows, and its table of traces does not know of them yet."""
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    run = [Call(trace=7, span=9, start_ns=NOW - 40 * HOUR, tokens=500, parent=8)]
    bench.deliver(run)
    run += [Call(trace=7, span=10, start_ns=NOW, tokens=1000, parent=8), Call(trace=8, span=11, start_ns=NOW, tokens=7)]
    bench.deliver(run)
    store.command("TRUNCATE TABLE otel_traces_trace_id_ts")
    bench.restart()
    bench.deliver(run, again=True)
    bench.assert_equal()
    assert ("all", ()) in {key[:2] for key in bench.changes[-1].posted}
    bench.deliver(run)
    bench.assert_equal()
