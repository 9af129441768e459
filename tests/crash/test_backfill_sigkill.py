"""SIGKILL in the middle of a back-fill: what was judged stays, the next one does the rest, and no run is judged twice."""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_runs import long_run, request, send
from tests.support.daemon import Daemon, running
from tests.support.evals import get, post, trace
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

RUNS = 12
SPANS = 900  # of a run: some five of them are judged together
SLOW = 'import time; time.sleep(0.3); print(\'{"verdict": "pass"}\')'
EVALUATORS = f"""
evaluators:
- {{name: by-columns, settle: 0s, kind: bound, metric: errors, max: 1000}}
- {{name: by-program, settle: 0s, kind: command, argv: [{json.dumps(sys.executable)}, -c, {json.dumps(SLOW)}]}}
evals: {{enabled: false, commands: true}}
"""


def rows(daemon: Daemon) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(daemon, "/api/v1/evaluations?all=true&limit=1000")["evaluations"]
    return found


def counted(daemon: Daemon) -> Counter[str]:
    return Counter(one["evaluator"] for one in rows(daemon))


def test_a_backfill_goes_on_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(EVALUATORS)
    with running(tmp_path / "data", config=tmp_path / "config.yaml") as daemon:
        for number in range(1, RUNS + 1):
            send(daemon.http, request(long_run(SPANS, number), number, time.time_ns() - 3600 * 10**9))
        for number in range(1, RUNS + 1):
            daemon.trace(trace(number), SPANS)
        assert post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01"})[0] == 202
        wait_until(lambda: 0 < counted(daemon)["by-program"] < RUNS, 120, "some runs judged")
        daemon.kill()
        daemon.start()
        daemon.wait_until_ready()
        before = {one["id"]: one for one in rows(daemon)}
        kept = Counter(one["evaluator"] for one in before.values())
        assert kept["by-columns"] == RUNS
        assert 0 < kept["by-program"] < RUNS
        status, answer = post(daemon, "/api/v1/evaluators/run", {"since": "2020-01-01"})
        assert status == 202
        path = f"/api/v1/jobs/{answer['job']['id']}"
        wait_until(lambda: bool(get(daemon, path)["job"]["finished_at"]), 120, "the job")
        found = get(daemon, path)["job"]["result"]["evaluators"]
        assert (found["by-program"]["selected"], found["by-program"]["known"]) == (
            RUNS - kept["by-program"],
            kept["by-program"],
        )
        assert found["by-columns"]["known"] == RUNS
        after = rows(daemon)
        assert Counter((one["evaluator"], one["trace_id"]) for one in after).most_common(1)[0][1] == 1
        assert counted(daemon) == {"by-columns": RUNS, "by-program": RUNS}
        assert {one["id"]: one for one in after if one["id"] in before} == before
