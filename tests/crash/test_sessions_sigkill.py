"""SIGKILL while both signals of coding agents come in, in any order and again: every call costs once what it costs.

SPANMETER_KILLS is how often; 25 unless it is set.
"""

import json
import os
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from collector.model.envelope import Envelope
from tests.support.daemon import Daemon
from tests.support.sessions import requests, truth
from tests.support.waiting import wait_until

KILLS = int(os.environ.get("SPANMETER_KILLS", "25"))
CASES = ("claude-code-2.1-two-prompts", "claude-code-2.1.332-traces", "claude-code-2.1-logs")
# Those without a cost of their own: what is shown for them must be what it was without a kill.
TOKENS = ("codex-exec-traces", "gemini-cli-traces")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "data", "spool.flush_interval=100ms", "store.ttl=0s", "store.max_age=0s", keeps_ports=True)
    yield made
    made.kill()


def send(daemon: Daemon, request: Envelope) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"{daemon.http}/v1/{request.signal.value}"
    with urllib.request.urlopen(urllib.request.Request(url, request.payload, headers), timeout=30) as answer:
        assert answer.status == 200


def spent(daemon: Daemon) -> dict[str, tuple[str | None, int, int, int]]:
    _, body = daemon.get("/api/v1/spend?by=service&since=2026-01-01")
    rows = json.loads(body)["spend"]
    columns = ("cost", "priced_calls", "input_tokens", "output_tokens")
    return {row["value"]: tuple(row[column] for column in columns) for row in rows}


@pytest.mark.long
@pytest.mark.timeout(300 + 30 * KILLS)
@pytest.mark.parametrize("kills", [KILLS])
def test_calls_of_both_signals_are_billed_once_through_sigkills(
    daemon: Daemon, kills: int, say: Callable[[str], None]
) -> None:
    moments = random.Random()
    sent = [request for case in (*CASES, *TOKENS) for request in requests(case)]
    daemon.start()
    daemon.wait_until_ready()
    for _ in range(kills):
        for request in moments.sample(sent, len(sent) // 3):
            send(daemon, request)
        time.sleep(moments.uniform(0, 0.6))  # a random moment is what is tested
        daemon.kill()
        daemon.start()
        daemon.wait_until_ready()
    for request in moments.sample(sent, len(sent)):
        send(daemon, request)
    wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 60, "an empty spool")
    wait_until(lambda: daemon.metric("spanmeter_drain_lag_seconds") == 0, 60, "all that is stored")
    found = spent(daemon)
    say(f"{kills} SIGKILLs: {found}")
    cost = sum(Decimal(str(truth(case)["totals"]["cost_usd"])) for case in CASES)
    calls = sum(truth(case)["totals"]["calls_answered"] for case in CASES)
    assert (Decimal(found["claude-code"][0] or 0), found["claude-code"][1]) == (cost, calls)
    for service, case in zip(("codex_exec", "gemini-cli"), TOKENS, strict=True):
        totals = truth(case)["totals"]
        tokens = (totals["calls_answered"], totals["input_tokens_all"], totals["output_tokens_all"])
        assert found[service][1:] == tokens
