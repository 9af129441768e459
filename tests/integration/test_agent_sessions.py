"""Captured sessions of coding agents: every call that logs or spans tell of is billed once, in any order of arrival."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from collector.model.columns import LATEST_NS
from collector.model.envelope import Envelope, Signal
from collector.model.money import usd
from collector.model.principal import ANONYMOUS
from collector.query.listing import RunsWanted
from collector.query.service import ByAttribute, Query, Split
from collector.store import Store
from tests.support.session_table import Shown, answered, cleared, shown, tokens
from tests.support.sessions import CASES, Daemon, requests, truth
from tests.support.spending import Bench, rules_of
from tests.support.stored import ENRICHER

# Calls that the payload does not tell of, and why.
UNTOLD = {
    "claude-code-2.1-metrics-cumulative": (5, "only metrics were sent, which are never billed"),
    "opencode-run": (2, "it ends before its last spans are sent"),
}
# Cases whose model has no price in the library.
NO_PRICE = {"qwen-code-http": "qwen3-coder-plus"}
# Tools that were asked for and that no signal tells of.
UNTOLD_TOOLS = {
    "claude-code-2.1-logs": (1, "a tool that was not allowed leaves nothing in 2.1.197"),
    "claude-code-2.1-metrics-cumulative": (4, "only metrics"),
    "opencode-run": (1, "it ends before its last spans are sent"),
}
WITH_SPANS = [case for case in CASES if {Signal.TRACES, Signal.LOGS} <= {request.signal for request in requests(case)}]
QUICK = {"claude-code-2.1-fatal", "codex-exec-traces", "gemini-cli-traces"}


@pytest.mark.parametrize("case", CASES)
def test_every_call_is_billed_once_and_exactly(store: Store, case: str) -> None:
    daemon = Daemon(store)
    for request in requests(case):
        daemon.deliver([request])
    found, true = shown(store), answered(case)
    cost = truth(case)["totals"]["cost_usd"]
    asked = truth(case)["totals"]["tool_calls"]
    untold, _ = UNTOLD.get(case, (0, ""))
    assert found.calls.total() == len(true) - untold
    assert not found.calls - Counter(map(tokens, true))
    assert found.priced == (0 if case in NO_PRICE else found.calls.total())
    if cost and not untold:
        assert found.cost == Decimal(str(cost))
        assert found.reported == found.cost
    assert found.rounds == found.calls.total()
    assert found.actions == asked - UNTOLD_TOOLS.get(case, (0, ""))[0]
    listed = Query(lambda: store).search(ANONYMOUS, RunsWanted(0, LATEST_NS)).runs
    assert sum(run.tool_calls for run in listed) == found.actions


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.long) for case in WITH_SPANS]
)
def test_money_is_the_same_in_any_order_split_and_repetition(store: Store, case: str) -> None:
    wanted = [request for request in requests(case) if request.signal is not Signal.METRICS]
    chance = random.Random(case)
    ends: list[Shown] = []
    for number, order in enumerate(_orders(wanted, chance)):
        cleared(store)
        daemon = Daemon(store)
        for part in _split(order, chance):
            daemon.deliver(part)
            if number % 2:
                daemon.restart()
                daemon.deliver(part)
        ends.append(shown(store))
        assert ends[-1] == ends[0], [request.received_at for request in order]


# Captures whose ids were replaced by the same ones: two sessions, in traces of their own.
SHARED = [
    ("claude-code-2.1-logs", "claude-code-2.1-logs-metrics-grpc"),
    pytest.param("claude-code-2.1-traces", "claude-code-2.1-traces-content", marks=pytest.mark.long),
    pytest.param("claude-code-2.1.332-denied", "claude-code-2.1.332-traces", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("first", "second"), SHARED)
def test_sessions_with_the_same_request_ids_are_billed_apart_in_any_order(
    store: Store, first: str, second: str
) -> None:
    ids = [{call["request_id"] for call in answered(case)} for case in (first, second)]
    assert ids[0] & ids[1]
    one, two = ([each for each in requests(case) if each.signal is not Signal.METRICS] for case in (first, second))
    chance = random.Random(first)
    ends: list[Shown] = []
    for order in (one + two, two[::-1] + one, chance.sample(one + two, len(one + two))):
        cleared(store)
        daemon = Daemon(store)
        for part in _split(order, chance):
            daemon.deliver(part)
        ends.append(shown(store))
    true = [*answered(first), *answered(second)]
    assert ends[0].calls == Counter(map(tokens, true))
    assert ends == ends[:1] * 3


@pytest.mark.parametrize("step", [1, -1])
def test_calls_of_codex_have_the_model_of_a_span_above_them(store: Store, step: int) -> None:
    """Its spans alone: usage is on one, the model on another that may come later."""
    case = "codex-exec-traces"
    daemon = Daemon(store)
    for request in [request for request in requests(case) if request.signal is Signal.TRACES][::step]:
        daemon.deliver([request])
        daemon.restart()
    found = shown(store)
    assert found.calls == Counter(map(tokens, answered(case)))
    assert found.priced == found.calls.total()
    alone = found.cost
    daemon.deliver(requests(case))
    assert shown(store).cost == alone > 0  # logs are billed instead, and cost as much


def undercounted(daemon: Daemon) -> float | None:
    return daemon.metrics.registry.get_sample_value("spanmeter_drain_undercounted_sessions_total")


def later(request: Envelope, seconds: int) -> Envelope:
    return replace(request, received_at=request.received_at + seconds * 10**9)


def metrics_of(case: str) -> list[Envelope]:
    return [request for request in requests(case) if request.signal is Signal.METRICS]


@pytest.mark.parametrize("case", ["claude-code-2.1-traces", "claude-code-2.1-logs-metrics-grpc", "gemini-cli-traces"])
def test_metrics_are_compared_with_what_is_billed(store: Store, case: str) -> None:
    daemon = Daemon(store)
    daemon.deliver(requests(case))
    daemon.deliver([later(metrics_of(case)[-1], 200)])
    assert undercounted(daemon) == 0


def test_metrics_tell_once_of_calls_that_did_not_arrive(store: Store) -> None:
    case = "claude-code-2.1-two-prompts"
    daemon = Daemon(store)
    daemon.deliver([*requests(case)[3:], *metrics_of(case)])  # without the calls of the first prompt
    assert undercounted(daemon) == 0
    for seconds in (200, 400):
        daemon.deliver([later(metrics_of(case)[0], seconds)])
        assert undercounted(daemon) == 1


def test_traces_of_internals_are_folded_away_and_counted(store: Store) -> None:
    daemon, query = Daemon(store), Query(lambda: store)
    daemon.deliver(requests("codex-exec-traces"))
    every = RunsWanted(0, LATEST_NS, folded=True)
    assert len(query.search(ANONYMOUS, every).runs) == 18
    asked = replace(every, folded=False)
    (run,) = query.search(ANONYMOUS, asked).runs
    assert (run.llm_calls, run.tool_calls) == (2, 1)  # the tool is in both signals
    kpis = query.kpis(ANONYMOUS, asked)
    assert (kpis.window.runs, kpis.folded) == (1, 17)
    assert [count.runs for count in query.facets(ANONYMOUS, asked)["service"]] == [1]


def test_spend_and_budgets_know_whose_session_it_is(store: Store) -> None:
    case = "claude-code-2.1-two-prompts"
    rules = rules_of(
        {"name": "team", "limit_usd": 1, "period": "month", "match": {"attribute.team.id": "payments"}},
        {"name": "others", "limit_usd": 1, "period": "month", "match": {"attribute.team.id": "search"}},
    )
    bench = Bench(store, rules, ENRICHER)
    bench.clock.advance(truth(case)["llm_calls"][0]["time"] - bench.clock.now_ns / 1e9)
    bench.restart()
    daemon, query = Daemon(store, bench.spending.writing), Query(lambda: store)
    for request in requests(case):
        daemon.deliver([request])
    cost = Decimal(str(truth(case)["totals"]["cost_usd"]))
    spent = query.spend(ANONYMOUS, ByAttribute("team.id"), 0, LATEST_NS).to_pylist()
    assert [(row["Value"], row["Cost"], row["PricedCalls"]) for row in spent] == [("payments", cost, 4)]
    assert query.money_attributes(ANONYMOUS, 0, LATEST_NS) == ["team.id"]
    cells = query.spend_matrix(ANONYMOUS, ByAttribute("team.id"), 0, LATEST_NS, "UTC", [Split.MODEL]).to_pylist()
    assert {(cell["Value"], cell["Cost"]) for cell in cells} == {("payments", cost)}
    team, others = rules
    assert [usd(amount.pico) for sums in bench.exact(team).values() for amount in sums.values()] == [cost]
    assert bench.exact(others) == {}
    bench.assert_equal()


def _orders(wanted: Sequence[Envelope], chance: random.Random) -> list[Sequence[Envelope]]:
    """The order sent, its reverse and another."""
    every = list(itertools.islice(itertools.permutations(wanted), 200))
    return [wanted, wanted[::-1], chance.choice(every)]


def _split(order: Sequence[Envelope], chance: random.Random) -> list[Sequence[Envelope]]:
    """Requests in segments of one or two."""
    parts: list[Sequence[Envelope]] = []
    rest = list(order)
    while rest:
        size = chance.randint(1, 2)
        parts.append(rest[:size])
        rest = rest[size:]
    return parts
