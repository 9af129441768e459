"""Every way in which a judge answers, asked by a daemon: the rows, and the spans whose price is their receipt."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.support.daemon import Daemon, running
from tests.support.judge_server import BEHAVIOURS, FAULTS, PASSES, judge_server
from tests.support.judging import evaluations, evaluator, get, judge, receipts, send_runs, settings, spent, trace, write
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

RUNS = 2
VOTED = "flip"
SLOW = ("hang", "drip")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Any]]:
    """A daemon whose judges are all there are, and what came of asking them."""
    root = tmp_path_factory.mktemp("behaviours")
    with judge_server() as server:
        values = settings(server.url, [])
        values["judges"] = settings(server.url, BEHAVIOURS)["judges"]
        own: dict[str, dict[str, object]] = {
            VOTED: {"votes": 3, "max_votes": 3},
            "hang": {"timeout": "1s"},
            "drip": {"timeout": "1s"},
        }
        values["evaluators"] = [evaluator(one, judge={"timeout": "30s", **own.get(one, {})}) for one in BEHAVIOURS]
        with running(root / "data", config=write(root / "config.yaml", values)) as daemon:
            send_runs(daemon, range(1, RUNS + 1))
            yield daemon, judge(daemon, 200)


def test_every_run_is_judged_failed_or_skipped(judged: tuple[Daemon, Any]) -> None:
    _, result = judged
    assert result["evaluators"].keys() == BEHAVIOURS.keys()
    for name, one in result["evaluators"].items():
        ends = [one[key] for key in ("passed", "failed", "errors", "skipped")]
        assert one["selected"] == sum(ends) == RUNS, name


def test_each_behaviour_leaves_its_row(judged: tuple[Daemon, Any]) -> None:
    daemon, _ = judged
    rows: dict[str, list[Any]] = {}
    for row in evaluations(daemon, "&kind=judge"):
        rows.setdefault(row["evaluator"], []).append(row)
    for name, found in rows.items():
        assert {row["trace_id"] for row in found} == {trace(number) for number in range(1, RUNS + 1)}, name
        errors = {row["error_type"] for row in found}
        assert errors == ({"judge_timeout"} if name in SLOW else {FAULTS.get(name, "")}), (
            name,
            [row["reason"] for row in found],
        )
        for row in found:
            assert (row["verdict"] == "") == (row["score"] is None) == (row["status"] != "ok"), name
            assert row["receipt"]["model"], name
    assert {row["verdict"] for name in PASSES for row in rows[name]} == {"pass"}
    assert {row["verdict"] for row in rows["fail"]} == {"fail"}
    assert {row["verdict"] for row in rows[VOTED]} <= {"pass", "fail"}


def test_receipts_are_what_spans_are_priced_with(judged: tuple[Daemon, Any]) -> None:
    daemon, result = judged
    rows = evaluations(daemon, "&kind=judge")
    paid = receipts(rows)
    assert paid == Decimal(result["cost"]) > 0
    assert -paid.as_tuple().exponent <= 12  # type: ignore[operator] # it is finite
    wait_until(lambda: spent(daemon).get("judge") == paid, 30, "the sum of the spans")
    for row in rows[::7]:
        if row["receipt"]["trace_id"]:
            spans = get(daemon, f"/api/v1/traces/{row['receipt']['trace_id']}")["spans"]
            costs = [Decimal(span["Cost"]) for span in spans if span["Cost"]]
            assert sum(costs, Decimal(0)) == Decimal(row["receipt"]["cost"] or 0), row["evaluator"]
            assert Counter(span["Purpose"] for span in spans) == {"judge": len(spans)}


def test_what_says_nothing_of_a_run_is_asked_again(judged: tuple[Daemon, Any]) -> None:
    daemon, _ = judged
    names = ["quota", "unauthorised", "hang", "refusal", "label", "pass", "other"]
    again = judge(daemon, evaluators=names)["evaluators"]
    assert {name for name in names if again[name]["selected"]} == {"quota", "unauthorised", "hang"}
