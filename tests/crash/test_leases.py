"""Runs under leases against a daemon that is killed: what is spent never exceeds the cap, and in the end reaches it."""

import itertools
import json
import random
import threading
import time
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

from spanmeter import Budget, BudgetError, BudgetExceeded
from tests.support.calls import OVERRIDES, Call, request
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

CAP = Decimal("0.006")
COST = Decimal("0.00001")  # of a run: ten tokens
ESTIMATE = 2 * COST
RUNS = 599  # of which the last leaves less room than another one's estimate
NUMBERS = itertools.count(1)


def deliver(daemon: Daemon, call: Call, stop: threading.Event) -> None:
    """Export until it is acknowledged."""
    target = f"{daemon.http}/v1/traces"
    asked = urllib.request.Request(target, request([call]), {"content-type": "application/x-protobuf"})
    while not stop.is_set():
        try:
            with urllib.request.urlopen(asked, timeout=10):
                return
        except OSError:
            stop.wait(0.1)


def work(daemon: Daemon, budget: Budget, stop: threading.Event) -> None:
    """Run after run, each as one call, until none is allowed any more."""
    while not stop.is_set():
        try:
            with budget.run(service="shop", estimate_usd=ESTIMATE, ttl_seconds=30) as lease:
                number = next(NUMBERS)
                call = Call(number, number, time.time_ns(), tokens=10, lease=lease.id)
                deliver(daemon, call, stop)
                lease.settle(usd=COST)  # or the half it did not need would be held until it expires
        except BudgetExceeded as refusal:
            spend = Decimal(refusal.decision["budget"]["spend"])
            if refusal.decision["reason"] == "over_limit" and spend >= RUNS * COST:
                return
            stop.wait(0.1)
        except BudgetError:
            stop.wait(0.1)


@pytest.mark.long
@pytest.mark.timeout(240)
def test_the_cap_holds_though_the_daemon_is_killed(tmp_path: Path) -> None:
    daemon = Daemon(
        tmp_path / "data",
        "spool.flush_interval=100ms",
        "enforcement.fail=closed",
        f"pricing.overrides={json.dumps(OVERRIDES)}",
        f"budgets={json.dumps([{'name': 'cap', 'limit_usd': str(CAP), 'period': '30d', 'hard': True}])}",
        keeps_ports=True,
    )
    budget = Budget(daemon.web, timeout=10)
    stop = threading.Event()
    workers = [threading.Thread(target=work, args=(daemon, budget, stop)) for _ in range(12)]
    moments = random.Random(7)
    daemon.start()
    daemon.wait_until_ready()
    try:
        for worker in workers:
            worker.start()
        for _ in range(4):
            time.sleep(moments.uniform(0.5, 2))
            daemon.kill()
            daemon.start()
            daemon.wait_until_ready()

        def state() -> tuple[Decimal, Decimal]:
            told = budget.check(service="shop")["budget"]
            spend, reserved = Decimal(told["spend"]), Decimal(told["reserved"])
            assert spend <= CAP
            assert spend + reserved <= CAP
            return spend, reserved

        wait_until(lambda: state() == (RUNS * COST, Decimal(0)), 120, "spending all that the cap allows")
        for worker in workers:
            worker.join(30)
        assert not any(worker.is_alive() for worker in workers)
        assert budget.check(estimate_usd=ESTIMATE)["allowed"] is False
        assert budget.check(estimate_usd=COST)["allowed"] is True
    finally:
        stop.set()
        daemon.kill()
