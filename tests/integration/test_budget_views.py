"""What there is to see of budgets over REST: states, forecast, pages of many scopes, breakdown, history."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from collector.admit.auth import hash_token
from collector.budgets.decisions import Estimate
from collector.budgets.periods import Period
from collector.budgets.rules import Rule
from collector.budgets.span_facts import Amount
from collector.budgets.views import Share
from collector.errors import Reason, Unavailable
from collector.model.budgets import Scope
from collector.model.money import picodollars
from collector.spending.enforcement import Run
from tests.support.budgets import Desk
from tests.support.clock import FakeClock
from tests.support.webserver import Answer, Web, serving
from tests.support.webservices import application, services

READER, OTHER, CHECKER = "reader-token", "other-token", "checker-token"
TOKENS = [
    {"name": name, "sha256": hash_token(token), "scopes": [scope], "project": project}
    for name, token, scope, project in (
        ("reader", READER, "traces:read", "default"),
        ("other", OTHER, "traces:read", "other"),
        ("checker", CHECKER, "budgets:check", "default"),
    )
]
DAY_NS = 86_400 * 10**9

BUDGETS: list[dict[str, Any]] = [
    {
        "name": "users/day",
        "limit_usd": 1,
        "limits": {"vip": 100},
        "period": "day",
        "per": "user",
        "match": {"project": "default"},
        "warn_at": [0.5, 0.9],
    },
    {"name": "tokens", "limit_tokens": 1000, "period": "24h", "hard": True, "match": {"project": "default"}},
    {"name": "projects", "limit_usd": 10, "period": "month", "per": ["project", "feature"]},
    {"name": "theirs", "limit_usd": 10, "period": "month", "match": {"project": "other"}},
]


def now_in(period: Period) -> bool:
    return FakeClock().now_ns in period


class Answers:
    """Stands for the store: what it is asked, and answers that say so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.down = False

    def scopes(self, rule: Rule, project: str, period: Period) -> Collection[Scope]:
        self._asked(rule, project, {})
        assert now_in(period)
        return ()

    def breakdown(
        self, rule: Rule, project: str, where: Mapping[str, str], period: Period, limit: int
    ) -> Sequence[Share]:
        assert now_in(period), "the current period, or the window that ends now"
        self._asked(rule, project, where)
        return [Share("checkout", "gpt-5", Amount(picodollars("0.25"), 500, 3, 1))][:limit]

    def history(self, rule: Rule, where: Mapping[str, str], periods: Sequence[Period]) -> Sequence[Amount]:
        self._asked(rule, "", where)
        assert all(one.end == following.start for one, following in pairwise(periods))
        return [Amount(number, number, number, 0) for number in range(len(periods))]

    def _asked(self, rule: Rule, project: str, where: Mapping[str, str]) -> None:
        if self.down:
            raise Unavailable(Reason.STORE, "The store does not answer.")
        self.asked.append((rule.name, project, where))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, *BUDGETS)
    yield desk
    desk.close()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def web(desk: Desk, answers: Answers) -> Iterator[Web]:
    with serving(application(services(desk.enforcement, desk.clock, answers), TOKENS)) as web:
        yield web


def see(web: Web, path: str = "", token: str = READER) -> Answer:
    return web.ask("GET", f"/api/v1/budgets{path}", token=token)


def test_every_budget_of_the_project_is_listed_with_its_state(desk: Desk, web: Web) -> None:
    desk.spend("0.25", tokens=400, user="ann", feature="checkout")
    desk.spend("0.75", tokens=100, user="bob")
    desk.spend("2", user="eve", feature="checkout", project="other")
    answer = see(web)
    assert answer.status == 200
    assert [budget["name"] for budget in answer.body["budgets"]] == ["users/day", "tokens", "projects"]
    users, tokens, projects = answer.body["budgets"]
    assert [budget["shared"] for budget in (users, tokens, projects)] == [False, False, False]
    assert (users["spend"], users["scopes"], users["warn_at"]) == ("1.000000000000", 2, ["0.5", "0.9"])
    assert users["limits"] == [{"scope": {"user": "vip"}, "limit": "100.000000000000"}]
    assert [state["scope"]["user"] for state in users["states"]] == ["bob", "ann"]
    assert (tokens["unit"], tokens["spend"], tokens["match"]) == ("tokens", "500", {"project": ["default"]})
    assert tokens["period"]["rolling"] is True
    assert tokens["period"]["end"] == "2025-10-09T08:54:00+00:00"
    state = tokens["states"][0]
    assert (state["spend"], state["limit"], state["remaining"], state["fraction"]) == ("500", "1000", "500", "0.500000")
    assert state["forecast"] is None, "a window has no end to head for"
    assert [state["scope"] for state in projects["states"]] == [
        {"project": "default", "feature": ""},
        {"project": "default", "feature": "checkout"},
    ]
    assert projects["spend"] == "1.000000000000", "other projects' scopes are theirs"
    theirs = see(web, token=OTHER).body["budgets"]
    assert [budget["name"] for budget in theirs] == ["projects", "theirs"]


def test_a_state_tells_where_it_is_heading(desk: Desk, web: Web) -> None:
    desk.spend("0.5", user="ann")
    state = see(web, "/users/day?user=ann").body["budget"]["states"][0]
    passed = desk.clock.now_ns % DAY_NS
    assert state["forecast"]["total"].startswith(f"{0.5 * DAY_NS / passed:.9f}"[:8])
    assert state["forecast"]["breach"] == "2025-10-09T17:46:40+00:00", "twice the time since midnight"
    assert state["period"] == {
        "start": "2025-10-09T00:00:00+00:00",
        "end": "2025-10-10T00:00:00+00:00",
        "timezone": "UTC",
        "rolling": False,
    }
    desk.spend("0.1", user="vip")
    state = see(web, "/users/day?user=vip").body["budget"]["states"][0]
    assert (state["limit"], state["forecast"]["breach"]) == ("100.000000000000", None)


def test_what_is_set_aside_is_shown_also_where_nothing_is_spent(desk: Desk, web: Web) -> None:
    question = {"estimate_usd": "0.25", "estimate_tokens": 300, "user": "ann"}
    assert web.ask("POST", "/api/v1/leases", question, token=CHECKER).status == 201
    state = see(web, "/tokens").body["budget"]["states"][0]
    assert (state["spend"], state["reserved"], state["remaining"]) == ("0", "300", "700")
    assert see(web, "/users/day").body["budget"]["states"] == [], "soft budgets hold no leases"


def test_many_scopes_come_in_pages_those_first_that_spent_most(desk: Desk, web: Web) -> None:
    for number in range(250):
        desk.spend(f"0.{number % 50:02}", user=f"user-{number:03}")
    desk.spend("60", user="vip")
    users: list[str] = []
    fractions: list[str] = []
    path = "/users/day?limit=100"
    sizes = []
    while path:
        budget = see(web, path).body["budget"]
        assert budget["scopes"] == 251
        users += [state["scope"]["user"] for state in budget["states"]]
        fractions += [state["fraction"] for state in budget["states"]]
        sizes.append(len(budget["states"]))
        path = f"/users/day?limit=100&after={budget['next']}" if budget["next"] else ""
    assert sizes == [100, 100, 51]
    assert len(set(users)) == 251
    assert users[0] == "vip", "60 of 100 is more than 0.49 of 1"
    assert fractions == sorted(fractions, reverse=True)


def test_budgets_come_in_pages(web: Web) -> None:
    first = see(web, "?limit=2").body
    assert first["next"] == "tokens"
    second = see(web, "?limit=2&after=tokens").body
    assert ([budget["name"] for budget in second["budgets"]], second["next"]) == (["projects"], None)


def test_the_store_is_asked_for_the_projects_own_calls(web: Web, answers: Answers) -> None:
    budget = see(web, "/projects?feature=checkout").body["budget"]
    where = {"project": "default", "feature": "checkout"}
    assert answers.asked == [("projects", "default", where), ("projects", "", where)]
    share = {"feature": "checkout", "model": "gpt-5", "spend": "0.250000000000", "calls": 3, "unpriced_calls": 1}
    assert budget["breakdown"] == [share]
    assert len(budget["history"]) == 12
    assert (budget["history"][0]["start"], budget["history"][-1]["end"]) == (
        "2024-10-01T00:00:00+00:00",
        "2025-10-01T00:00:00+00:00",
    )
    window = see(web, "/tokens").body["budget"]["history"]
    assert (window[-1]["end"], window[-1]["start"]) == ("2025-10-08T08:54:00+00:00", "2025-10-07T08:54:00+00:00")


def test_without_the_store_the_states_are_still_told(desk: Desk, web: Web, answers: Answers) -> None:
    desk.spend("0.25", user="ann")
    answers.down = True
    desk.why_ill = "The store does not answer."
    answer = see(web)
    assert (answer.status, answer.body["degraded"]) == (200, "The store does not answer.")
    budget = answer.body["budgets"][0]
    assert budget["states"][0]["spend"] == "0.250000000000"
    assert (budget["breakdown"], budget["history"]) == (None, None)
    assert budget["unavailable"] == "The store does not answer."


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/nothing", 404, "No budget of project default is called 'nothing'."),
        ("/theirs", 404, "No budget of project default is called 'theirs'."),
        (f"/{'x' * 60_000}", 404, f"No budget of project default is called '{'x' * 200}...'."),
        ("?limit=0", 400, "limit='0' is not a whole number from 1 to 1000."),
        ("?limit=1e9", 400, "limit='1e9' is not a whole number from 1 to 1000."),
        ("?limit=9999999999999", 400, "limit='9999999999999' is not a whole number from 1 to 1000."),
        ("?after=theirs", 400, "after='theirs' is not the `next` of a page."),
        ("?limt=1", 400, "'limt' is not a known parameter; did you mean limit?"),
        ("/users/day?usr=ann", 400, "'usr' is not a known parameter; did you mean user?"),
        ("/users/day?after=xx", 400, "after='xx' is not the `next` of a page."),
        ("/users/day?after=WzEsMl0", 400, "after='WzEsMl0' is not the `next` of a page."),
    ],
)
def test_mistakes_get_a_sentence(web: Web, path: str, status: int, sentence: str) -> None:
    answer = see(web, path)
    assert (answer.status, answer.body["error"]["message"]) == (status, sentence)


def test_a_megabyte_of_a_name_is_refused_before_it_is_read(web: Web) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    try:
        connection.request("GET", f"/api/v1/budgets/{'x' * 1_000_000}", headers={"authorization": f"Bearer {READER}"})
        status = connection.getresponse().status
    except (BrokenPipeError, ConnectionResetError):
        status = 400  # closed while it was still being sent
    finally:
        connection.close()
    assert status == 400


def test_scopes_hold(web: Web) -> None:
    for path in ("", "/tokens"):
        assert see(web, path, CHECKER).status == 403
        assert see(web, path, "").status == 401


def test_a_budget_may_be_called_as_the_check_is(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {**BUDGETS[1], "name": "check"})
    with serving(application(services(desk.enforcement, desk.clock, Answers()))) as web:
        assert web.ask("GET", "/api/v1/budgets/check").body["budget"]["name"] == "check"
        assert web.ask("POST", "/api/v1/budgets/check", {}).body["allowed"] is True
    assert desk.enforcement.check(Run("default", {}, Estimate())).allowed
    desk.close()
