"""The API as documented, against the real server: requests generated from the document get documented answers."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.billing.reprice import Outcome, Selection, apply, compare
from collector.config import PricingConfig
from collector.enrich import RecentTraces
from collector.model.progress import Progress
from collector.store import Store
from tests.support import stored
from tests.support.budgets import MONTH, Desk
from tests.support.captured import captured
from tests.support.stored import ENRICHER
from tests.support.waiting import wait_until
from tests.support.webserver import Web, serving
from tests.support.webservices import application, services

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
JSON = "application/json"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, MONTH, {**MONTH, "name": "features/day", "period": "day", "per": ["feature"]})
    yield desk
    desk.close()


@pytest.fixture
def web(store: Store, desk: Desk) -> Iterator[Web]:
    stored.deliver(store, Billing(ENRICHER, RecentTraces(10_000)), captured("oi-openai"), "run")
    prices = enricher(PricingConfig())

    def reprice(selection: Selection, dry_run: bool, progress: Progress) -> Outcome:
        if dry_run:
            return compare(store, prices, selection, progress)
        return apply(store, prices, selection, progress=progress)

    parts = services(desk.enforcement, desk.clock, store=lambda: store, reprice=reprice)
    with serving(application(parts)) as web:
        yield web
    parts.jobs.close()


# Each operation a few times, and each at length: by what the document says of every parameter, then by chance, then
# by links from one answer to the next request. A budget of time would leave the last ones out.
FEW = ("--phases", "fuzzing", "--max-examples", "4")
MANY = ("--max-examples", "25")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(FEW, id="few", marks=pytest.mark.slow),
        pytest.param(MANY, id="many", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
    ],
)
def test_schemathesis_finds_nothing(web: Web, tmp_path: Path, options: Sequence[str], say: Any) -> None:
    """In any operation, of which none is left out but the stream of runs: its answer does not end."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{web.url}/api/v1/openapi.json", *options]
    command += ["--checks", ",".join(check.__name__ for check in CONFORMANCE), "--seed", "1", "--no-color"]
    command += ["--exclude-operation-id", "watch_runs", "--report-json-path", str(report)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3500, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]
    found = json.loads(report.read_text())
    assert found["operations"]["tested"] == found["operations"]["selected"] == found["operations"]["total"] - 1
    say("schemathesis: " + " ".join(re.findall(r"\d+ (?:generated|passed)[^\n]*", ended.stdout)))


def test_what_there_is_has_the_documented_shape(web: Web) -> None:
    """Requests that find something, which generated ones seldom do."""
    document = schemathesis.openapi.from_url(f"{web.url}/api/v1/openapi.json")

    def ask(method: str, path: str, **parts: Any) -> Any:
        answer = document[path][method].Case(**parts).call_and_validate(base_url=web.url, checks=CONFORMANCE)
        assert answer.status_code < 300, answer.text
        return answer.json()

    runs = ask("GET", "/api/v1/runs", query={"since": "2026-01-01"})["runs"]
    assert runs
    for run in runs:
        ask("GET", "/api/v1/runs/{trace_id}", path_parameters={"trace_id": run["trace_id"]})
        ask("GET", "/api/v1/traces/{trace_id}", path_parameters={"trace_id": run["trace_id"]})
        for part in ("rounds", "conversation", "system-prompts", "tools", "spans"):
            found = ask("GET", f"/api/v1/runs/{{trace_id}}/{part}", path_parameters={"trace_id": run["trace_id"]})
            assert any(found.values())
        both = {"a": runs[0]["trace_id"], "b": run["trace_id"]}
        assert ask("GET", "/api/v1/compare/runs", query=both)["spans"]
    since = {"since": "2026-01-01"}
    found = {"titles": "true", "sort": "cost", "status": runs[0]["status"], "min_cost": "0", "max_seconds": "86400.5"}
    assert ask("GET", "/api/v1/runs", query={**since, **found})["runs"]
    assert ask("GET", "/api/v1/facets", query=since)["facets"]["model"]
    assert ask("GET", "/api/v1/kpis", query={**since, "steps": 4})["window"]["kpis"]["runs"] == len(runs)
    ask("GET", "/api/v1/conversations", query=since)
    assert ask("GET", "/api/v1/compare/windows", query=since)["figures"]
    assert ask("GET", "/api/v1/spend/table", query={**since, "split": "model,day"})["cells"]
    assert ask("GET", "/api/v1/spend", query={"since": "2026-01-01", "by": "feature"})["spend"]
    ask("GET", "/api/v1/budgets/{name}", path_parameters={"name": "features/day"}, query={"feature": "a"})
    lease = ask("POST", "/api/v1/leases", body={"estimate_usd": "1", "feature": "a"}, media_type=JSON)["lease"]
    held = {"lease_id": lease["id"]}
    ask("GET", "/api/v1/leases/{lease_id}", path_parameters=held)
    ask("POST", "/api/v1/leases/{lease_id}/settle", path_parameters=held, body={"spent_usd": "0.5"}, media_type=JSON)
    ask("DELETE", "/api/v1/leases/{lease_id}", path_parameters=held)
    job = {"job_id": ask("POST", "/api/v1/reprice", body={"since": "2026-01-01"}, media_type=JSON)["job"]["id"]}

    def ended() -> bool:
        found = ask("GET", "/api/v1/jobs/{job_id}", path_parameters=job)["job"]
        return bool(found["finished_at"])

    wait_until(ended, 30, "the job's end")
    assert ask("POST", "/api/v1/jobs/{job_id}/cancel", path_parameters=job)["job"]["state"] == "succeeded"
